-- A job is taken for a while (a lease), which its worker renews, and not for the length of a transaction: work of minutes
-- holds no lock, and a killed worker's job is taken by the next.
alter table jobs
    drop constraint jobs_status_check,
    add constraint jobs_status_check check (status in ('pending', 'running', 'failed')),
    add column lane text not null default 'quick' check (lane in ('quick', 'media')),
    add column claim uuid,                             -- whose it is while it runs
    add column locked_until timestamptz,               -- when anybody may take it from a worker that is silent
    add column unique_key text check (octet_length(unique_key) <= 1024),
    add constraint jobs_claim_check check ((status = 'running') = (claim is not null and locked_until is not null));

drop index jobs_due;
create index jobs_due on jobs (lane, coalesce(locked_until, run_at), id) where status <> 'failed';
create unique index jobs_claimed on jobs (claim) where claim is not null;
-- What waits is asked for once; what runs may be asked for again, as it may have begun before the reason for it.
create unique index jobs_waiting_once on jobs (unique_key) where status = 'pending';
create index jobs_begun on jobs (unique_key) where unique_key is not null and status <> 'pending';

-- What is done at an interval: whoever moves `next_run_at` on asks for it.
create table schedules (
    name text primary key,
    last_run_at timestamptz,
    next_run_at timestamptz not null default now()
);

-- What was made of an object: `{"webp": {"size_bytes": 1, "mime_type": "image/webp"}}`, stored as `<id>.webp`.
alter table objects add column variants jsonb not null default '{}';
-- In the order of the bytes, as stores list what they hold.
create index objects_in_byte_order on objects (id collate "C");

-- For what is looked for by day: files that nobody uses, uploads that have long ended, and what a purged row leaves free.
create index files_of_pool on files (pool_id, id);
create index files_of_any_bundle on files (bundle_id) where bundle_id is not null;
create index upload_tasks_of_bundle on upload_tasks (bundle_id) where bundle_id is not null;
create index upload_tasks_of_pool on upload_tasks (pool_id);
create index upload_tasks_ended on upload_tasks (completed_at) where status <> 1;
create index bundles_deleted on bundles (deleted_at) where deleted_at is not null;
create index pools_deleted on pools (deleted_at) where deleted_at is not null;
create index quota_records_deleted on quota_records (deleted_at) where deleted_at is not null;
