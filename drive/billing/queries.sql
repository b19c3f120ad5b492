-- name: extra_quota
select coalesce(sum(quota_mib), 0)::bigint
from quota_records
where account_id = $1 and deleted_at is null and (expired_at is null or expired_at > now());

-- name: records
-- The total comes with every row, and with a row of nulls where the page is empty.
-- $1 account, $2 expired ones too, $3 offset, $4 take
with total as (
    select count(*) as total from quota_records
    where account_id = $1 and deleted_at is null and ($2 or expired_at is null or expired_at > now())
),
page as (
    select id, account_id, name, description, quota_mib, expired_at, created_at, updated_at from quota_records
    where account_id = $1 and deleted_at is null and ($2 or expired_at is null or expired_at > now())
    order by created_at desc, id
    offset $3 limit $4
)
select total.total, page.* from total left join page on true order by page.created_at desc, page.id;

-- name: usage
-- Pools that the account sees or has files in; never the names of other accounts' private ones. Recycled files are no
-- longer shown, but hold what they take up until they are purged.
-- $1 account, $2 one pool, or null
select
    p.id, p.name, coalesce(u.size_bytes, 0) as size_bytes, coalesce(u.file_count, 0) as file_count,
    coalesce(u.recycled_size_bytes, 0) as recycled_bytes, p.cost_multiplier
from pools p
left join usage u on u.pool_id = p.id and u.account_id = $1
where p.deleted_at is null and ($2::uuid is null or p.id = $2)
    and (
        u.file_count > 0
        or u.recycled_count > 0
        or p.account_id = $1
        or (coalesce((p.policy_config->>'public_usable')::boolean, false) and not p.is_hidden)
    )
order by p.created_at, p.id;

-- name: unpaid_orders
select count(*) from quota_orders where account_id = $1 and status = 'unpaid' and expired_at > now();

-- name: lock_orders
-- Orders of one account are added one after the other, so that they can be counted before.
select pg_advisory_xact_lock(hashtextextended('orders:' || $1::uuid::text, 0));

-- name: add_order
-- $1 id, $2 account, $3 MiB, $4 amount, $5 currency, $6 order in pass, $7 lifetime in s, $8 most unpaid ones
insert into quota_orders (id, account_id, quota_mib, amount, currency, payment_order_id, expired_at)
select $1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7)
where (
    select count(*) from quota_orders where account_id = $2 and status = 'unpaid' and expired_at > now()
) < $8
returning *, false as is_over;

-- name: order
-- $1 order, $2 account, or null for any
select *, expired_at <= now() as is_over from quota_orders where id = $1 and ($2::uuid is null or account_id = $2);

-- name: orders
-- The total comes with every row, and with a row of nulls where the page is empty.
-- $1 account, $2 offset, $3 take
with total as (
    select count(*) as total from quota_orders where account_id = $1
),
page as (
    select *, expired_at <= now() as is_over from quota_orders
    where account_id = $1
    order by created_at desc, id
    offset $2 limit $3
)
select total.total, page.* from total left join page on true order by page.created_at desc, page.id;

-- name: begin_payment
-- Only one request gets the row, and pass is asked only after this has committed. A job looks after $3 seconds whether
-- the request has come back to write what pass said.
with begun as (
    update quota_orders set status = 'paying', updated_at = now()
    where id = $1 and account_id = $2 and status = 'unpaid' and expired_at > now()
    returning id
),
asked as (
    insert into jobs (kind, payload, run_at)
    select 'doubt_payment', jsonb_build_object('order_id', id), now() + make_interval(secs => $3) from begun
)
select id from begun;

-- name: end_payment
-- The order is paid, its quota there, and the order in pass given back by a job: all of it once, or none.
-- $1 order, $2 transaction in pass, if it is known, $3 what the order must be
with paid as (
    update quota_orders
    set status = 'paid', transaction_id = $2, paid_at = now(), updated_at = now()
    where id = $1 and status = any($3)
    returning *
),
recorded as (
    insert into quota_records (account_id, name, description, quota_mib, order_id)
    select account_id, 'Order', id::text, quota_mib, id from paid
),
asked as (
    insert into jobs (kind, payload)
    select 'withdraw_order', jsonb_build_object('payment_order_id', payment_order_id) from paid
)
select *, expired_at <= now() as is_over from paid;

-- name: undo_payment
-- Nothing was taken: the order can be paid again, until it expires.
-- $1 order, $2 what it must be
update quota_orders set status = 'unpaid', updated_at = now()
where id = $1 and status = any($2)
returning *, expired_at <= now() as is_over;

-- name: doubt_payment
update quota_orders set status = 'unconfirmed', updated_at = now()
where id = $1 and status = 'paying'
returning *;

-- name: cancel_order
with cancelled as (
    update quota_orders set status = 'cancelled', updated_at = now()
    where id = $1 and account_id = $2 and status = 'unpaid' and expired_at > now()
    returning *
),
asked as (
    insert into jobs (kind, payload)
    select 'withdraw_order', jsonb_build_object('payment_order_id', payment_order_id) from cancelled
)
select *, false as is_over from cancelled;

-- name: ask_experience
-- Whoever gets the row asks pass; nobody does a second time, lest the points are there twice.
update experience_days set sent_at = now()
where account_id = $1 and day = $2 and sent_at is null
returning points;

-- name: unask_experience
update experience_days set sent_at = null where account_id = $1 and day = $2;

-- name: forget_experience
-- A day that is over for some time cannot come again.
delete from experience_days where account_id = $1 and day < (now() at time zone 'utc')::date - 7 and sent_at is not null;
