"""The database, looked at and changed from outside of the application."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
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
    "folder_counts",
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
    """Return what is counted or repeated beside the files and is not what they say; there must never be any of it."""
    return [dict(row) for row in await rows.fetch(_WRONG_COUNTS)]


_WRONG_COUNTS = """
with counted as (
    select
        account_id, pool_id,
        count(*) filter (where not is_marked_recycle) as file_count,
        coalesce(sum(size_bytes) filter (where not is_marked_recycle), 0) as size_bytes,
        count(*) filter (where not is_marked_recycle and is_indexed) as indexed_count,
        count(*) filter (where is_marked_recycle) as recycled_count,
        coalesce(sum(size_bytes) filter (where is_marked_recycle), 0) as recycled_size_bytes,
        count(*) filter (where is_marked_recycle and is_indexed) as recycled_indexed_count
    from files where deleted_at is null group by account_id, pool_id
),
kept as (
    select * from usage
    where (file_count, size_bytes, indexed_count, recycled_count, recycled_size_bytes, recycled_indexed_count)
        <> (0, 0, 0, 0, 0, 0)
),
folder as (
    select account_id, counted.path, count(*) as file_count
    from file_indexes i cross join lateral (values (i.path), ('')) as counted (path)
    where not is_recycled group by account_id, counted.path
),
kept_folder as (
    select account_id, path, sum(file_count) as file_count from folder_counts
    group by account_id, path having sum(file_count) <> 0
)
select 'reference_count of an object' as what, o.id, o.reference_count::text as kept, count(f.id)::text as counted
from objects o left join files f on f.object_id = o.id and f.deleted_at is null
group by o.id having o.reference_count <> count(f.id)
union all
select 'usage', coalesce(k.account_id, c.account_id)::text, k::text, c::text
from kept k full join counted c on c.account_id = k.account_id and c.pool_id = k.pool_id
where (
    k.file_count, k.size_bytes, k.indexed_count, k.recycled_count, k.recycled_size_bytes, k.recycled_indexed_count
) is distinct from (
    c.file_count, c.size_bytes, c.indexed_count, c.recycled_count, c.recycled_size_bytes, c.recycled_indexed_count
)
union all
select 'folder_counts', coalesce(k.account_id, c.account_id)::text, k::text, c::text
from kept_folder k full join folder c on c.account_id = k.account_id and c.path = k.path
where k.file_count is distinct from c.file_count
union all
select 'is_indexed', f.id, f.is_indexed::text, (not f.is_indexed)::text
from files f
where f.deleted_at is null and f.is_indexed <> exists (select from file_indexes i where i.file_id = f.id)
union all
select 'what an entry shows of its file', f.id, i::text, f::text
from file_indexes i join files f on f.id = i.file_id
where (i.file_created_at, i.file_name, i.file_size_bytes, i.is_recycled)
    is distinct from (f.created_at, f.name, f.size_bytes, f.is_marked_recycle)
"""


_RELATIONS = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"


@dataclass(frozen=True, slots=True)
class New:
    """What every new database has: the row of its pool, and its tables."""

    pool: dict[str, Any]
    tables: frozenset[str]


async def as_new(rows: Rows) -> New:
    """Look at a database that nobody has used."""
    pool = await rows.fetchval("select to_jsonb(pools) from pools where id = $1", POOL_ID)
    return New(pool, frozenset(row["relname"] for row in await rows.fetch(_RELATIONS)))


async def empty(rows: Rows) -> None:
    """Remove what tests add: everything but the pool of every new database."""
    deletions = [f"delete from {table}" for table in TABLES]
    await rows.execute("; ".join([*deletions, f"delete from pools where id <> '{POOL_ID}'"]))


async def reset(rows: Rows, new: New) -> None:
    """Leave the database as the migrations do; whoever else is still connected is gone then.

    Raises:
        AssertionError: there are other tables than in a new one; those that are too many are dropped.

    """
    others = "datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()"
    await rows.execute(f"select pg_terminate_backend(pid, 10000) from pg_stat_activity where {others}")
    tables = {row["relname"] for row in await rows.fetch(_RELATIONS)}
    for table in tables - new.tables:
        await rows.execute(f'drop table "{table}" cascade')
    assert tables == new.tables, "the test changed the schema: mark it own_database"
    await empty(rows)
    await rows.execute("delete from pools")
    await rows.execute("insert into pools select (jsonb_populate_record(null::pools, $1)).*", new.pool)


async def staged_as(rows: Rows, task_id: str) -> str:
    """Return what an upload is called in its store."""
    return str(await rows.fetchval("select object_id from upload_tasks where id = $1", task_id))
