-- name: by_id
select * from file_details where id = $1;

-- name: guarded_by_id
-- A file, and what its bundle asks of readers; those columns are null where it is in none.
select
    d.*,
    b.id as b_id, b.account_id as b_account_id, b.passcode_hash as b_passcode_hash, b.realm_id as b_realm_id,
    b.expired_at as b_expired_at, b.deleted_at as b_deleted_at
from file_details d
left join bundles b on b.id = d.bundle_id
where d.id = $1;

-- name: rename
update files set name = $3, updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning id;

-- name: set_marks
update files set sensitive_marks = $3, updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning id;

-- name: set_meta
update files set user_meta = $3, updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning id;

-- name: set_recycled
update files set is_marked_recycle = $3, updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning id;

-- name: references
-- Those in force. The total comes with every row, and with a row of nulls where the page is empty.
-- $1 file, $2 offset, $3 take
with total as (
    select count(*) as total from file_references
    where file_id = $1 and (expired_at is null or expired_at > now())
),
page as (
    select * from file_references
    where file_id = $1 and (expired_at is null or expired_at > now())
    order by created_at, id
    offset $2 limit $3
)
select total.total, page.* from total left join page on true order by page.created_at, page.id;

-- name: mine
-- The total comes with every row, and with a row of nulls where the page is empty. The order is put in by name, from a
-- fixed table, so that each order runs on its own index.
-- $1 account, $2 pool, $3 recycled, $4 part of the name, $5 offset, $6 take
with total as (
    select case
        when $3 or $4::text is not null then (
            select count(*) from files
            where account_id = $1 and deleted_at is null and is_marked_recycle = $3
                and ($2::uuid is null or pool_id = $2)
                and ($4::text is null or position(lower($4) in lower(name)) > 0)
        )
        else (
            select coalesce(sum(file_count), 0)::bigint from usage
            where account_id = $1 and ($2::uuid is null or pool_id = $2)
        )
    end as total
),
page as (
    select id, row_number() over (order by {order}) as place from files f
    where account_id = $1 and deleted_at is null and is_marked_recycle = $3
        and ($2::uuid is null or pool_id = $2)
        and ($4::text is null or position(lower($4) in lower(name)) > 0)
    order by {order}
    offset $5 limit $6
)
select total.total, d.*
from total
left join page on true
left join file_details d on d.id = page.id
order by page.place;

-- name: delete
-- Deletes a page of files; an object whose last file goes is deleted by a job, after this has committed. Which files, and
-- how many, is put in from a fixed table. The counts are taken from the locked rows: two deletions at once see each
-- other's. All deletions lock in one order, so that none waits for another that waits for it.
with target as (
    select id, object_id from files
    where deleted_at is null and {which}
    order by pool_id, id
    limit {page}
    for update
),
gone as (
    update files f set deleted_at = now(), updated_at = now(), object_id = null
    from target t
    where f.id = t.id
    returning f.id
),
released as (select object_id, count(*) as released from target group by object_id),
locked as (
    select o.id, o.pool_id, o.reference_count - r.released as remaining
    from objects o join released r on r.object_id = o.id
    order by o.id
    for update of o
),
kept as (
    update objects o set reference_count = l.remaining
    from locked l
    where o.id = l.id and l.remaining > 0
    returning o.id
),
freed as (
    delete from objects o using locked l
    where o.id = l.id and l.remaining <= 0
    returning o.id, o.pool_id
),
asked as (
    insert into jobs (kind, payload)
    select 'delete_object', jsonb_build_object('object_id', id, 'pool_id', pool_id) from freed
    returning id
)
select id from gone;
