-- Lists in every order find a part of a name without reading the files: where few have it, all were read before.
drop index files_of_account_by_date;
drop index files_of_account_by_size;
create index files_of_account_by_date on files
    (account_id, pool_id, is_marked_recycle, is_indexed, created_at desc, id) include (name) where deleted_at is null;
create index files_of_account_by_size on files
    (account_id, pool_id, is_marked_recycle, is_indexed, size_bytes, id) include (name) where deleted_at is null;
