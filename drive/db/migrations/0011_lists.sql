-- Lists of files that take as long for a hundred thousand as for ten: each order has an index, and each total is kept.

-- All of an account's files: whether one is in a folder stands in its row. A list reads, in order, the files of each
-- pool, of those that are in folders and those that are not, and merges what it has read.
alter table files add column is_indexed boolean not null default false;
update files f set is_indexed = true where exists (select from file_indexes i where i.file_id = f.id);
drop index files_of_account_by_date;
drop index files_of_account_by_name;
drop index files_of_account_by_size;
create index files_of_account_by_date on files
    (account_id, pool_id, is_marked_recycle, is_indexed, created_at desc, id) where deleted_at is null;
create index files_of_account_by_name on files
    (account_id, pool_id, is_marked_recycle, is_indexed, name, id) where deleted_at is null;
create index files_of_account_by_size on files
    (account_id, pool_id, is_marked_recycle, is_indexed, size_bytes, id) where deleted_at is null;

-- The files of a folder: an entry has what folders are sorted by. The indexes have a hash of the path, since a path and a
-- name of the greatest length do not fit into one.
alter table file_indexes
    add column file_created_at timestamptz,
    add column file_name text,
    add column file_size_bytes bigint,
    add column is_recycled boolean;
update file_indexes i
set file_created_at = f.created_at, file_name = f.name, file_size_bytes = f.size_bytes, is_recycled = f.is_marked_recycle
from files f where f.id = i.file_id;
alter table file_indexes
    alter column file_created_at set not null,
    alter column file_name set not null,
    alter column file_size_bytes set not null,
    alter column is_recycled set not null;
create index file_indexes_by_date on file_indexes
    (account_id, hashtextextended(path, 0), file_created_at desc, file_id) where not is_recycled;
create index file_indexes_by_name on file_indexes
    (account_id, hashtextextended(path, 0), file_name, file_id) where not is_recycled;
create index file_indexes_by_size on file_indexes
    (account_id, hashtextextended(path, 0), file_size_bytes, file_id) where not is_recycled;

-- Whoever adds an entry has locked its file, and this reads with a snapshot of its own.
create function entry_shows_file() returns trigger language plpgsql as $$
begin
    select created_at, name, size_bytes, is_marked_recycle
    into new.file_created_at, new.file_name, new.file_size_bytes, new.is_recycled
    from files where id = new.file_id;
    return new;
end
$$;
create trigger entry_shows_file before insert on file_indexes for each row execute function entry_shows_file();

create function entries_show_files() returns trigger language plpgsql as $$
begin
    update file_indexes i
    set file_created_at = n.created_at, file_name = n.name, file_size_bytes = n.size_bytes,
        is_recycled = n.is_marked_recycle
    from new_files n join old_files o on o.id = n.id
    where i.file_id = n.id
        and (n.created_at, n.name, n.size_bytes, n.is_marked_recycle)
            is distinct from (o.created_at, o.name, o.size_bytes, o.is_marked_recycle);
    return null;
end
$$;
create trigger entries_show_files after update on files
    referencing old table as old_files new table as new_files for each statement execute function entries_show_files();

-- How many files a folder shows; all folders of an account together have the path ''. Changes are added up by whoever
-- reads them, and folded by the worker: nobody who files something waits for somebody who does so in the same folder.
create table folder_counts (
    account_id uuid not null,
    path text not null,
    file_count bigint not null,
    is_folded boolean not null default false
);
create index folder_counts_of_folder on folder_counts (account_id, path);
create index folder_counts_to_fold on folder_counts (account_id, path) where not is_folded;
insert into folder_counts (account_id, path, file_count, is_folded)
select account_id, counted.path, count(*), true
from file_indexes i cross join lateral (values (i.path), ('')) as counted (path)
where not is_recycled
group by account_id, counted.path;

create function entries_counted() returns trigger language plpgsql as $$
declare
    changes constant text := case tg_op
        when 'INSERT' then 'select account_id, path, is_recycled, 1 as sign from new_entries'
        when 'DELETE' then 'select account_id, path, is_recycled, -1 as sign from old_entries'
        else 'select account_id, path, is_recycled, 1 as sign from new_entries
            union all select account_id, path, is_recycled, -1 from old_entries'
    end;
