-- name: shown
-- A bundle and a page of the files in it, oldest first. The total comes with every row, and the files' columns are null
-- where the page is empty. Files of pools that serve no anonymous readers are for those who have signed in, private ones
-- for their owner, those for a realm for its members: of these it shows what is for the bundle's own realm, where $3 says
-- that the reader belongs to it.
-- $1 id or slug, as {which} says, $2 the reader, or null, $3 whether it belongs to the realm, $4 offset, $5 take
with bundle as (
    select * from bundles where {which} and deleted_at is null
),
present as (
    select f.id, f.created_at, f.visibility
    from bundle b
    join files f on f.bundle_id = b.id
    join pools p on p.id = f.pool_id
    where f.deleted_at is null and not f.is_marked_recycle and (f.expired_at is null or f.expired_at > now())
        and (
            f.visibility = 'public'
            or f.account_id = $2
            or ($3 and f.visibility = 'realm' and f.realm_id = b.realm_id)
        )
        and ($2::uuid is not null or coalesce((p.policy_config->>'allow_anonymous')::boolean, true))
),
page as (
    select id, created_at from present order by created_at, id offset $4 limit $5
)
select
    b.id as b_id, b.slug as b_slug, b.name as b_name, b.description as b_description,
    b.passcode_hash as b_passcode_hash, b.realm_id as b_realm_id, b.expired_at as b_expired_at,
    b.account_id as b_account_id, b.created_at as b_created_at, b.updated_at as b_updated_at,
    b.deleted_at as b_deleted_at,
    (select count(*) from present) as total,
    exists (select from present where visibility = 'realm') as has_realm_files,
    d.*
from bundle b
left join page on true
left join file_details d on d.id = page.id
order by page.created_at, page.id;

-- name: mine
-- The total comes with every row, and with a row of nulls where the page is empty.
-- $1 account, $2 part of the name, $3 offset, $4 take
with total as (
    select count(*) as total from bundles
    where account_id = $1 and deleted_at is null and ($2::text is null or position(lower($2) in lower(name)) > 0)
),
page as (
    select * from bundles
    where account_id = $1 and deleted_at is null and ($2::text is null or position(lower($2) in lower(name)) > 0)
    order by created_at desc, id
    offset $3 limit $4
)
select total.total, page.* from total left join page on true order by page.created_at desc, page.id;

-- name: slug_of_own
select slug from bundles where id = $1 and account_id = $2 and deleted_at is null;

-- name: create
-- Empty texts are for what is absent. Gives no row where another bundle has the slug.
insert into bundles (account_id, slug, name, description, passcode_hash, expired_at, realm_id)
values ($1, $2, $3, $4, nullif($5, ''), nullif($6, '')::timestamptz, nullif($7, '')::uuid)
on conflict (slug) where deleted_at is null do nothing
returning *;

-- name: change
-- Null leaves a column as it is, an empty text clears it.
update bundles set
    slug = coalesce($3, slug),
    name = coalesce($4, name),
    description = coalesce($5, description),
    passcode_hash = nullif(coalesce($6, passcode_hash), ''),
    expired_at = case when $7::text is null then expired_at else nullif($7, '')::timestamptz end,
    realm_id = case when $8::text is null then realm_id else nullif($8, '')::uuid end,
    updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning *;

-- name: delete
update bundles set deleted_at = now(), updated_at = now()
where id = $1 and account_id = $2 and deleted_at is null
returning id;

-- name: recycle_files
-- A statement of its own, after the bundle's end: it sees the files of uploads that were completed until then, and those
-- after it see that end. Locks in the order of all deletions, so that none waits for another that waits for it.
with target as (
    select id from files
    where bundle_id = $1 and deleted_at is null and not is_marked_recycle
    order by pool_id, id
    for update
)
update files f set is_marked_recycle = true, updated_at = now() from target t where f.id = t.id;
