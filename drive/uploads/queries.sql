-- name: lock_account
-- Reservations of one account wait for each other, so that two cannot both take the last of its quota.
select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0));

-- name: used_bytes
-- What counts against the quota, weighed by pool: files that are there, those that wait to be purged, and uploads that
-- may still become files.
select coalesce(sum(size_bytes * cost_multiplier), 0)::double precision
from (
    select u.size_bytes + u.recycled_size_bytes as size_bytes, p.cost_multiplier
    from usage u join pools p on p.id = u.pool_id where u.account_id = $1
    union all
    select t.size_bytes, p.cost_multiplier from upload_tasks t join pools p on p.id = t.pool_id
    where t.account_id = $1 and t.status = 1
) as taken;

-- name: create
insert into upload_tasks (
    id, account_id, file_id, object_id, file_name, content_type, size_bytes, chunk_size_bytes, chunks_count, sha256,
    pool_id, bundle_id, path, file_expired_at, expires_at, visibility, realm_id, tus_metadata, tus_offset_bytes
)
values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, now() + make_interval(secs => $15), $16, $17, $18,
    case when $18::text is not null then 0 end
)
returning *;

-- name: same_content
-- A file for others than was asked for, or with another end, is not the same.
-- $1 account, $2 pool, $3 SHA-256, $4 bytes, $5 bundle, $6 visibility, $7 realm, $8 when it is to expire
select f.id
from objects o join files f on f.object_id = o.id
where o.account_id = $1 and o.pool_id = $2 and o.sha256 = $3 and o.size_bytes = $4
    and f.deleted_at is null and not f.is_marked_recycle and (f.expired_at is null or f.expired_at > now())
    and f.bundle_id is not distinct from $5
    and f.visibility = $6 and f.realm_id is not distinct from $7::uuid
    and f.expired_at is not distinct from $8::timestamptz
order by f.created_at, f.id
limit 1;

-- name: own_bundle_has_expired
-- No row where the account has no such bundle.
select expired_at is not null and expired_at <= now() from bundles
where id = $1 and account_id = $2 and deleted_at is null;

-- name: index_file
-- The file is locked first, so that it cannot be deleted meanwhile and leave its entry behind.
insert into file_indexes (account_id, path, file_id)
select $1, $2::text, id from files where id = $3 and deleted_at is null for update
on conflict do nothing;

-- name: with_chunks
-- Both at one moment: the chunks are forgotten when another request ends the upload.
select
    t.*,
    array(select chunk_index from upload_chunks c where c.task_id = t.id order by chunk_index) as chunks,
    array(select tag from upload_chunks c where c.task_id = t.id order by chunk_index) as tags
from upload_tasks t
where t.id = $1;

-- name: status
select status from upload_tasks where id = $1;

-- name: chunk_state
select t.*, exists (select from upload_chunks c where c.task_id = t.id and c.chunk_index = $2) as has_chunk
from upload_tasks t
where t.id = $1;

-- name: record_chunk
-- The task's row is locked first, so that nothing is recorded for an upload that ends at the same time.
with touched as (
    update upload_tasks
    set last_activity_at = now(), updated_at = now(), expires_at = now() + make_interval(secs => $3)
    where id = $1 and status = 1
    returning id
),
recorded as (
    insert into upload_chunks (task_id, chunk_index, tag) select id, $2, $4 from touched
    on conflict do nothing
    returning chunk_index
)
select
    (select count(*) from upload_chunks where task_id = $1) + (select count(*) from recorded) as chunks_uploaded,
    exists (select from recorded) as is_new
from touched;

-- name: task
select * from upload_tasks where id = $1;

-- name: advance
-- Only from where a tus upload was when these bytes were written: of two requests that bring the same bytes one counts.
-- $1 task, $2 from which byte, $3 to which, $4 chunks that are whole now, $5 their tags, $6 lifetime in seconds
with touched as (
    update upload_tasks
    set
        tus_offset_bytes = $3, last_activity_at = now(), updated_at = now(),
        expires_at = now() + make_interval(secs => $6)
    where id = $1 and status = 1 and tus_offset_bytes = $2
    returning id, expires_at
),
recorded as (
    insert into upload_chunks (task_id, chunk_index, tag)
    select id, chunk_index, tag from touched, unnest($4::integer[], $5::text[]) as whole (chunk_index, tag)
)
select expires_at from touched;

