-- Who may read a file. Files that were there before are public, as all were.
alter table files
    add column visibility text not null default 'public',
    add column realm_id uuid,
    add constraint files_visibility_check check (visibility in ('public', 'private', 'realm')),
    add constraint files_realm_check check ((visibility = 'realm') = (realm_id is not null));
alter table upload_tasks
    add column visibility text not null default 'public',
    add column realm_id uuid,
    add constraint upload_tasks_visibility_check check (visibility in ('public', 'private', 'realm')),
    add constraint upload_tasks_realm_check check ((visibility = 'realm') = (realm_id is not null));

create or replace view file_details as
select
    f.id, f.account_id, f.object_id, f.pool_id, f.bundle_id, f.name, f.description, f.user_meta, f.sensitive_marks,
    f.mime_type, f.size_bytes, f.is_encrypted, f.is_marked_recycle, f.storage_url, f.expired_at, f.uploaded_at,
    f.created_at, f.updated_at,
    o.sha256, o.file_meta, o.has_compression, o.has_thumbnail,
    p.name as pool_name, p.description as pool_description, p.policy_config as pool_policy_config,
    p.cost_multiplier as pool_cost_multiplier, p.is_hidden as pool_is_hidden, p.account_id as pool_account_id,
    p.created_at as pool_created_at, p.updated_at as pool_updated_at, p.storage_config as pool_storage_config,
    f.visibility, f.realm_id
from files f
join objects o on o.id = f.object_id
join pools p on p.id = f.pool_id
where f.deleted_at is null;

-- Orders for extra quota. An unpaid one expires by its time alone: no statement has to say so. `paying` means that pass
-- may be taking the money at this moment, `unconfirmed` that it was asked to and nobody knows whether it did.
create table quota_orders (
    id uuid primary key,
    account_id uuid not null,
    status text not null default 'unpaid'
        check (status in ('unpaid', 'paying', 'unconfirmed', 'paid', 'cancelled')),
    quota_mib bigint not null check (quota_mib > 0),
    amount numeric not null check (amount > 0),
    currency text not null check (char_length(currency) between 1 and 64),
    payment_order_id text not null, -- the order in pass
    transaction_id text, -- what paid it, in pass
    expired_at timestamptz not null,
    paid_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index quota_orders_of_account on quota_orders (account_id, created_at desc, id);
create index quota_orders_unpaid on quota_orders (account_id, expired_at) where status = 'unpaid';

-- What an order was paid for, once.
alter table quota_records add column order_id uuid references quota_orders;
create unique index quota_records_once on quota_records (order_id) where order_id is not null;

-- The days (in UTC) for which an account is given experience, each once; `sent_at` says that pass was asked.
create table experience_days (
    account_id uuid not null,
    day date not null,
    points integer not null check (points > 0),
    sent_at timestamptz,
    primary key (account_id, day)
);
