-- name: extra_quota
select coalesce(sum(quota_mib), 0)::bigint
from quota_records
where account_id = $1 and deleted_at is null and (expired_at is null or expired_at > now());

-- name: usage
-- Pools that the account sees or has files in; never the names of other accounts' private ones.
select p.id, p.name, coalesce(u.size_bytes, 0) as size_bytes, coalesce(u.file_count, 0) as file_count, p.cost_multiplier
from pools p
left join usage u on u.pool_id = p.id and u.account_id = $1
where p.deleted_at is null
    and (
        u.file_count > 0
        or p.account_id = $1
        or (coalesce((p.policy_config->>'public_usable')::boolean, false) and not p.is_hidden)
    )
order by p.created_at, p.id;
