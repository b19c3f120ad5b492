-- name: next
-- Locks the oldest until it is sent: another publisher waits for it and then takes the one after it, so that all are sent
-- in one order, and each by one publisher.
select id, subject, message_id, payload::text as payload from events order by id limit 1 for update;

-- name: sent
delete from events where id = $1;

-- name: ask_deletion
-- Twice: at once, and when no process remembers the account's tokens any more, for what came in until then.
-- $1 account, $2 seconds until the second
insert into jobs (kind, lane, unique_key, payload, run_at)
select
    'delete_account', 'media', 'delete_account:' || $1::uuid || ':' || round,
    jsonb_build_object('account_id', $1::uuid, 'round', round), now() + make_interval(secs => (round - 1) * $2)
from generate_series(1, 2) as round
on conflict (unique_key) where status = 'pending' do nothing;

-- What follows removes a page of what is an account's, and counts it: $1 account, $2 how many.

-- name: end_uploads
-- Their staged bytes are no upload's in progress then, and go with the next sweep.
with ended as (
    update upload_tasks
    set status = 5, error_message = 'The account was deleted.', completed_at = now(), updated_at = now()
    where id in (
        select id from upload_tasks where account_id = $1 and status = 1 order by id limit $2 for update
    )
    returning object_id, pool_id
),
asked as (
    insert into jobs (kind, payload)
    select 'delete_object', jsonb_build_object('object_id', object_id, 'pool_id', pool_id) from ended
)
select count(*) from ended;

-- name: forget_files
-- Rows of files that were deleted; references to them and entries in anybody's folders go along.
with gone as (
    delete from files where id in (select id from files where account_id = $1 and deleted_at is not null limit $2)
    returning id
)
select count(*) from gone;

-- name: forget_entries
with gone as (
    delete from file_indexes where id in (select id from file_indexes where account_id = $1 limit $2) returning id
)
select count(*) from gone;

-- name: forget_uploads
with gone as (
    delete from upload_tasks
    where id in (select id from upload_tasks where account_id = $1 and status <> 1 limit $2)
    returning id
)
select count(*) from gone;

-- name: forget_bundles
with gone as (
    delete from bundles where id in (
        (select id from bundles where account_id = $1 and deleted_at is null limit $2)
        union all
        (select id from bundles where account_id = $1 and deleted_at is not null limit $2)
        limit $2
    )
    returning id
)
select count(*) from gone;

-- name: forget_quota
with gone as (
    delete from quota_records where id in (
        (select id from quota_records where account_id = $1 and deleted_at is null limit $2)
        union all
        (select id from quota_records where account_id = $1 and deleted_at is not null limit $2)
        limit $2
    )
    returning id
)
select count(*) from gone;

-- name: forget_orders
-- After the records of what they paid for.
with gone as (
    delete from quota_orders where id in (select id from quota_orders where account_id = $1 limit $2) returning id
)
select count(*) from gone;

-- name: forget_experience
with gone as (
    delete from experience_days
    where (account_id, day) in (select account_id, day from experience_days where account_id = $1 limit $2)
    returning day
)
select count(*) from gone;

-- name: forget_events
with gone as (
    delete from events where id in (select id from events where payload->>'account_id' = $1::uuid::text limit $2)
    returning id
)
select count(*) from gone;

-- name: forget_usage
-- Where files have come meanwhile it stays, as it counts them.
with gone as (
    delete from usage
    where (account_id, pool_id) in (
        select account_id, pool_id from usage where account_id = $1 and file_count = 0 and recycled_count = 0 limit $2
    )
    returning pool_id
)
select count(*) from gone;
