-- name: take
-- Locks one due job until the transaction ends: other workers pass over it, and a crash gives it back.
select id, kind, payload, attempts from jobs
where status = 'pending' and run_at <= now()
order by run_at, id
limit 1
for update skip locked;

-- name: done
delete from jobs where id = $1;

-- name: retry
update jobs
set attempts = attempts + 1, error_message = $2, run_at = now() + make_interval(secs => $3), status = $4
where id = $1;
