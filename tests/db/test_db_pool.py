"""What the pool promises: nothing until the first query, few connections after it, none when idle."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from db_support import OPTIONS, eventually, opened, sessions, watching
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from drive.db.pool import close_pool, open_pool

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii", exclude_characters="\0")), inner)
    ),
    max_leaves=20,
)


def test_importing_the_package_imports_no_driver() -> None:
    code = "import sys, drive.db, drive.db.migrate; sys.exit('asyncpg' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_nothing_is_connected_until_the_first_query(database_url: str) -> None:
    async with watching(database_url) as watcher, opened(database_url) as database:
        before = database.is_open, await sessions(watcher)
        assert await database.fetchval("select 1") == 1
        after = database.is_open, await sessions(watcher)

        assert before == (False, [])
        assert after == (True, ["idle"])


async def test_opening_the_pool_connects_to_nothing() -> None:
    pool = await open_pool(url="postgresql://drive@/drive?host=/nowhere", **OPTIONS)

    assert pool.get_size() == 0
    await close_pool(pool)


async def test_a_hundred_queries_at_once_share_five_connections(database_url: str) -> None:
    async with watching(database_url) as watcher, opened(database_url) as database:
        queries = [asyncio.create_task(database.fetchval("select pg_sleep(0.01)::text")) for _ in range(100)]
        most = 0
        while not all(query.done() for query in queries):
            most = max(most, len(await sessions(watcher)))
        await asyncio.gather(*queries)

        assert most == len(await sessions(watcher)) == 5


async def test_idle_connections_are_closed(database_url: str) -> None:
    async with watching(database_url) as watcher, opened(database_url, idle_timeout_s=0.2) as database:
        await asyncio.gather(*[database.fetchval("select pg_sleep(0.05)::text") for _ in range(5)])
        assert len(await sessions(watcher)) == 5

        async def closed() -> bool:
            return await sessions(watcher) == []

        await eventually(closed)
        assert await database.fetchval("select 1") == 1


async def test_connections_and_statements_are_reused(database_url: str) -> None:
    async with opened(database_url) as database:
        sessions_used = {await database.fetchval("select pg_backend_pid()") for _ in range(20)}
        prepared = await database.fetchval("select count(*) from pg_prepared_statements where statement like '%pid()'")

        assert len(sessions_used) == 1
        assert prepared == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(value=JSON)
async def test_jsonb_is_python_objects(database_url: str, value: Any) -> None:
    async with opened(database_url) as database:
        inside = await database.fetchval("select $1::jsonb", {"value": value})

        assert inside == {"value": value}


async def test_null_is_none(database_url: str) -> None:
    async with opened(database_url) as database:
        assert await database.fetchval("select $1::jsonb is null", None)
        assert await database.fetchval("select null::jsonb") is None


async def test_closing_waits_for_queries(database_url: str) -> None:
    async with opened(database_url) as database:
        query = asyncio.create_task(database.fetchval("select pg_sleep(0.2)::text || 'done'"))
        await asyncio.sleep(0.1)

    assert await query == "done"


async def test_closing_terminates_what_does_not_end(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive.db.pool._CLOSE_TIMEOUT_S", 0.1)
    async with watching(database_url) as watcher:
        pool = await open_pool(url=database_url, **OPTIONS)
        query = asyncio.create_task(pool.fetchval("select pg_sleep(30)"))
        await asyncio.sleep(0.1)
        with capture_logs() as logs:
            await close_pool(pool)

        with pytest.raises(Exception, match="clos"):
            await query
        assert [line["event"] for line in logs] == ["Database connections terminated"]

        async def no_connections() -> bool:
            return "active" not in await sessions(watcher)

        # The server notices when its query ends or it writes; what counts is that nothing here is left open.
        assert pool.get_size() == 0
        ours = "application_name like 'drive-%'"
        await watcher.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {ours}")
        await eventually(no_connections)
