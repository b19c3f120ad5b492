-- Files that wait to be purged: by pool for the operator, by account for its owner and for what they hold of its quota.
drop index files_of_pool_recycled;
create index files_recycled on files (pool_id, id) where is_marked_recycle and deleted_at is null;
create index files_recycled_of_account on files (account_id, pool_id, id) include (size_bytes)
where is_marked_recycle and deleted_at is null;
