-- What other services are still to be told, in the order in which they will be. A row is written by the statement that
-- does what it tells of, and deleted once JetStream has it, which knows it again by `message_id`.
create table events (
    id bigint generated always as identity primary key,
    subject text not null,
    message_id text not null,
    payload jsonb not null,
    created_at timestamptz not null default now()
);

-- What is left of a deleted account is looked for by account, also what was deleted before.
create index files_deleted_of_account on files (account_id) where deleted_at is not null;
create index bundles_deleted_of_account on bundles (account_id) where deleted_at is not null;
create index quota_records_deleted_of_account on quota_records (account_id) where deleted_at is not null;
