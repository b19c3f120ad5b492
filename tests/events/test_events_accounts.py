"""Of a deleted account nothing remains, and of all others everything."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from events_support import add_events, at_work, events_left, has_stream
from nats.js import JetStreamContext
from support.api import Api
from support.rows import POOL_ID, Rows, add_files, add_pool, wrong_counts
from support.waiting import eventually

from drive.peers.seed import PLAIN_ID, SUBSCRIBER_ID
from drive.settings import Settings
from drive.worker_container import WorkerContainer

Serve = Callable[[WorkerContainer], Awaitable[Api]]

# Where an account has rows. A new table belongs here, and into what `drive.events.accounts` removes.
OF_ACCOUNTS = {
    "bundles",
    "experience_days",
    "file_indexes",
    "files",
    "folder_counts",
    "objects",
    "quota_orders",
    "quota_records",
    "upload_tasks",
    "usage",
}
# A pool that belongs to an account may hold files of others: it is for the operator to decide about.
KEPT = {"pools"}


async def delete(container: WorkerContainer, account_id: str = PLAIN_ID, *, round_: int = 1) -> None:
    """Do the job, as a worker does."""
    await container.account_deletion().delete({"account_id": account_id, "round": round_})


async def rows_of(rows: Rows, account_id: str) -> dict[str, list[Any]]:
    """Return all that tables have of an account, sorted."""
    found = {}
    for table in sorted(OF_ACCOUNTS):
        query = f"select to_jsonb(t) as row from {table} t where account_id = $1 order by to_jsonb(t)::text"
        found[table] = [row["row"] for row in await rows.fetch(query, UUID(account_id))]
    return found


def without_entries_counted(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Leave out what tells of entries, some of which are gone: `wrong_counts` looks at that."""
    told = {"is_indexed", "indexed_count"}
    return {
        table: [{name: value for name, value in row.items() if name not in told} for row in of_table]
        for table, of_table in found.items()
        if table != "folder_counts"
    }


async def count_by_table(rows: Rows, account_id: str) -> dict[str, int]:
    return {table: len(found) for table, found in (await rows_of(rows, account_id)).items() if found}


async def add_things(api: Api, rows: Rows, account_id: str, pool_id: str) -> list[str]:
    """Give an account some of everything that an account can have, and return its files' ids."""
    shared = await api.upload(b"content of " + account_id.encode(), path="/mine/")
    ids = [shared["id"]]
    ids.append((await api.upload_direct(b"content of " + account_id.encode())).json["id"])  # the same object
    ids.append((await api.upload(b"elsewhere " + account_id.encode(), pool_id=pool_id))["id"])
    recycled = (await api.upload_direct(b"recycled")).json["id"]
    await rows.execute("update files set is_marked_recycle = true where id = $1", recycled)
    deleted = (await api.upload_direct(b"deleted")).json["id"]
    assert (await api.delete(f"/api/files/{deleted}")).status == 200
    for state in ("null", "now()"):
        bundle_id = await rows.fetchval(
            f"insert into bundles (account_id, slug, name, deleted_at) values ($1, $2, 'b', {state}) returning id",
            UUID(account_id),
            uuid4().hex,
        )
        await rows.execute("update files set bundle_id = $1 where id = any($2)", bundle_id, [ids[0], deleted])
        order_id = await rows.fetchval(
            "insert into quota_orders (id, account_id, quota_mib, amount, currency, payment_order_id, expired_at) "
            "values (gen_random_uuid(), $1, 1, 1, 'points', 'x', now()) returning id",
            UUID(account_id),
        )
        await rows.execute(
            "insert into quota_records (account_id, name, quota_mib, order_id, deleted_at) "
            f"values ($1, 'q', 1, $2, {state})",
            UUID(account_id),
            order_id,
        )
    await rows.execute("insert into experience_days values ($1, current_date, 1)", UUID(account_id))
    for resource in ("post:1", "post:2"):
        await rows.execute(
            "insert into file_references (file_id, usage, resource_id) values ($1, 'post', $2)", ids[0], resource
        )
    task = (await api.create(b"never finished", chunk_size=10)).json
    await api.send_chunk(task["task_id"], 0, b"never fini")
    cancelled = (await api.create(b"cancelled")).json
    await api.cancel(cancelled["task_id"])
    return ids


async def two_accounts(api: Api, rows: Rows) -> tuple[list[str], list[str]]:
    """Give two accounts everything; each has a file of the other in a folder."""
    pool_id = await add_pool(rows, name="Elsewhere")
    other = api.signed_in_as("subscriber")
    mine = await add_things(api, rows, PLAIN_ID, pool_id)
    theirs = await add_things(other, rows, SUBSCRIBER_ID, pool_id)
    for account_id, file_id in ((PLAIN_ID, theirs[1]), (SUBSCRIBER_ID, mine[1])):
        await rows.execute(
            "insert into file_indexes (account_id, path, file_id) values ($1, '/of others/', $2)",
            UUID(account_id),
            file_id,
        )
    return mine, theirs


