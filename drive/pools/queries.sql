-- name: listed
select id, name, description, storage_config, cost_multiplier, policy_config, is_hidden, account_id, created_at, updated_at
from pools
where deleted_at is null
    and (coalesce((policy_config->>'public_usable')::boolean, false) or account_id = $1)
    and (not is_hidden or account_id = $1)
order by created_at, id;

-- name: by_id
select id, name, description, storage_config, cost_multiplier, policy_config, is_hidden, account_id, created_at, updated_at
from pools
where id = $1 and deleted_at is null;

-- name: add
insert into pools (
    id, name, description, account_id, is_hidden, cost_multiplier, storage_config, storage_secrets, policy_config
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (id) do nothing
returning id;

-- name: for_edit
select
    p.*,
    exists (select from objects o where o.pool_id = p.id)
        or exists (select from upload_tasks t where t.pool_id = p.id and t.status = 1) as is_used
from pools p
where p.id = $1 and p.deleted_at is null
for update of p;

-- name: change
update pools
set
    name = $2, description = $3, account_id = $4, is_hidden = $5, cost_multiplier = $6, storage_config = $7,
    storage_secrets = $8, policy_config = $9, updated_at = now()
where id = $1 and deleted_at is null;

-- name: summaries
select
    p.id, p.name, p.description, p.account_id, p.is_hidden, p.cost_multiplier, p.storage_config, p.policy_config,
    p.created_at, coalesce(o.objects, 0) as objects, coalesce(o.size_bytes, 0)::bigint as size_bytes
from pools p
left join (select pool_id, count(*) as objects, sum(size_bytes) as size_bytes from objects group by pool_id) as o
    on o.pool_id = p.id
where p.deleted_at is null
order by p.created_at, p.id;
