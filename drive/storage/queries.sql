-- name: pool
-- Deleted pools too: files that are in them stay readable.
select id, storage_config, storage_secrets from pools where id = $1;

-- name: pools
select id, storage_config, storage_secrets from pools order by created_at, id;