-- name: resize
-- A direct upload knows its size only when its body has ended.
update upload_tasks set size_bytes = $2 where id = $1 and status = 1 returning *;

-- name: complete
-- The task's end, the file and its object in one statement: all of it happens, or none.
-- Content that the account already has in this pool is shared, and the copy just promoted is deleted by a job; what is
-- new and can be seen or heard is processed by another.
-- A bundle that was deleted meanwhile takes the file along into the recycle bin; the lock lets no deletion come between.
-- The first file of a day, in UTC, earns its owner what the pool gives for it; files of pools that give nothing do not
-- count.
-- $1 task, $2 SHA-256, $3 bytes, $4 whether other services are told
with task as (
    update upload_tasks
    set status = 3, completed_at = now(), updated_at = now(), last_activity_at = now()
    where id = $1 and status = 1
    returning *
),
object as (
    insert into objects (id, pool_id, account_id, sha256, size_bytes, mime_type)
    select object_id, pool_id, account_id, $2, $3, content_type from task
    on conflict (account_id, pool_id, sha256) do update set reference_count = objects.reference_count + 1
    returning id
),
bundle as (select b.deleted_at from task t join bundles b on b.id = t.bundle_id for share of b),
file as (
    insert into files (
        id, account_id, object_id, pool_id, bundle_id, name, mime_type, size_bytes, expired_at, uploaded_at,
        is_marked_recycle, visibility, realm_id, is_indexed
    )
    select
        t.file_id, t.account_id, o.id, t.pool_id, t.bundle_id, t.file_name, t.content_type, $3, t.file_expired_at, now(),
        exists (select from bundle where deleted_at is not null), t.visibility, t.realm_id, t.path is not null
    from task t, object o
    returning id
),
indexed as (
    insert into file_indexes (account_id, path, file_id)
    select t.account_id, t.path, f.id from task t, file f where t.path is not null
),
forgotten as (delete from upload_chunks where task_id = $1),
earned as (
    insert into experience_days (account_id, day, points)
    select t.account_id, (now() at time zone 'utc')::date, (p.policy_config->>'daily_experience')::integer
    from task t join file f on true join pools p on p.id = t.pool_id
    where coalesce((p.policy_config->>'daily_experience')::integer, 0) > 0
    on conflict do nothing
    returning account_id, day
),
rewarded as (
    insert into jobs (kind, payload)
    select 'give_experience', jsonb_build_object('account_id', account_id, 'day', day) from earned
),
redundant as (
    insert into jobs (kind, payload)
    select 'delete_object', jsonb_build_object('object_id', t.object_id, 'pool_id', t.pool_id)
    from task t, object o
    where o.id <> t.object_id
),
processed as (
    insert into jobs (kind, lane, unique_key, payload)
    select
        'process_object', 'media', 'process_object:' || o.id,
        jsonb_build_object('object_id', o.id, 'pool_id', t.pool_id, 'task_id', t.id)
    from task t join object o on o.id = t.object_id join pools p on p.id = t.pool_id
    where t.content_type ~* '^(image|video|audio)/'
        and not (p.policy_config @> '{"no_optimization": true, "no_metadata": true}')
    on conflict (unique_key) where status = 'pending' do nothing
    returning id
),
announced as (
    insert into events (subject, message_id, payload)
    select 'file_uploaded', 'file_uploaded:' || t.file_id, jsonb_build_object(
        'file_id', t.file_id, 'remote_id', t.pool_id, 'storage_id', o.id, 'content_type', t.content_type,
        'account_id', t.account_id, 'bundle_id', t.bundle_id, 'name', t.file_name, 'size', $3::bigint,
        'hash', encode($2, 'hex'), 'uploaded_at', now()
    )
    from task t, object o
    where $4
)
select id, exists (select from processed) as is_to_be_processed from file;

-- name: end
-- Ends an upload without a file: $2 is the status, $3 why. An object that was promoted already is deleted by a job, even
-- if this process is killed next.
with ended as (
    update upload_tasks
    set status = $2, error_message = $3, completed_at = now(), updated_at = now(), last_activity_at = now()
    where id = $1 and status = 1
    returning id, object_id, pool_id
),
forgotten as (delete from upload_chunks where task_id in (select id from ended)),
asked as (
    insert into jobs (kind, payload)
    select 'delete_object', jsonb_build_object('object_id', object_id, 'pool_id', pool_id) from ended
)
select id from ended;

