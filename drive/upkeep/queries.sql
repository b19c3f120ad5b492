-- name: recycling_pools
select id from pools where policy_config->'enable_recycle' = 'true' order by id;

-- name: lock_page
-- A page of a pool's older files. They are locked before the next statement looks at who uses them: nobody begins to
-- meanwhile, as that locks the file, too.
-- $1 pool, $2 after this id, $3 seconds of age, $4 at most
select id from files
where pool_id = $1 and id > $2 and deleted_at is null and not is_marked_recycle
    and created_at < now() - make_interval(secs => $3)
order by id
limit $4
for update skip locked;

-- name: recycle_unused
update files f set is_marked_recycle = true, updated_at = now()
where f.id = any($1) and not f.is_marked_recycle and f.bundle_id is null
    and not exists (select from file_indexes i where i.file_id = f.id)
    and not exists (
        select from file_references r where r.file_id = f.id and (r.expired_at is null or r.expired_at > now())
    )
returning f.id;

-- name: expire_references
-- $1 at most
delete from file_references
where id in (select id from file_references where expired_at <= now() order by expired_at limit $1 for update skip locked)
returning id;

-- name: fold_folder_counts
-- Of whichever folders have changed: all that was added to their counts becomes one row, or none where it is nothing. Two
-- that fold at once wait for each other, and each keeps the sum of what it has removed.
-- $1 one account, or null for all; $2 folders at most
with changed as (
    select distinct account_id, path from folder_counts
    where not is_folded and ($1::uuid is null or account_id = $1)
    limit $2
),
removed as (
    delete from folder_counts c using changed
    where c.account_id = changed.account_id and c.path = changed.path
    returning c.account_id, c.path, c.file_count
),
kept as (
    insert into folder_counts (account_id, path, file_count, is_folded)
    select account_id, path, sum(file_count), true from removed group by account_id, path having sum(file_count) <> 0
)
select count(*) from changed;

-- name: purge_files
-- $1 seconds since they were deleted, or ended, in all statements that purge; $2 at most
delete from files
where id in (
    select id from files where deleted_at < now() - make_interval(secs => $1)
    order by deleted_at limit $2 for update skip locked
)
returning id;

-- name: purge_uploads
delete from upload_tasks
where id in (
    select id from upload_tasks where status <> 1 and completed_at < now() - make_interval(secs => $1)
    order by completed_at limit $2 for update skip locked
)
returning id;

-- name: purge_bundles
-- Not while a file, be it in the recycle bin, or an upload still names it.
delete from bundles
where id in (
    select b.id from bundles b
    where b.deleted_at < now() - make_interval(secs => $1)
        and not exists (select from files f where f.bundle_id = b.id)
        and not exists (select from upload_tasks t where t.bundle_id = b.id)
    order by b.deleted_at limit $2 for update skip locked
)
returning id;

-- name: purge_quota_records
delete from quota_records
where id in (
    select id from quota_records where deleted_at < now() - make_interval(secs => $1)
    order by deleted_at limit $2 for update skip locked
)
returning id;

-- name: purge_pools
-- Not while anything is in it, or waits to be deleted from its store.
with gone as (
    select p.id from pools p
    where p.deleted_at < now() - make_interval(secs => $1)
        and not exists (select from files f where f.pool_id = p.id)
        and not exists (select from objects o where o.pool_id = p.id)
        and not exists (select from upload_tasks t where t.pool_id = p.id)
        and not exists (select from jobs j where j.payload->>'pool_id' = p.id::text)
    order by p.deleted_at limit $2 for update skip locked
),
uncounted as (delete from usage u using gone where u.pool_id = gone.id)
delete from pools p using gone where p.id = gone.id returning p.id;

-- name: purge_jobs
delete from jobs
where id in (
    select id from jobs where status = 'failed' and created_at < now() - make_interval(secs => $1)
    order by created_at limit $2 for update skip locked
)
returning id;

-- name: pools
select id, now() as asked_at from pools order by id;

-- name: known_among
-- Those of these ids that are objects, or may become some.
select id from objects where id = any($1)
union all
select object_id from upload_tasks where status = 1 and object_id = any($1);

-- name: missing_between
-- Objects of a store that it did not list, though they were there before it was asked.
-- $1 pools, $2 after this id, $3 up to this one, or null for all that follow, $4 what was listed, $5 when it was asked,
-- $6 at most
select id from objects
where id collate "C" > $2 and ($3::text is null or id collate "C" <= $3)
    and pool_id = any($1) and created_at < $5 and not (id = any($4))
order by id collate "C"
limit $6;
