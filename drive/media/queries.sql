-- name: object
-- What there is to do for an object, where it is still there.
select
    o.mime_type, o.size_bytes,
    p.policy_config->'no_optimization' = 'true' is not true as is_optimized,
    p.policy_config->'no_metadata' = 'true' is not true as is_described
from objects o join pools p on p.id = o.pool_id
where o.id = $1;

-- name: record
-- No row where the object was deleted meanwhile.
update objects set file_meta = $2, variants = $3 where id = $1 returning id;
