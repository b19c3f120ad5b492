-- name: by_id
select * from file_details where id = $1;

-- name: rename
update files set name = $3, updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning id;

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
    select id, row_number() over (order by {order}) as place from files
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
-- Deletes an account's files; an object whose last file goes is deleted by a job, after this has committed.
-- The counts are taken from the locked rows: two deletions at once see each other's.
with target as (
    select id, object_id from files
    where account_id = $1 and id = any($2) and deleted_at is null
    order by id
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
