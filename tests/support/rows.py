"""The database, looked at and changed from outside of the application."""

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

import asyncpg
import msgspec

from drive.peers.seed import PLAIN_ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Rows: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
else:
    Rows = asyncpg.Connection

POOL_ID = "00000000-0000-0000-0000-000000000001"
"""The pool of every new database."""

TABLES = (
    "file_references",
    "file_indexes",
    "files",
    "objects",
    "usage",
    "upload_tasks",
    "bundles",
    "quota_records",
    "quota_orders",
    "experience_days",
    "events",
    "jobs",
    "schedules",
)
"""All but pools and what is deleted with these, those that refer to others first."""


@asynccontextmanager
async def connected(url: str) -> "AsyncIterator[Rows]":
    """Give a connection that is none of the application's."""
    connection = await asyncpg.connect(url, server_settings={"application_name": "watcher"})
    try:
        await connection.set_type_codec(
            "jsonb",
            schema="pg_catalog",
            encoder=lambda it: msgspec.json.encode(it).decode(),
            decoder=msgspec.json.decode,
        )
        yield connection
    finally:
        await connection.close()


def _json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def add_pool(
    rows: Rows,
    *,
    name: str = "Other",
    account_id: str | None = None,
    is_hidden: bool = False,
    cost_multiplier: float = 1.0,
    **policy: Any,
) -> str:
    """Add a pool that everybody may use, unless the policy says otherwise, and return its id."""
    pool_id = str(uuid4())
    await rows.execute(
        "insert into pools (id, name, account_id, is_hidden, cost_multiplier, policy_config) "
        "values ($1, $2, $3, $4, $5, $6)",
        pool_id,
        name,
        account_id,
        is_hidden,
        cost_multiplier,
        {"public_usable": True} | policy,
    )
    return pool_id


async def add_files(rows: Rows, count: int, account_id: str = PLAIN_ID) -> None:
    """Add files that have no bytes, for listings."""
    await rows.execute(
        """
        with object as (
            insert into objects (id, pool_id, account_id, sha256, size_bytes, mime_type)
            select 'object-' || n, $2, $3, sha256(n::text::bytea), n, 'text/plain' from generate_series(1, $1::int) n
            returning id, size_bytes
        )
        insert into files (id, account_id, object_id, pool_id, name, mime_type, size_bytes)
        select 'file-' || size_bytes, $3, id, $2, 'file ' || size_bytes, 'text/plain', size_bytes from object
        """,
        count,
        POOL_ID,
        account_id,
    )


async def reserved_bytes(rows: Rows, account_id: str = PLAIN_ID) -> int:
    """Return what the account's uploads in progress hold of its quota."""
    query = "select coalesce(sum(size_bytes), 0)::bigint from upload_tasks where account_id = $1 and status = 1"
    return int(await rows.fetchval(query, account_id))


async def used_bytes(rows: Rows, account_id: str = PLAIN_ID) -> int:
    """Return what the account's files take up."""
    query = "select coalesce(sum(size_bytes), 0)::bigint from usage where account_id = $1"
    return int(await rows.fetchval(query, account_id))


async def task_status(rows: Rows, task_id: str) -> int:
    return int(await rows.fetchval("select status from upload_tasks where id = $1", task_id))


async def expire(rows: Rows, task_id: str) -> None:
    """Let an upload be without activity for its lifetime."""
    await rows.execute("update upload_tasks set expires_at = now() - interval '1 s' where id = $1", task_id)


async def wrong_counts(rows: Rows) -> list[dict[str, Any]]:
    """Return the objects whose count is not the number of their files; there must never be any."""
    found = await rows.fetch(
        """
        select o.id, o.reference_count, count(f.id) as files
        from objects o left join files f on f.object_id = o.id and f.deleted_at is null
        group by o.id having o.reference_count <> count(f.id)
        """
    )
    return [dict(row) for row in found]


async def empty(rows: Rows) -> None:
    """Remove what tests add: everything but the pool of every new database."""
    for table in TABLES:
        await rows.execute(f"delete from {table}")
    await rows.execute("delete from pools where id <> $1", POOL_ID)


async def staged_as(rows: Rows, task_id: str) -> str:
    """Return what an upload is called in its store."""
    return str(await rows.fetchval("select object_id from upload_tasks where id = $1", task_id))
