-- The whole design's tables. Ids that clients see are text of [A-Za-z0-9_-]; sizes are bytes; times are UTC.
-- Indexed text is limited in bytes too: an index row holds 2704 bytes, and 1024 characters can be 4096.

create table pools (
    id uuid primary key,
    name text not null check (char_length(name) between 1 and 1024),
    description text not null default '' check (char_length(description) <= 8192),
    account_id uuid,                                   -- null: the operator's
    is_hidden boolean not null default false,
    storage_config jsonb not null default '{"kind": "local"}',
    storage_secrets jsonb not null default '{}',       -- apart, so that no query shows them by selecting the rest
    cost_multiplier double precision not null default 1 check (cost_multiplier >= 0),
    policy_config jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);

insert into pools (id, name, description, policy_config)
values ('00000000-0000-0000-0000-000000000001', 'Local', 'Files on this server', '{"public_usable": true}');

create table bundles (
    id uuid primary key default gen_random_uuid(),
    slug text not null check (char_length(slug) between 1 and 1024) check (octet_length(slug) <= 2048),
    name text not null check (char_length(name) between 1 and 1024),
    description text not null default '' check (char_length(description) <= 8192),
    passcode_hash text,
    realm_id uuid,
    expired_at timestamptz,
    account_id uuid not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);
-- A deleted bundle gives its slug back.
create unique index bundles_slug on bundles (slug) where deleted_at is null;
create index bundles_of_account on bundles (account_id, created_at desc, id) where deleted_at is null;

-- What is stored, once per content. Files point at it; it goes when the last one does.
create table objects (
    id text primary key check (id ~ '^[A-Za-z0-9_-]{1,32}$'),
    pool_id uuid not null references pools,
    account_id uuid not null,                          -- content is shared within an account, never across
    sha256 bytea not null check (octet_length(sha256) = 32),
    size_bytes bigint not null check (size_bytes >= 0),
    mime_type text not null,
    file_meta jsonb,
    has_compression boolean not null default false,
    has_thumbnail boolean not null default false,
    reference_count integer not null default 1 check (reference_count > 0),
    created_at timestamptz not null default now()
);
create unique index objects_content on objects (account_id, pool_id, sha256);
create index objects_of_pool on objects (pool_id);

create table files (
    id text primary key check (id ~ '^[A-Za-z0-9_-]{1,32}$'),
    account_id uuid not null,
    object_id text references objects,                 -- null once the file is deleted
    pool_id uuid not null references pools,
    bundle_id uuid references bundles,
    name text not null check (char_length(name) between 1 and 1024) check (octet_length(name) <= 2048),
    description text check (char_length(description) <= 4096),
    user_meta jsonb,
    sensitive_marks integer[],
    mime_type text not null check (char_length(mime_type) <= 256),
    size_bytes bigint not null check (size_bytes >= 0), -- as in objects; here too, so that listings by size are indexed
    is_encrypted boolean not null default false,
    is_marked_recycle boolean not null default false,
    storage_url text,
    expired_at timestamptz,
    uploaded_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    check (object_id is not null or deleted_at is not null)
);
create index files_of_account_by_date on files (account_id, created_at desc, id) where deleted_at is null;
create index files_of_account_by_name on files (account_id, name, id) where deleted_at is null;
create index files_of_account_by_size on files (account_id, size_bytes, id) where deleted_at is null;
create index files_of_object on files (object_id);
create index files_of_bundle on files (bundle_id) where deleted_at is null;
create index files_of_pool_recycled on files (pool_id) where is_marked_recycle and deleted_at is null;
create index files_expiring on files (expired_at) where expired_at is not null and deleted_at is null;
create index files_deleted on files (deleted_at) where deleted_at is not null;

-- What a client is shown of a file: one row, one round trip.
create view file_details as
select
    f.id, f.account_id, f.object_id, f.pool_id, f.bundle_id, f.name, f.description, f.user_meta, f.sensitive_marks,
    f.mime_type, f.size_bytes, f.is_encrypted, f.is_marked_recycle, f.storage_url, f.expired_at, f.uploaded_at,
    f.created_at, f.updated_at,
    o.sha256, o.file_meta, o.has_compression, o.has_thumbnail,
    p.name as pool_name, p.description as pool_description, p.policy_config as pool_policy_config,
    p.cost_multiplier as pool_cost_multiplier, p.is_hidden as pool_is_hidden, p.account_id as pool_account_id,
    p.created_at as pool_created_at, p.updated_at as pool_updated_at, p.storage_config as pool_storage_config
from files f
join objects o on o.id = f.object_id
join pools p on p.id = f.pool_id
where f.deleted_at is null;