begin
    execute 'insert into folder_counts (account_id, path, file_count)
        select account_id, counted.path, sum(sign)
        from (' || changes || ') as c cross join lateral (values (c.path), ('''')) as counted (path)
        where not is_recycled
        group by account_id, counted.path having sum(sign) <> 0';
    if tg_op = 'INSERT' then
        update files set is_indexed = true where id in (select file_id from new_entries) and not is_indexed;
    elsif tg_op = 'DELETE' then
        update files f set is_indexed = false
        where id in (select file_id from old_entries) and is_indexed and deleted_at is null
            and not exists (select from file_indexes i where i.file_id = f.id);
    end if;
    return null;
end
$$;
create trigger entries_counted_in after insert on file_indexes
    referencing new table as new_entries for each statement execute function entries_counted();
create trigger entries_counted_over after update on file_indexes
    referencing old table as old_entries new table as new_entries for each statement execute function entries_counted();
create trigger entries_counted_out after delete on file_indexes
    referencing old table as old_entries for each statement execute function entries_counted();

-- What an account has in each pool: the files in the recycle bin are counted beside the others, and of both kinds those
-- that are in folders.
alter table usage
    add column indexed_count bigint not null default 0,
    add column recycled_count bigint not null default 0,
    add column recycled_size_bytes bigint not null default 0,
    add column recycled_indexed_count bigint not null default 0;
insert into usage as u (account_id, pool_id, indexed_count, recycled_count, recycled_size_bytes, recycled_indexed_count)
select
    account_id, pool_id,
    count(*) filter (where is_indexed and not is_marked_recycle),
    count(*) filter (where is_marked_recycle),
    coalesce(sum(size_bytes) filter (where is_marked_recycle), 0),
    count(*) filter (where is_indexed and is_marked_recycle)
from files where deleted_at is null
group by account_id, pool_id
on conflict (account_id, pool_id) do update
set indexed_count = excluded.indexed_count, recycled_count = excluded.recycled_count,
    recycled_size_bytes = excluded.recycled_size_bytes, recycled_indexed_count = excluded.recycled_indexed_count;

create or replace function files_counted() returns trigger language plpgsql as $$
declare
    changes constant text := case tg_op
        when 'INSERT' then 'select *, 1 as sign from new_files'
        when 'DELETE' then 'select *, -1 as sign from old_files'
        else 'select *, 1 as sign from new_files union all select *, -1 from old_files'
    end;
begin
    -- Rows are locked in one order, so that two statements over the same accounts cannot wait for each other; an update
    -- that changes no total (a rename) writes nothing.
    execute 'insert into usage as u (
            account_id, pool_id, file_count, size_bytes, indexed_count,
            recycled_count, recycled_size_bytes, recycled_indexed_count
        )
        select * from (
            select
                account_id, pool_id,
                coalesce(sum(sign) filter (where not is_marked_recycle), 0) as file_count,
                coalesce(sum(sign * size_bytes) filter (where not is_marked_recycle), 0) as size_bytes,
                coalesce(sum(sign) filter (where not is_marked_recycle and is_indexed), 0) as indexed_count,
                coalesce(sum(sign) filter (where is_marked_recycle), 0) as recycled_count,
                coalesce(sum(sign * size_bytes) filter (where is_marked_recycle), 0) as recycled_size_bytes,
                coalesce(sum(sign) filter (where is_marked_recycle and is_indexed), 0) as recycled_indexed_count
            from (' || changes || ') as files_changed
            where deleted_at is null
            group by account_id, pool_id
        ) as c
        where (file_count, size_bytes, indexed_count, recycled_count, recycled_size_bytes, recycled_indexed_count)
            <> (0, 0, 0, 0, 0, 0)
        order by account_id, pool_id
        on conflict (account_id, pool_id) do update
        set file_count = u.file_count + excluded.file_count,
            size_bytes = u.size_bytes + excluded.size_bytes,
            indexed_count = u.indexed_count + excluded.indexed_count,
            recycled_count = u.recycled_count + excluded.recycled_count,
            recycled_size_bytes = u.recycled_size_bytes + excluded.recycled_size_bytes,
            recycled_indexed_count = u.recycled_indexed_count + excluded.recycled_indexed_count';
    return null;
end
$$;

drop index files_recycled_of_account;
create index files_recycled_of_account on files (account_id, pool_id, id) where is_marked_recycle and deleted_at is null;
