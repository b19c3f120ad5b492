"""The trigger that keeps `usage`: whatever happens to files, it is the sum of those that count."""

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

from db_support import opened, watching
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    import asyncpg

ACCOUNTS = [UUID(int=number) for number in range(1, 4)]
POOLS = [UUID(int=number) for number in range(1, 3)]
IDS = [f"f{number}" for number in range(6)]

COUNTS = (
    "file_count",
    "size_bytes",
    "indexed_count",
    "recycled_count",
    "recycled_size_bytes",
    "recycled_indexed_count",
)
KEPT = f"select account_id, pool_id, {', '.join(COUNTS)} from usage where ({', '.join(COUNTS)}) <> (0, 0, 0, 0, 0, 0)"
COUNTED = """
select
    account_id, pool_id,
    count(*) filter (where not is_marked_recycle),
    coalesce(sum(size_bytes) filter (where not is_marked_recycle), 0)::bigint,
    count(*) filter (where is_indexed and not is_marked_recycle),
    count(*) filter (where is_marked_recycle),
    coalesce(sum(size_bytes) filter (where is_marked_recycle), 0)::bigint,
    count(*) filter (where is_indexed and is_marked_recycle)
from files where deleted_at is null
group by account_id, pool_id
"""

# Each takes rows of (id, account, pool, size, whether deleted, recycled, in a folder), many in one statement.
ROWS = """
from unnest($1::text[], $2::uuid[], $3::uuid[], $4::bigint[], $5::boolean[], $6::boolean[], $7::boolean[])
    as row (id, account_id, pool_id, size_bytes, is_deleted, is_recycled, is_indexed)
"""
INSERT = f"""
insert into files (
    id, account_id, object_id, pool_id, name, mime_type, size_bytes, deleted_at, is_marked_recycle, is_indexed
)
select id, account_id, 'object', pool_id, 'name', 'text/plain', size_bytes,
    case when is_deleted then now() end, is_recycled, is_indexed
{ROWS}
"""
STATEMENTS = {
    "insert": f"{INSERT} on conflict (id) do nothing",
    "upsert": f"""{INSERT} on conflict (id) do update set account_id = excluded.account_id,
        pool_id = excluded.pool_id, size_bytes = excluded.size_bytes, deleted_at = excluded.deleted_at,
        is_marked_recycle = excluded.is_marked_recycle, is_indexed = excluded.is_indexed""",
    "update": f"""update files set account_id = row.account_id, pool_id = row.pool_id, size_bytes = row.size_bytes,
        deleted_at = case when row.is_deleted then now() end, is_marked_recycle = row.is_recycled,
        is_indexed = row.is_indexed
        {ROWS} where row.id = files.id""",
    "rename": f"update files set name = 'other' {ROWS} where row.id = files.id",
    "delete": f"delete from files using (select row.id {ROWS}) as gone where gone.id = files.id",
}

FILE = st.tuples(
    st.sampled_from(IDS),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(POOLS),
    st.integers(0, 2**50),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(STATEMENTS)), st.lists(FILE, max_size=6, unique_by=lambda file: file[0])),
    max_size=8,
)


def _columns(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(7)]


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.execute("insert into pools (id, name) values ($1, 'Second')", POOLS[1])
    await connection.execute(
        "insert into objects (id, pool_id, account_id, sha256, size_bytes, mime_type) "
        "values ('object', $1, $2, sha256(''), 1, 'text/plain')",
        POOLS[0],
        ACCOUNTS[0],
    )


async def _totals(connection: "asyncpg.Connection[asyncpg.Record]", query: str) -> set[tuple[Any, ...]]:
    return {tuple(row.values()) for row in await connection.fetch(query)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=STEPS)
async def test_usage_is_the_sum_of_the_files_that_count(
    database_url: str, steps: list[tuple[str, list[tuple[Any, ...]]]]
) -> None:
    async with watching(database_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await _prepare(connection)
        for statement, rows in steps:
            await connection.execute(STATEMENTS[statement], *_columns(rows))
            assert await _totals(connection, KEPT) == await _totals(connection, COUNTED)
        await transaction.rollback()


async def test_a_change_that_changes_no_total_writes_nothing(database_url: str) -> None:
    async with watching(database_url) as connection:
        await _prepare(connection)
        rows = [(file_id, ACCOUNTS[0], POOLS[0], 1, False, False, True) for file_id in IDS]
        await connection.execute(STATEMENTS["insert"], *_columns(rows))
        before = await connection.fetch("select xmin, ctid from usage")
        await connection.execute(STATEMENTS["rename"], *_columns(rows))

        assert await connection.fetch("select xmin, ctid from usage") == before


async def test_statements_over_the_same_accounts_do_not_deadlock(database_url: str) -> None:
    """They meet the accounts in opposite orders; the totals are locked in one."""
    async with opened(database_url) as database, watching(database_url) as connection:
        await _prepare(connection)

        async def add(worker: int) -> None:
            for turn in range(20):
                accounts = ACCOUNTS if (worker + turn) % 2 else ACCOUNTS[::-1]
                rows = [
                    (f"{worker}-{turn}-{place}", account, pool, 1, False, False, True)
                    for place, (account, pool) in enumerate((account, pool) for account in accounts for pool in POOLS)
                ]
                await database.execute(STATEMENTS["insert"], *_columns(rows))

        await asyncio.gather(*[add(worker) for worker in range(5)])

        assert await _totals(connection, KEPT) == await _totals(connection, COUNTED)
        assert await connection.fetchval("select sum(file_count)::int from usage") == 5 * 20 * 6
