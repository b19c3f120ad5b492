-- name: extra_quota
select coalesce(sum(quota_mib), 0)::bigint
from quota_records
where account_id = $1 and deleted_at is null and (expired_at is null or expired_at > now());

-- name: records
-- The total comes with every row, and with a row of nulls where the page is empty.
-- $1 account, $2 expired ones too, $3 offset, $4 take
with total as (
    select count(*) as total from quota_records
    where account_id = $1 and deleted_at is null and ($2 or expired_at is null or expired_at > now())
),
page as (
    select id, account_id, name, description, quota_mib, expired_at, created_at, updated_at from quota_records
    where account_id = $1 and deleted_at is null and ($2 or expired_at is null or expired_at > now())
    order by created_at desc, id
    offset $3 limit $4
)
select total.total, page.* from total left join page on true order by page.created_at desc, page.id;

-- name: usage
-- Pools that the account sees or has files in; never the names of other accounts' private ones. Recycled files are no
-- longer shown, but hold what they take up until they are purged.
-- $1 account, $2 one pool, or null
with recycled as (
    select pool_id, sum(size_bytes)::bigint as size_bytes from files
    where account_id = $1 and is_marked_recycle and deleted_at is null and ($2::uuid is null or pool_id = $2)
    group by pool_id
)
select
    p.id, p.name, coalesce(u.size_bytes, 0) as size_bytes, coalesce(u.file_count, 0) as file_count,
    coalesce(r.size_bytes, 0) as recycled_bytes, p.cost_multiplier
from pools p
left join usage u on u.pool_id = p.id and u.account_id = $1
left join recycled r on r.pool_id = p.id
where p.deleted_at is null and ($2::uuid is null or p.id = $2)
    and (
        u.file_count > 0
        or r.size_bytes is not null
        or p.account_id = $1
        or (coalesce((p.policy_config->>'public_usable')::boolean, false) and not p.is_hidden)
    )
order by p.created_at, p.id;
