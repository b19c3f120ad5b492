"""What nobody uses is recycled, what has an end is deleted, and what is deleted goes for good."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from support.rows import POOL_ID, Rows, add_pool, wrong_counts
from upkeep_support import add_bundle, add_objects, add_upload, change, ids

from drive.files.service import deletion
from drive.lazy import lifespan
from drive.peers.seed import PLAIN_ID
from drive.settings import Settings
from drive.upkeep.recycling import QUERIES
from drive.worker_container import WorkerContainer

MARKED = "select id from files where is_marked_recycle"


@pytest_asyncio.fixture
async def container(settings: Settings) -> AsyncIterator[WorkerContainer]:
    """Give a container whose jobs can be called."""
    container = WorkerContainer(settings=settings)
    async with lifespan(container):
        yield container


async def recycling_pool(rows: Rows) -> str:
    return await add_pool(rows, enable_recycle=True)


async def test_old_files_that_nobody_uses_are_recycled(container: WorkerContainer, rows: Rows) -> None:
    """Those in a folder, in a bundle, or with a reference in force are used; so are those of other pools."""
    pool_id = await recycling_pool(rows)
    await add_objects(rows, "unused", "indexed", "bundled", "referred", "forgotten", "deleted", pool_id=pool_id)
    await add_objects(rows, "young", pool_id=pool_id, age="29 days")
    await add_objects(rows, "elsewhere")
    await rows.execute("insert into file_indexes (account_id, path, file_id) values ($1, '/', 'indexed')", PLAIN_ID)
    await change(rows, "files", "bundled", bundle_id=f"'{await add_bundle(rows, 'b')}'")
    await change(rows, "files", "deleted", deleted_at="now()", object_id="null")
    refer = (
        "insert into file_references (file_id, usage, resource_id, expired_at) "
        "values ($1, 'u', 'r', $2::text::timestamptz)"
    )
    await rows.execute(refer, "referred", None)
    await rows.execute(refer, "forgotten", "2020-01-01")
    await container.unused_files().recycle({})
    assert await ids(rows, MARKED) == {"unused", "forgotten"}
    await container.unused_files().recycle({})
    assert await ids(rows, MARKED) == {"unused", "forgotten"}


async def test_more_than_a_page_is_recycled(container: WorkerContainer, rows: Rows) -> None:
    """The used ones among them do not end it before its time."""
    pool_id = await recycling_pool(rows)
    names = [f"file-{n:04}" for n in range(1201)]
    await add_objects(rows, *names, pool_id=pool_id)
    await rows.execute(
        "insert into file_indexes (account_id, path, file_id) "
        "select account_id, '/', id from files where id < 'file-0600'"
    )
    await container.unused_files().recycle({})
    assert len(await ids(rows, MARKED)) == 601


async def test_nobody_begins_to_use_a_file_while_it_is_recycled(
    container: WorkerContainer, rows: Rows, settings: Settings
) -> None:
    """Who refers to it comes before or after; in between, its row is locked."""
    pool_id = await recycling_pool(rows)
    await add_objects(rows, "file", pool_id=pool_id)
    async with rows.transaction():
        await rows.execute("insert into file_references (file_id, usage, resource_id) values ('file', 'u', 'r')")
        recycling = asyncio.create_task(container.unused_files().recycle({}))
        await recycling  # it does not wait: it passes over the file
    assert await ids(rows, MARKED) == set()
    await container.unused_files().recycle({})
    assert await ids(rows, MARKED) == set()


async def test_what_has_expired_is_deleted_with_its_bytes(container: WorkerContainer, rows: Rows) -> None:
    await add_objects(rows, "over", "later", "never")
    await change(rows, "files", "over", expired_at="now() - interval '1 s'")
    await change(rows, "files", "later", expired_at="now() + interval '1 h'")
    for usage, at in (("over", "2020-01-01"), ("later", "2100-01-01"), ("never", None)):
        await rows.execute(
            "insert into file_references (file_id, usage, resource_id, expired_at) "
            "values ('never', $1, 'r', $2::text::timestamptz)",
            usage,
            at,
        )
    await container.expiry().expire({})
    assert await ids(rows, "select id from files where deleted_at is null") == {"later", "never"}
    assert await ids(rows, "select id from objects") == {"later", "never"}
    assert await ids(rows, "select payload->>'object_id' from jobs where kind = 'delete_object'") == {"over"}
    assert await ids(rows, "select usage from file_references") == {"later", "never"}


async def test_more_than_a_page_expires_once_with_two_at_it(
    container: WorkerContainer, rows: Rows, settings: Settings
) -> None:
    await add_objects(rows, *(f"file-{n}" for n in range(1201)))
    await rows.execute("update files set expired_at = now() - interval '1 s'")
    other = WorkerContainer(settings=settings)
    async with lifespan(other):
        await asyncio.gather(container.expiry().expire({}), other.expiry().expire({}))
    assert await rows.fetchval("select count(*) from files where deleted_at is null") == 0
    assert await rows.fetchval("select count(*) from jobs where kind = 'delete_object'") == 1201
    assert await wrong_counts(rows) == []


async def test_what_was_deleted_is_purged_after_its_time(container: WorkerContainer, rows: Rows) -> None:
    await add_objects(rows, "old", "new", "there")
    await change(rows, "files", "old", deleted_at="now() - interval '8 days'", object_id="null")
    await change(rows, "files", "new", deleted_at="now() - interval '6 days'", object_id="null")
    await add_bundle(rows, "old", deleted="now() - interval '8 days'")
    await add_bundle(rows, "new", deleted="now() - interval '6 days'")
    await add_bundle(rows, "there")
    for name, deleted_at in (("old", "2020-01-01"), ("there", None)):
        await rows.execute(
            "insert into quota_records (account_id, name, quota_mib, deleted_at) "
            "values ($1, $2, 1, $3::text::timestamptz)",
            PLAIN_ID,
            name,
            deleted_at,
        )
    await container.purge().purge({})
    assert await ids(rows, "select id from files") == {"new", "there"}
    assert await ids(rows, "select name from bundles") == {"new", "there"}
    assert await ids(rows, "select name from quota_records") == {"there"}
    assert await rows.fetchval("select sum(file_count) from usage") == 1


async def test_ended_uploads_and_failed_jobs_are_forgotten_after_their_time(
    container: WorkerContainer, rows: Rows
) -> None:
    await add_upload(rows, "in-progress")
    for status in (3, 4, 5, 6):
        await add_upload(rows, f"old-{status}", status=status, ended="now() - interval '31 days'")
        await add_upload(rows, f"new-{status}", status=status, ended="now() - interval '29 days'")
    await rows.execute("insert into upload_chunks (task_id, chunk_index) values ('old-3', 0)")
    add_job = "insert into jobs (kind, status, created_at) values ($1, $2, now() - $3::text::interval)"
    await rows.execute(add_job, "old", "failed", "31 days")
    await rows.execute(add_job, "new", "failed", "29 days")
    await rows.execute(add_job, "waiting", "pending", "31 days")
    await container.purge().purge({})
    assert await ids(rows, "select id from upload_tasks") == {"in-progress", *(f"new-{n}" for n in (3, 4, 5, 6))}
    assert await ids(rows, "select kind from jobs") == {"new", "waiting"}


async def test_more_than_a_page_is_purged(container: WorkerContainer, rows: Rows) -> None:
    await add_objects(rows, *(f"file-{n}" for n in range(1201)))
    await rows.execute("update files set deleted_at = now() - interval '8 days', object_id = null")
    await container.purge().purge({})
    assert await rows.fetchval("select count(*) from files") == 0


async def test_a_bundle_stays_while_something_is_in_it(container: WorkerContainer, rows: Rows) -> None:
    """Its files wait in the recycle bin, for their owner to say."""
    bundle_id = await add_bundle(rows, "old", deleted="now() - interval '8 days'")
    await add_objects(rows, "file")
    await change(rows, "files", "file", bundle_id=f"'{bundle_id}'", is_marked_recycle="true")
    await container.purge().purge({})
    assert await ids(rows, "select name from bundles") == {"old"}
    await change(rows, "files", "file", deleted_at="now() - interval '8 days'", object_id="null")
    await container.purge().purge({})
    assert await ids(rows, "select name from bundles") == set()


async def test_a_pool_stays_until_everything_in_it_is_gone(container: WorkerContainer, rows: Rows) -> None:
    pool_id = await add_pool(rows)
    await add_objects(rows, "file", pool_id=pool_id)
    await rows.execute("update pools set deleted_at = now() - interval '8 days' where id = $1", pool_id)
    steps = [
        "select 1",
        "update files set deleted_at = now() - interval '8 days', object_id = null",
        "insert into jobs (kind, payload) select 'delete_object', jsonb_build_object('pool_id', pool_id) from objects",
        "delete from objects",
    ]
    for step in steps:
        await rows.execute(step)
        await container.purge().purge({})
        assert await rows.fetchval("select count(*) from pools where id = $1", pool_id) == 1, step
    await rows.execute("delete from jobs")
    await container.purge().purge({})
    assert await ids(rows, "select id::text from pools") == {POOL_ID}


@pytest.mark.own_database
async def test_each_statement_reads_an_index_where_there_is_much(rows: Rows) -> None:
    """Of ten thousand rows, most are none of its business."""
    pool_id = await recycling_pool(rows)
    await rows.execute("alter table files disable trigger all")
    await add_objects(rows, *(f"file-{n}" for n in range(10_000)), pool_id=pool_id)
    await rows.execute(
        "insert into upload_tasks (id, account_id, status, file_id, object_id, file_name, content_type, size_bytes, "
        "chunk_size_bytes, chunks_count, pool_id, expires_at, completed_at) select n, gen_random_uuid(), 3, n, n, 'a', "
        "'a/b', 1, 1, 1, $1, now(), now() from generate_series(1, 10000) n",
        pool_id,
    )
    await rows.execute("analyze")
    statements: dict[str, tuple[str, list[Any]]] = {
        "lock_page": (QUERIES["lock_page"], [uuid4(), "", 1.0, 500]),
        "purge_files": (QUERIES["purge_files"], [1.0, 500]),
        "purge_uploads": (QUERIES["purge_uploads"], [86400.0, 500]),
        "expire_references": (QUERIES["expire_references"], [500]),
        "expired": (deletion("expired"), []),
        "missing_between": (QUERIES["missing_between"], [[uuid4()], "file-1", "file-2", ["x"], datetime.now(UTC), 100]),
    }
    for name, (query, args) in statements.items():
        plan = "\n".join(row[0] for row in await rows.fetch(f"explain {query}", *args))
        assert "Seq Scan on files" not in plan, (name, plan)
        assert "Seq Scan on upload_tasks" not in plan, (name, plan)
        assert "Seq Scan on objects" not in plan, (name, plan)
