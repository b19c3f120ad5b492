-- What an operator is told of the database, and of what is done in it.

-- name: jobs
select kind, status, count(*) as count from jobs group by kind, status order by kind, status;

-- name: waiting
-- For how many seconds the job has been due that nobody has taken for longest.
select extract(epoch from now() - min(run_at))::double precision from jobs
where status = 'pending' and run_at <= now();

-- name: uploads
select count(*) from upload_tasks where status = 1 and expires_at > now();

-- name: connections
-- Other clients of this database, by what they call themselves.
select application_name as name, coalesce(state, 'unknown') as state, count(*) as count from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
group by 1, 2 order by 1, 2;

-- name: server
select
    current_setting('max_connections')::int as most,
    (
        select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
    ) as connections;