-- name: expire
-- Ends uploads that nobody has touched for their lifetime; the object that a crash may have left is deleted by a job.
with due as (
    select id from upload_tasks where status = 1 and expires_at < now() order by expires_at limit $1 for update skip locked
),
ended as (
    update upload_tasks t
    set status = 6, error_message = 'No activity within its lifetime.', completed_at = now(), updated_at = now()
    from due
    where t.id = due.id
    returning t.id, t.object_id, t.pool_id
),
forgotten as (delete from upload_chunks where task_id in (select id from ended)),
asked as (
    insert into jobs (kind, payload)
    select 'delete_object', jsonb_build_object('object_id', object_id, 'pool_id', pool_id) from ended
)
select id from ended;

-- name: active_among
select object_id from upload_tasks where status = 1 and object_id = any($1);

-- name: history
-- A page of an account's uploads with the chunks that each has. The order is put in by name, from a fixed table. The total
-- comes with every row, and with a row of nulls where the page is empty.
-- $1 account, $2 status, or null, $3 offset, $4 take
with total as (
    select count(*) as total from upload_tasks where account_id = $1 and ($2::smallint is null or status = $2)
),
page as (
    select *, row_number() over (order by {order}) as place from upload_tasks
    where account_id = $1 and ($2::smallint is null or status = $2)
    order by {order}
    offset $3 limit $4
)
select
    total.total, page.*, p.name as pool_name,
    array(select chunk_index from upload_chunks c where c.task_id = page.id order by chunk_index) as chunks
from total
left join page on true
left join pools p on p.id = page.pool_id
order by page.place;

-- name: recent
select t.*, (select count(*) from upload_chunks c where c.task_id = t.id) as chunks_uploaded
from upload_tasks t
where t.account_id = $1
order by t.last_activity_at desc, t.id
limit $2;

-- name: details
select
    t.*, p.name as pool_name, p.description as pool_description,
    b.name as bundle_name, b.description as bundle_description,
    array(select chunk_index from upload_chunks c where c.task_id = t.id order by chunk_index) as chunks
from upload_tasks t
join pools p on p.id = t.pool_id
left join bundles b on b.id = t.bundle_id and b.deleted_at is null
where t.id = $1;

-- name: statistics
-- What arrived of an upload in progress is the sum of its chunks; the last of an upload is what is left for it.
-- $1 account, $2 how many of the latest uploads
with counts as (
    select
        count(*) as total_tasks,
        count(*) filter (where status = 1) as in_progress_tasks,
        count(*) filter (where status = 3) as completed_tasks,
        count(*) filter (where status = 4) as failed_tasks,
        count(*) filter (where status = 6) as expired_tasks,
        coalesce(sum(size_bytes) filter (where status = 3), 0)::bigint as completed_bytes
    from upload_tasks
    where account_id = $1
),
arriving as (
    select
        t.chunks_count, count(c.task_id) as chunks_uploaded,
        coalesce(
            t.tus_offset_bytes,
            sum(least(t.chunk_size_bytes, t.size_bytes - c.chunk_index * t.chunk_size_bytes))
                filter (where c.task_id is not null)
        ) as arrived_bytes
    from upload_tasks t left join upload_chunks c on c.task_id = t.id
    where t.account_id = $1 and t.status = 1
    group by t.id
),
arrived as (
    select
        coalesce(sum(arrived_bytes), 0)::bigint as arrived_bytes,
        coalesce(avg(case when chunks_count = 0 then 100 else 100.0 * chunks_uploaded / chunks_count end), 0)::double precision
            as average_progress
    from arriving
),
recent as (
    select t.*, (select count(*) from upload_chunks c where c.task_id = t.id) as chunks_uploaded
    from upload_tasks t
    where t.account_id = $1
    order by t.last_activity_at desc, t.id
    limit $2
)
select counts.*, arrived.*, recent.*
from counts cross join arrived left join recent on true
order by recent.last_activity_at desc, recent.id;

-- name: forget_failed
-- Cancelled ones too: the original knew no such end, and called them failed.
with gone as (delete from upload_tasks where account_id = $1 and status in (4, 5, 6) returning id)
select count(*) from gone;
