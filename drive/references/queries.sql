-- An expired reference is none, in every query here. Statements that lock more than one row do so in one order, so that
-- none waits for another that waits for it: first what a resource uses files for (an advisory lock), then the files by
-- pool and id, as deletions lock them, then the references in that order.

-- name: of_file
-- The total comes with every row, and with a row of nulls where the page is empty.
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

-- name: of_resource
-- $1 resource, $2 usage or null for all of them, $3 take
select * from file_references
where resource_id = $1 and ($2::text is null or usage = $2) and (expired_at is null or expired_at > now())
order by created_at, id
limit $3;

-- name: count
select count(*) from file_references where file_id = $1 and (expired_at is null or expired_at > now());

-- name: exists
select exists (select from file_references where file_id = $1 and (expired_at is null or expired_at > now()));

-- name: create
-- All of them or none: each file that is asked for is answered with a reference, or, where any is unknown, all without.
-- The files are locked before anything is written: one that is being deleted at this moment is waited for, and unknown.
-- $1 files, each once, $2 resource, $3 usage, $4 expired_at
with locked as materialized (select pg_advisory_xact_lock(hashtextextended($3, hashtextextended($2, 0)))),
known as materialized (
    select f.id, f.pool_id from locked, files f
    where f.id = any($1::text[]) and f.deleted_at is null
    order by f.pool_id, f.id
    for share of f
),
created as (
    insert into file_references as r (file_id, resource_id, usage, expired_at)
    select id, $2, $3, $4::timestamptz from known
    where (select count(*) from known) = cardinality($1::text[])
    order by pool_id, id
    on conflict (resource_id, usage, file_id) do update
    set expired_at = excluded.expired_at, updated_at = now(),
        created_at = case when r.expired_at <= now() then now() else r.created_at end
    returning *
)
select asked.file_id as asked_id, known.id is not null as is_known, created.*
from unnest($1::text[]) with ordinality as asked (file_id, place)
left join known on known.id = asked.file_id
left join created on created.file_id = asked.file_id
order by asked.place;

-- name: lock_use
-- Others that write references of one use wait, so that the next statement sees what they have written.
-- $1 resource, $2 usage
select pg_advisory_xact_lock(hashtextextended($2, hashtextextended($1, 0)));

-- name: replace
-- Makes the files of one use exactly these, once the use is locked; answers as `create`. Those that stay keep their
-- expiry; one that has expired does not stay.
-- $1 files, each once, $2 resource, $3 usage, $4 expired_at of those that are added
with known as materialized (
    select f.id, f.pool_id from files f
    where f.id = any($1::text[] || array(select file_id from file_references where resource_id = $2 and usage = $3))
        and f.deleted_at is null
    order by f.pool_id, f.id
    for share
),
is_complete as (select count(*) = cardinality($1::text[]) as yes from known where id = any($1::text[])),
present as materialized (
    select r.* from known k join file_references r on r.file_id = k.id
    where r.resource_id = $2 and r.usage = $3
    order by k.pool_id, k.id
    for update of r
),
removed as (
    delete from file_references r using present p, is_complete
    where yes and r.id = p.id and p.file_id <> all($1::text[])
),
stays as (select * from present where file_id = any($1::text[]) and (expired_at is null or expired_at > now())),
added as (
    insert into file_references (file_id, resource_id, usage, expired_at)
    select id, $2, $3, $4::timestamptz from known, is_complete
    where yes and id = any($1::text[]) and id not in (select file_id from stays)
    order by pool_id, id
    on conflict (resource_id, usage, file_id) do update
    set expired_at = excluded.expired_at, created_at = now(), updated_at = now()
    returning *
),
result as (select * from stays, is_complete where yes union all select *, true from added)
select asked.file_id as asked_id, known.id is not null as is_known, result.*
from unnest($1::text[]) with ordinality as asked (file_id, place)
left join known on known.id = asked.file_id
left join result on result.file_id = asked.file_id
order by asked.place;

-- name: delete
delete from file_references where id = $1 returning expired_at is null or expired_at > now();

-- name: delete_of_resources
-- Those that had expired go, too, but are not counted.
-- $1 resources, $2 usage or null for all of them
with target as materialized (
    select r.id, r.expired_at is null or r.expired_at > now() as is_in_force
    from file_references r join files f on f.id = r.file_id
    where r.resource_id = any($1::text[]) and ($2::text is null or r.usage = $2)
    order by f.pool_id, f.id, r.id
    for share of f
    for update of r
),
gone as (delete from file_references r using target t where r.id = t.id returning t.is_in_force)
select count(*) from gone where is_in_force;

-- name: expire
-- $1 reference, $2 moment or null for never
update file_references set expired_at = $2, updated_at = now()
where id = $1 and (expired_at is null or expired_at > now())
returning id;

-- name: expire_of_file
-- $1 file, $2 moment
with target as materialized (
    select r.id from file_references r join files f on f.id = r.file_id
    where r.file_id = $1 and (r.expired_at is null or r.expired_at > now())
    order by r.id
    for share of f
    for update of r
),
changed as (
    update file_references r set expired_at = $2, updated_at = now() from target t where r.id = t.id returning r.id
)
select count(*) from changed;
