-- An entry is a row of file_indexes. Whoever adds, changes or removes one has locked its file before, several files in
-- the order of (pool_id, id): so nobody waits for somebody who waits for him, and no entry outlives its file. Entries of
-- files in the recycle bin are there, but not shown: they are back when the file is.

-- name: create
-- Both columns are null where there is no such file; the index where the file is in this folder already.
-- $1 account, $2 path, $3 file
with file as (
    select id, is_marked_recycle from files
    where id = $3 and account_id = $1 and deleted_at is null
    for update
),
entry as (
    insert into file_indexes (account_id, path, file_id)
    select $1, $2, id from file where not is_marked_recycle
    on conflict do nothing
    returning id
)
select file.is_marked_recycle, entry.id as index_id from file left join entry on true;

-- name: move
-- The old path is that of the locked entry, so that of two moves at once each tells where it moved from.
-- $1 account, $2 index, $3 new path
with entry as (
    select i.id, i.file_id, i.path as old_path
    from file_indexes i join files f on f.id = i.file_id
    where i.id = $2 and i.account_id = $1 and f.deleted_at is null and not f.is_marked_recycle
    for update of f, i
),
moved as (
    update file_indexes i set path = $3, updated_at = now() from entry e where i.id = e.id
)
select * from entry;

-- name: remove
-- Removes a page of entries. Which ones is put in from a fixed table; it is asked again of the locked rows, as another
-- request may have moved them meanwhile.
-- $1 account, $2 index or path
with chosen as (
    select i.id, i.file_id, f.pool_id
    from file_indexes i join files f on f.id = i.file_id
    where i.account_id = $1 and {which} and f.deleted_at is null and not f.is_marked_recycle
    order by i.file_id
    limit 501
),
page as (select * from chosen order by file_id limit 500),
entry as (
    select i.id, i.file_id, i.path, f.name
    from page p join file_indexes i on i.id = p.id join files f on f.id = p.file_id
    where i.account_id = $1 and {which} and f.deleted_at is null and not f.is_marked_recycle
    order by p.pool_id, p.file_id
    for update of f, i
),
removed as (
    delete from file_indexes i using entry e where i.id = e.id
)
select e.*, (select count(*) > 500 from chosen) as has_more from entry e;

-- name: in_folder
-- A page of a folder's entries with their files, and the folders in it. The total comes with every row, and with a row of
-- nulls where the page is empty. What is put in comes from fixed tables, so that each order runs on its own index.
-- $1 account, $2 path, $3 part, $4 offset, $5 take, $6 the folder to continue after, $7 take of folders
with shown as not materialized (
    select
        i.file_id as id, i.file_created_at as created_at, i.file_name as name, i.file_size_bytes as size_bytes,
        i.id as index_id, i.path as index_path, i.created_at as index_created_at, i.updated_at as index_updated_at
    from file_indexes i
    where i.account_id = $1 and hashtextextended(i.path, 0) = hashtextextended($2::text, 0) and i.path = $2
        and not i.is_recycled
),
total as (
    select case
        when $3::text is not null then (select count(*) from shown f where {match})
        else (
            select coalesce(sum(file_count), 0)::bigint from folder_counts where account_id = $1 and path = $2
        )
    end as total
),
page as (
    select
        f.id, f.index_id, f.index_path, f.index_created_at, f.index_updated_at,
        row_number() over (order by {order}) as place
    from shown f
    where {match}
    order by {order}
    offset $4 limit $5
)
select
    total.total, ({folders}) as folders,
    page.index_id, page.index_path, page.index_created_at, page.index_updated_at, d.*
from total
left join page on true
left join file_details d on d.id = page.id
order by page.place;

-- name: in_folders
-- A page of the entries of all folders, as `in_folder`.
-- $1 account, $2 pool, $3 recycled, $4 part, $5 offset, $6 take
with total as (
    select case
        when $4::text is not null then (
            select count(*) from files f join file_indexes i on i.file_id = f.id
            where f.account_id = $1 and f.deleted_at is null and not f.is_marked_recycle and f.is_indexed and {match}
        )
        else (select coalesce(sum(file_count), 0)::bigint from folder_counts where account_id = $1 and path = '')
    end as total
),
page as (
    select
        i.file_id as id, i.id as index_id, i.path as index_path, i.created_at as index_created_at,
        i.updated_at as index_updated_at, row_number() over (order by {order}, i.id) as place
    from ({first_files}) f join file_indexes i on i.file_id = f.id
    order by {order}, i.id
    offset $5 limit $6
)
select
    total.total, null::text[] as folders,
    page.index_id, page.index_path, page.index_created_at, page.index_updated_at, d.*
from total
left join page on true
left join file_details d on d.id = page.id
order by page.place;

-- name: folders
-- The names of the folders directly in a folder, found by jumping in the index from one to the next: all that is in a
-- folder lies between `folder/` and `folder0`, as 0 is the character that follows the slash.
with recursive child as (
    (
        select split_part(substr(i.path, length($2) + 1), '/', 1) as name
        from file_indexes i
        where i.account_id = $1 and not i.is_recycled
            and i.path ~>~ case when $6::text is null then $2 else $2 || $6 || '0' end
            and i.path ~<~ (left($2, -1) || '0')
        order by i.path using ~<~
        limit 1
    )
    union all
    select next.name
    from child
    cross join lateral (
        select split_part(substr(i.path, length($2) + 1), '/', 1) as name
        from file_indexes i
        where i.account_id = $1 and not i.is_recycled
            and i.path ~>=~ ($2 || child.name || '0')
            and i.path ~<~ (left($2, -1) || '0')
        order by i.path using ~<~
        limit 1
    ) next
)
select array_agg(name) from (select name from child limit $7) as children
