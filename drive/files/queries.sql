-- name: by_id
select * from file_details where id = $1;

-- name: guarded_by_id
-- Files, and what their bundles ask of readers; those columns are null where a file is in none.
-- $1 ids
select
    d.*,
    b.id as b_id, b.account_id as b_account_id, b.passcode_hash as b_passcode_hash, b.realm_id as b_realm_id,
    b.expired_at as b_expired_at, b.deleted_at as b_deleted_at
from file_details d
left join bundles b on b.id = d.bundle_id
where d.id = any($1::text[]);

-- name: rename
update files set name = $3, updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning id;

-- name: set_marks
update files set sensitive_marks = $3, updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning id;

-- name: set_meta
update files set user_meta = $3, updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning id;

-- name: set_permission
update files set visibility = $3, realm_id = $4, updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning id;

-- name: set_recycled
update files set is_marked_recycle = $3, updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning id;

-- name: mine
-- A page of an account's files: all, or those that are in no folder. The total comes with every row, and with a row of
-- nulls where the page is empty. What is put in comes from fixed tables.
-- $1 account, $2 pool, $3 recycled, $4 part of the name, $5 offset, $6 take
with total as ({total}),
page as (
    select f.id, row_number() over (order by {order}) as place
    from (select f.* from ({first_files}) f order by {order} offset $5 limit $6) f
)
select total.total, d.*
from total
left join page on true
left join file_details d on d.id = page.id
order by page.place;

-- name: kept_total
-- Parameters as of `mine`.
select coalesce(sum(case when $3 then {recycled_count} else {count} end), 0)::bigint as total from usage
where account_id = $1 and ($2::uuid is null or pool_id = $2)

-- name: counted_total
-- Pool by pool, as `first_files` reads them: so it is the account's part of an index that is looked through, however few
-- accounts there are among all files. Parameters as of `mine`.
select coalesce(sum(counted.files), 0)::bigint as total
from usage u
cross join unnest({kinds}) as kind (is_indexed)
cross join lateral (
    select count(*) as files from files f
    where f.account_id = $1 and f.pool_id = u.pool_id and f.is_marked_recycle = $3 and f.is_indexed = kind.is_indexed
        and f.deleted_at is null and {match}
) counted
where u.account_id = $1 and ($2::uuid is null or u.pool_id = $2)

-- name: first_files
-- An account's files in order, at least as many as the page ends after. Each order's index has them pool by pool, and those
-- that are in folders apart from the others ({kinds}): the first of each are read, for whoever asks to merge.
-- Parameters as of `mine`.
select f.id, f.created_at, f.name, f.size_bytes
from usage u
cross join unnest({kinds}) as kind (is_indexed)
cross join lateral (
    select f.id, f.created_at, f.name, f.size_bytes from files f
    where f.account_id = $1 and f.pool_id = u.pool_id and f.is_marked_recycle = $3 and f.is_indexed = kind.is_indexed
        and f.deleted_at is null and {match}
    order by {order}
    limit $5::bigint + $6::bigint
) f
where u.account_id = $1 and ($2::uuid is null or u.pool_id = $2)

-- name: delete
-- Deletes a page of files; an object whose last file goes is deleted by a job, after this has committed. Which files, and
-- how many, is put in from a fixed table. The counts are taken from the locked rows: two deletions at once see each
-- other's. All deletions lock in one order, so that none waits for another that waits for it.
with target as (
    select id, object_id from files
    where deleted_at is null and {which}
    order by pool_id, id
    limit {page}
    for update
),
gone as (
    update files f set deleted_at = now(), updated_at = now(), object_id = null
    from target t
    where f.id = t.id
    returning f.id
),
released as (select object_id, count(*) as released from target group by object_id),
locked as (
    select o.id, o.pool_id, o.reference_count - r.released as remaining
    from objects o join released r on r.object_id = o.id
    order by o.id
    for update of o
),
kept as (
    update objects o set reference_count = l.remaining
    from locked l
    where o.id = l.id and l.remaining > 0
    returning o.id
),
freed as (
    delete from objects o using locked l
    where o.id = l.id and l.remaining <= 0
    returning o.id, o.pool_id
),
asked as (
    insert into jobs (kind, payload)
    select 'delete_object', jsonb_build_object('object_id', id, 'pool_id', pool_id) from freed
    returning id
)
select id from gone;

-- name: is_there
select exists (select from files where id = $1 and deleted_at is null);

-- name: shared
-- What other services see of files: of those that one of the next queries gives, in the order of `place`.
with f as ({these})
select
    f.id, f.name, f.user_meta::text as user_meta, f.sensitive_marks, f.mime_type, f.size_bytes, f.storage_url,
    f.uploaded_at, o.sha256, o.file_meta::text as file_meta, o.variants ? 'compressed' as has_compression,
    o.file_meta -> 'width' as width, o.file_meta -> 'height' as height, o.file_meta -> 'blur' as blur
from f join objects o on o.id = f.object_id
order by f.place;

-- name: these_by_id
-- $1 files
select f.*, asked.place
from unnest($1::text[]) with ordinality as asked (id, place) join files f on f.id = asked.id
where f.deleted_at is null

-- name: these_of_resource
-- $1 resource, $2 usage or null for all of them, $3 at most
select f.*, row_number() over (order by used.used_at, f.id) as place
from (
    select file_id, min(created_at) as used_at from file_references
    where resource_id = $1 and ($2::text is null or usage = $2) and (expired_at is null or expired_at > now())
    group by file_id
    limit $3
) as used
join files f on f.id = used.file_id
where f.deleted_at is null

-- name: these_changed
-- $1 file, $2 columns that change, $3 name, $4 user_meta, $5 sensitive_marks
update files set
    name = case when 'name' = any($2::text[]) then $3 else name end,
    user_meta = case when 'user_meta' = any($2::text[]) then $4 else user_meta end,
    sensitive_marks = case when 'sensitive_marks' = any($2::text[]) then $5 else sensitive_marks end,
    updated_at = now()
where id = $1 and deleted_at is null
returning *, 1 as place
