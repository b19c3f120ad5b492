-- What there is of a file beside its bytes is told by `variants` alone.
create or replace view file_details as
select
    f.id, f.account_id, f.object_id, f.pool_id, f.bundle_id, f.name, f.description, f.user_meta, f.sensitive_marks,
    f.mime_type, f.size_bytes, f.is_encrypted, f.is_marked_recycle, f.storage_url, f.expired_at, f.uploaded_at,
    f.created_at, f.updated_at,
    o.sha256, o.file_meta, o.variants ? 'compressed' as has_compression, o.variants ? 'thumbnail' as has_thumbnail,
    p.name as pool_name, p.description as pool_description, p.policy_config as pool_policy_config,
    p.cost_multiplier as pool_cost_multiplier, p.is_hidden as pool_is_hidden, p.account_id as pool_account_id,
    p.created_at as pool_created_at, p.updated_at as pool_updated_at, p.storage_config as pool_storage_config,
    f.visibility, f.realm_id, o.variants
from files f
join objects o on o.id = f.object_id
join pools p on p.id = f.pool_id
where f.deleted_at is null;

alter table objects drop column has_compression, drop column has_thumbnail;
