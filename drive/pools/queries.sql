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