async def test_nothing_of_the_account_remains_and_everything_of_others(
    api: Api, container_without_nats: WorkerContainer, rows: Rows, settings: Settings
) -> None:
    mine, theirs = await two_accounts(api, rows)
    assert set(await count_by_table(rows, PLAIN_ID)) == OF_ACCOUNTS
    before = await rows_of(rows, SUBSCRIBER_ID)
    references = await rows.fetch("select * from file_references where file_id = any($1) order by id", theirs)

    await delete(container_without_nats)
    assert await count_by_table(rows, PLAIN_ID) == {}
    before["file_indexes"] = [one for one in before["file_indexes"] if one["file_id"] not in mine]
    assert without_entries_counted(await rows_of(rows, SUBSCRIBER_ID)) == without_entries_counted(before)
    assert await rows.fetch("select * from file_references order by id") == references
    assert await wrong_counts(rows) == []
    assert await rows.fetchval("select count(*) from usage where account_id = $1", UUID(PLAIN_ID)) == 0
    await assert_bytes_are_those_of_rows(container_without_nats, rows, settings)
    assert (await api.signed_in_as("subscriber").get(f"/api/files/{theirs[0]}")).status == 200


async def assert_bytes_are_those_of_rows(container: WorkerContainer, rows: Rows, settings: Settings) -> None:
    """Do the jobs that delete objects, and the sweep, and look at the disk."""
    sweep = container.sweep()
    for job in await rows.fetch("select payload from jobs where kind = 'delete_object'"):
        await sweep.delete_object(job["payload"])
    await sweep({})
    objects = {row["id"] for row in await rows.fetch("select id from objects")}
    staged = {row["object_id"] for row in await rows.fetch("select object_id from upload_tasks where status = 1")}
    stored = {one.name for one in (settings.storage_path / "objects").rglob("*") if one.is_file()}
    assert stored == objects
    assert len(list((settings.storage_path / "staging").glob("*"))) >= len(staged) > 0
    for object_id in staged:
        assert any(object_id in one.name for one in (settings.storage_path / "staging").rglob("*"))


async def test_deleting_again_finds_nothing_and_what_came_meanwhile_goes_the_second_time(
    api: Api, container_without_nats: WorkerContainer, rows: Rows
) -> None:
    """A process that remembers a token for a while still lets the account in."""
    await two_accounts(api, rows)
    await delete(container_without_nats)
    await delete(container_without_nats)
    assert await count_by_table(rows, PLAIN_ID) == {}

    await api.upload(b"late", path="/late/")
    await api.create(b"later")
    assert await count_by_table(rows, PLAIN_ID) != {}
    await delete(container_without_nats, round_=2)
    assert await count_by_table(rows, PLAIN_ID) == {}
    assert await wrong_counts(rows) == []


async def test_an_account_that_has_nothing_is_deleted_too(container_without_nats: WorkerContainer, rows: Rows) -> None:
    await delete(container_without_nats, str(uuid4()))
    assert await rows.fetchval("select count(*) from jobs") == 0


async def test_every_table_that_names_an_account_is_known(rows: Rows) -> None:
    """A table that is new must be emptied too, or said to be kept."""
    found = await rows.fetch(
        "select distinct c.table_name from information_schema.columns c "
        "join information_schema.tables t using (table_schema, table_name) "
        "where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.column_name like '%account_id'"
    )
    assert {row["table_name"] for row in found} == OF_ACCOUNTS | KEPT


async def test_many_files_go_in_pages_each_by_an_index(container_without_nats: WorkerContainer, rows: Rows) -> None:
    """No lock is held for long, and no other account's rows are read."""
    await add_files(rows, 1234)
    await rows.execute("insert into file_indexes (account_id, path, file_id) select account_id, '/', id from files")
    await delete(container_without_nats)
    assert await count_by_table(rows, PLAIN_ID) == {}
    assert await rows.fetchval("select count(*) from jobs where kind = 'delete_object'") == 1234


async def test_a_deletion_that_is_cut_short_keeps_what_it_did_and_goes_on(
    container_without_nats: WorkerContainer, rows: Rows, database_url: str
) -> None:
    """A worker that is killed between two pages, which this makes as long as it likes."""
    await add_files(rows, 1234)
    last_of_second = await rows.fetchval("select id from files order by pool_id, id offset 999 limit 1")
    locking = await asyncpg.connect(database_url)
    async with locking.transaction():
        await locking.execute("select from files where id = $1 for update", last_of_second)
        deleting = asyncio.create_task(delete(container_without_nats))
        await eventually(lambda: is_waiting(rows))
        deleting.cancel()
        await asyncio.wait([deleting])
    await locking.close()
    assert await rows.fetchval("select count(*) from files where deleted_at is null") == 734
    await delete(container_without_nats)
    assert await count_by_table(rows, PLAIN_ID) == {}
    assert await rows.fetchval("select count(*) from jobs where kind = 'delete_object'") == 1234
    assert await wrong_counts(rows) == []