create table file_references (
    id uuid primary key default gen_random_uuid(),
    file_id text not null references files on delete cascade,
    usage text not null check (octet_length(usage) <= 1024),
    resource_id text not null check (octet_length(resource_id) between 1 and 1024),
    expired_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index file_references_once on file_references (resource_id, usage, file_id);
create index file_references_of_file on file_references (file_id);
create index file_references_expiring on file_references (expired_at) where expired_at is not null;

-- A file in a folder.
create table file_indexes (
    id uuid primary key default gen_random_uuid(),
    account_id uuid not null,
    path text not null check (path ~ '^/' and path ~ '/$' and char_length(path) <= 1024 and octet_length(path) <= 2048),
    file_id text not null references files on delete cascade,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index file_indexes_once on file_indexes (account_id, path text_pattern_ops, file_id);
create index file_indexes_of_file on file_indexes (file_id);

create table quota_records (
    id uuid primary key default gen_random_uuid(),
    account_id uuid not null,
    name text not null check (char_length(name) between 1 and 1024),
    description text not null default '',
    quota_mib bigint not null,
    expired_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);
create index quota_records_of_account on quota_records (account_id, created_at desc, id) where deleted_at is null;

-- What an account's live files take up in each pool: kept by the trigger below, so that no page sums files.
create table usage (
    account_id uuid not null,
    pool_id uuid not null references pools,
    file_count bigint not null default 0,
    size_bytes bigint not null default 0,
    primary key (account_id, pool_id)
);

create function files_counted() returns trigger language plpgsql as $$
begin
    -- Rows are locked in one order, so that two statements over the same accounts cannot wait for each other; an update
    -- that changes no total (a rename) writes nothing.
    if tg_op = 'INSERT' then
        insert into usage as u (account_id, pool_id, file_count, size_bytes)
        select account_id, pool_id, count(*), sum(size_bytes) from new_files
        where deleted_at is null and not is_marked_recycle
        group by account_id, pool_id order by account_id, pool_id
        on conflict (account_id, pool_id) do update
        set file_count = u.file_count + excluded.file_count, size_bytes = u.size_bytes + excluded.size_bytes;
    elsif tg_op = 'DELETE' then
        insert into usage as u (account_id, pool_id, file_count, size_bytes)
        select account_id, pool_id, -count(*), -sum(size_bytes) from old_files
        where deleted_at is null and not is_marked_recycle
        group by account_id, pool_id order by account_id, pool_id
        on conflict (account_id, pool_id) do update
        set file_count = u.file_count + excluded.file_count, size_bytes = u.size_bytes + excluded.size_bytes;
    else
        insert into usage as u (account_id, pool_id, file_count, size_bytes)
        select account_id, pool_id, sum(sign), sum(sign * size_bytes) from (
            select account_id, pool_id, size_bytes, 1 as sign from new_files where deleted_at is null and not is_marked_recycle
            union all
            select account_id, pool_id, size_bytes, -1 from old_files where deleted_at is null and not is_marked_recycle
        ) as changes
        group by account_id, pool_id having sum(sign) <> 0 or sum(sign * size_bytes) <> 0
        order by account_id, pool_id
        on conflict (account_id, pool_id) do update
        set file_count = u.file_count + excluded.file_count, size_bytes = u.size_bytes + excluded.size_bytes;
    end if;
    return null;
end
$$;
create trigger files_counted_in after insert on files
    referencing new table as new_files for each statement execute function files_counted();
create trigger files_counted_over after update on files
    referencing old table as old_files new table as new_files for each statement execute function files_counted();
create trigger files_counted_out after delete on files
    referencing old table as old_files for each statement execute function files_counted();

-- An upload under way. While it is in progress it reserves size_bytes of the account's quota.
create table upload_tasks (
    id text primary key check (id ~ '^[A-Za-z0-9_-]{1,32}$'),
    account_id uuid not null,
    status smallint not null default 1,                -- as on the wire: 1 in progress, 3 completed, 4 failed, 5 cancelled, 6 expired
    file_id text not null unique,                      -- planned at the start, so that completing twice makes one file
    object_id text not null unique,
    file_name text not null check (char_length(file_name) between 1 and 1024) check (octet_length(file_name) <= 2048),
    content_type text not null check (char_length(content_type) <= 256),
    size_bytes bigint not null check (size_bytes >= 0),
    chunk_size_bytes bigint not null check (chunk_size_bytes > 0),
    chunks_count integer not null check (chunks_count >= 0),
    sha256 bytea check (octet_length(sha256) = 32),    -- what the client declared, if it did
    pool_id uuid not null references pools,
    bundle_id uuid references bundles,
    path text check (path ~ '^/' and path ~ '/$' and char_length(path) <= 1024 and octet_length(path) <= 2048),
    file_expired_at timestamptz,
    error_message text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    last_activity_at timestamptz not null default now(),
    completed_at timestamptz,
    expires_at timestamptz not null
);
create index upload_tasks_of_account on upload_tasks (account_id, last_activity_at desc, id);
create index upload_tasks_reserving on upload_tasks (account_id) include (pool_id, size_bytes) where status = 1;
create index upload_tasks_expiring on upload_tasks (expires_at) where status = 1;

create table upload_chunks (
    task_id text not null references upload_tasks on delete cascade,
    chunk_index integer not null check (chunk_index >= 0),
    created_at timestamptz not null default now(),
    primary key (task_id, chunk_index)
);

-- Work that must happen because a transaction committed, and that survives every crash.
create table jobs (
    id bigint generated always as identity primary key,
    kind text not null,
    payload jsonb not null default '{}',
    status text not null default 'pending' check (status in ('pending', 'failed')),
    attempts integer not null default 0,
    run_at timestamptz not null default now(),
    error_message text,
    created_at timestamptz not null default now()
);
create index jobs_due on jobs (run_at, id) where status = 'pending';
create index jobs_failed on jobs (created_at) where status = 'failed';
