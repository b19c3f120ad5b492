-- name: claim
-- Takes one due job of a lane: one that waits, or one whose worker let its lease run out. Others pass over what is locked.
-- $1 lane, $2 the claim that the job gets, $3 seconds of the lease
with due as (
    select id from jobs
    where lane = $1 and status <> 'failed' and coalesce(locked_until, run_at) <= now()
    order by coalesce(locked_until, run_at), id
    limit 1
    for update skip locked
)
update jobs j
set status = 'running', attempts = attempts + 1, claim = $2, locked_until = now() + make_interval(secs => $3)
from due
where j.id = due.id
returning j.id, j.kind, j.payload, j.attempts;

-- name: renew
-- Returns the claims that still hold: a lost one was taken by another worker, or its job is gone.
update jobs set locked_until = now() + make_interval(secs => $2) where claim = any($1) returning claim;

-- name: done
delete from jobs where claim = $1;

-- name: retry
-- $1 claim, $2 what went wrong, $3 after how many seconds, give or take a quarter: what failed together comes back apart
update jobs
set
    status = 'pending', claim = null, locked_until = null, error_message = $2,
    run_at = now() + make_interval(secs => $3 * (0.75 + random() / 2))
where claim = $1;

-- name: fail
update jobs set status = 'failed', claim = null, locked_until = null, error_message = $2 where claim = $1;

-- name: give_back
-- As if it had never been taken.
update jobs
set status = 'pending', claim = null, locked_until = null, attempts = attempts - 1
where claim = $1;

-- name: know
insert into schedules (name) select unnest($1::text[]) on conflict do nothing;

-- name: tick
-- Asks for the jobs of the schedules that are due. One process moves a schedule on; several turns that were missed are one.
-- What failed last time gives way to the new attempt; what still runs is not begun twice.
-- $1 names, $2 seconds between two turns, $3 seconds from midnight (UTC) to a turn
with known as (
    select * from unnest($1::text[], $2::double precision[], $3::double precision[]) as k (name, every_s, offset_s)
),
due as (
    select s.name from schedules s join known k on k.name = s.name
    where s.next_run_at <= now()
    order by s.name
    for update of s skip locked
),
begun as (
    update schedules s
    set
        last_run_at = now(),
        next_run_at = make_interval(secs => k.every_s) + date_bin(
            make_interval(secs => k.every_s), now(),
            timestamptz '2001-01-01 00:00:00+00' + make_interval(secs => k.offset_s)
        )
    from due join known k on k.name = due.name
    where s.name = due.name
    returning s.name
),
forgotten as (
    delete from jobs where status = 'failed' and unique_key in (select 'schedule:' || name from begun)
)
insert into jobs (kind, unique_key)
select name, 'schedule:' || name from begun
where not exists (select from jobs where status = 'running' and unique_key = 'schedule:' || begun.name)
on conflict (unique_key) where status = 'pending' do nothing
returning kind;

-- name: next_turn
-- In how many seconds the next of these schedules is due.
select extract(epoch from min(next_run_at) - now())::double precision from schedules where name = any($1);

-- name: has_run
-- Somebody ran it by hand.
insert into schedules (name, last_run_at) values ($1, now()) on conflict (name) do update set last_run_at = now();

-- name: schedules
select name, last_run_at, next_run_at from schedules where name = any($1) order by name;

-- name: counts
select kind, status, count(*) as count from jobs
where ($1::text is null or status = $1) and ($2::text is null or kind = $2)
group by kind, status order by kind, status;

-- name: listed
-- $1 status, $2 kind, $3 at most
select
    id, kind, status, attempts, run_at, error_message, created_at,
    extract(epoch from now() - created_at)::double precision as age_s
from jobs
where ($1::text is null or status = $1) and ($2::text is null or kind = $2)
order by id desc
limit $3;

-- name: try_again
-- Failed jobs from the start: these ids, or all of a kind, or all. Without their key, as one of the same may wait already.
-- $1 ids, or null, $2 kind, or null
update jobs set status = 'pending', attempts = 0, run_at = now(), unique_key = null
where status = 'failed' and ($1::bigint[] is null or id = any($1)) and ($2::text is null or kind = $2)
returning id;

-- name: forget
delete from jobs where status = 'failed' and id = any($1) returning id;