async def is_waiting(rows: Rows) -> bool:
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    return int(await rows.fetchval(query)) > 0


async def test_an_upload_that_is_completed_meanwhile_leaves_nothing(
    api: Api, container_without_nats: WorkerContainer, rows: Rows
) -> None:
    """It is a file that is deleted, or it ended before it was one; never a file that stays."""
    tasks = []
    for number in range(20):
        content = f"content {number}".encode()
        task = (await api.create(content)).json
        await api.send_chunks(task, content)
        tasks.append(task)
    answers = await asyncio.gather(
        *(api.complete(task["task_id"]) for task in tasks[:10]),
        delete(container_without_nats),
        *(api.complete(task["task_id"]) for task in tasks[10:]),
    )
    assert {answer.status for answer in answers if answer is not None} <= {200, 404, 409}
    await delete(container_without_nats, round_=2)
    assert await count_by_table(rows, PLAIN_ID) == {}
    assert await wrong_counts(rows) == []


async def test_what_was_to_be_told_of_the_account_is_not(container_without_nats: WorkerContainer, rows: Rows) -> None:
    await add_events(rows, ["of another"])
    await rows.execute(
        "insert into events (subject, message_id, payload) values ('file_uploaded', 'x', $1)", {"account_id": PLAIN_ID}
    )
    await delete(container_without_nats)
    assert await events_left(rows) == 1


PLANS = {
    "end_uploads": "upload_tasks",
    "forget_files": "files",
    "forget_entries": "file_indexes",
    "forget_uploads": "upload_tasks",
    "forget_bundles": "bundles",
    "forget_quota": "quota_records",
    "forget_orders": "quota_orders",
    "forget_experience": "experience_days",
    "forget_usage": "usage",
}


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.own_database
async def test_an_accounts_rows_are_found_by_an_index(rows: Rows, name: str) -> None:
    """Among those of thousands of others, of all states."""
    from drive.events.accounts import QUERIES

    await rows.execute(
        f"""
        insert into bundles (account_id, slug, name, deleted_at)
        select gen_random_uuid(), 's' || n, 'b', case when n % 2 = 0 then now() end from generate_series(1, 5000) n;
        insert into quota_records (account_id, name, quota_mib, deleted_at)
        select gen_random_uuid(), 'q', 1, case when n % 2 = 0 then now() end from generate_series(1, 5000) n;
        insert into quota_orders (id, account_id, quota_mib, amount, currency, payment_order_id, expired_at)
        select gen_random_uuid(), gen_random_uuid(), 1, 1, 'points', 'x', now() from generate_series(1, 5000);
        insert into experience_days select gen_random_uuid(), current_date, 1 from generate_series(1, 5000);
        insert into files (id, account_id, pool_id, name, mime_type, size_bytes, deleted_at)
        select 'f' || n, gen_random_uuid(), '{POOL_ID}', 'f', 'text/plain', 1, now() from generate_series(1, 5000) n;
        insert into file_indexes (account_id, path, file_id)
        select gen_random_uuid(), '/', 'f' || n from generate_series(1, 5000) n;
        insert into upload_tasks (
            id, account_id, status, file_id, object_id, file_name, content_type, size_bytes, chunk_size_bytes,
            chunks_count, pool_id, expires_at
        )
        select 't' || n, gen_random_uuid(), 1 + n % 3, 'tf' || n, 'to' || n, 'f', 'text/plain', 1, 1, 1, '{POOL_ID}',
            now()
        from generate_series(1, 5000) n;
        insert into usage select gen_random_uuid(), '{POOL_ID}', 0, 0 from generate_series(1, 5000);
        analyze bundles, quota_records, quota_orders, experience_days, files, file_indexes, upload_tasks, usage;
        """
    )
    plan = "\n".join(row[0] for row in await rows.fetch(f"explain {QUERIES[name]}", UUID(PLAIN_ID), 500))
    assert f"Seq Scan on {PLANS[name]}" not in plan, plan


async def test_told_by_nats_a_worker_deletes_the_account(
    nats_settings: Settings, serve_app: Serve, jetstream: JetStreamContext, container: WorkerContainer, rows: Rows
) -> None:
    """From the message to the last row, while the account is still at work."""
    api = await serve_app(WorkerContainer(settings=nats_settings))
    await two_accounts(api, rows)
    async with at_work(container.events().run(), container.worker().run()):
        await eventually(lambda: has_stream(jetstream, "account_events"))
        await jetstream.publish("account_deleted", b'{"account_id": "%b"}' % PLAIN_ID.encode())
        await eventually(lambda: is_empty(rows), 30.0)
        rounds = await rows.fetch("select payload->'round' as round from jobs where kind = 'delete_account'")
        assert [row["round"] for row in rounds] == [2]
    assert await count_by_table(rows, SUBSCRIBER_ID) != {}


async def is_empty(rows: Rows) -> bool:
    gone = "select count(*) from jobs where kind = 'delete_account' and payload->'round' = '1'"
    return await count_by_table(rows, PLAIN_ID) == {} and await rows.fetchval(gone) == 0
