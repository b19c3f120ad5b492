"""A database that is not there, goes away and comes back."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from db_support import OPTIONS, eventually, opened, watching
from structlog.testing import capture_logs

from drive.db.database import Database
from drive.db.migrate import migrate, pending
from drive.db.pool import close_pool, open_pool
from drive.embedded import EmbeddedPostgres
from drive.errors import Code, DriveError

UNREACHABLE = "Database unreachable"
REACHABLE = "Database reachable again"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """Give a server of these tests' own, to stop and to kill."""
    with EmbeddedPostgres() as server:
        yield server


@pytest_asyncio.fixture
async def database(server: EmbeddedPostgres) -> AsyncIterator[Database]:
    await asyncio.to_thread(server.start)
    async with opened(server.url, connect_timeout_s=2.0) as database:
        yield database


async def _refused(database: Database) -> DriveError:
    with pytest.raises(DriveError) as caught:
        await database.fetchval("select 1")
    assert caught.value.code is Code.UNAVAILABLE
    assert caught.value.__cause__ is not None
    return caught.value


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_an_outage_is_told_once_and_heals_by_itself(
    database: Database, server: EmbeddedPostgres, end: str
) -> None:
    with capture_logs() as logs:
        await asyncio.gather(*[database.fetchval("select pg_sleep(0.05)::text") for _ in range(5)])
        await asyncio.to_thread(getattr(server, end))
        for _ in range(3):
            await _refused(database)
            with pytest.raises(DriveError, match="The database cannot be reached"):
                await database.ping()
        await asyncio.to_thread(server.start)
        for _ in range(3):
            assert await database.fetchval("select 1") == 1

    assert [(line["event"], line["log_level"]) for line in logs] == [(UNREACHABLE, "warning"), (REACHABLE, "info")]
    assert set(logs[0]) == {"event", "error", "log_level"}


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_the_first_query_after_a_restart_works(database: Database, server: EmbeddedPostgres, end: str) -> None:
    """The connections that were idle when the server went are known to be gone."""
    await asyncio.gather(*[database.fetchval("select pg_sleep(0.05)::text") for _ in range(5)])
    await asyncio.to_thread(getattr(server, end))
    await asyncio.to_thread(server.start)

    with capture_logs() as logs:
        assert await asyncio.gather(*[database.fetchval("select 1") for _ in range(5)]) == [1] * 5
    assert logs == []


async def test_a_query_under_way_is_told_of_the_outage(database: Database, server: EmbeddedPostgres) -> None:
    queries = [asyncio.create_task(database.fetchval("select pg_sleep(30)")) for _ in range(5)]
    await asyncio.sleep(0.2)
    with capture_logs() as logs:
        await asyncio.to_thread(server.kill)
        results = await asyncio.gather(*queries, return_exceptions=True)

    assert [result.code for result in results if isinstance(result, DriveError)] == [Code.UNAVAILABLE] * 5
    assert [line["event"] for line in logs] == [UNREACHABLE]


@pytest.mark.parametrize("moment", ["statement", "commit", "block"])
async def test_a_transaction_is_told_of_the_outage(database: Database, server: EmbeddedPostgres, moment: str) -> None:
    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute("create temporary table t (id int) on commit drop")
            await asyncio.to_thread(server.kill)
            if moment == "statement":
                await connection.execute("insert into t values (1)")
            if moment == "block":
                raise ValueError("the block's own error")

    kind = ValueError if moment == "block" else DriveError
    with pytest.raises(kind, match="own" if moment == "block" else "The database cannot be reached"):
        await work()

    await asyncio.to_thread(server.start)
    assert await database.fetchval("select 1") == 1


async def test_an_ended_session_does_not_end_the_next_query(database: Database, server: EmbeddedPostgres) -> None:
    query = asyncio.create_task(database.fetchval("select pg_sleep(30)"))
    async with watching(server.url) as watcher:

        async def terminated() -> bool:
            statement = "select count(pg_terminate_backend(pid)) from pg_stat_activity where wait_event = 'PgSleep'"
            return bool(await watcher.fetchval(statement))

        await eventually(terminated)
    with pytest.raises(DriveError):
        await query

    assert await database.fetchval("select 1") == 1


async def test_a_server_without_free_connections_is_unavailable(server: EmbeddedPostgres) -> None:
    await asyncio.to_thread(server.start)
    async with watching(server.url) as watcher:
        await watcher.execute("drop role if exists few")
        await watcher.execute("create role few login connection limit 1")
        url = urlsplit(server.url)._replace(netloc="few@").geturl()
        async with opened(url) as database:
            results = await asyncio.gather(
                *[database.fetchval("select pg_sleep(0.1)::text") for _ in range(3)], return_exceptions=True
            )

    assert results.count("") == 1
    assert {result.code for result in results if isinstance(result, DriveError)} == {Code.UNAVAILABLE}


@pytest.mark.parametrize("path", ["/nowhere?host=/nowhere", "/nowhere?host=127.0.0.1&port=1"])
async def test_the_log_does_not_have_the_address(path: str) -> None:
    async with opened(f"postgresql://drive:secret@{path}") as database:
        with capture_logs() as logs:
            error = await _refused(database)

    assert [set(line) for line in logs] == [{"event", "error", "log_level"}]
    assert "secret" not in f"{logs}{error!r}{error}{database!r}"


async def test_a_database_that_is_absent_is_unavailable(postgres_server_url: str) -> None:
    """It may be about to be made; the log has the type."""
    url = urlsplit(postgres_server_url)._replace(path="/absent").geturl()
    async with opened(url) as database:
        with capture_logs() as logs:
            await _refused(database)

    assert logs == [{"event": UNREACHABLE, "error": "InvalidCatalogNameError", "log_level": "warning"}]


async def test_a_server_that_never_answers_costs_the_connect_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"postgresql://drive@127.0.0.1:{listener.getsockname()[1]}/drive"
        async with opened(url, connect_timeout_s=0.3) as database:
            began_s = time.monotonic()
            await asyncio.gather(*[_refused(database) for _ in range(10)])
            assert 0.2 < time.monotonic() - began_s < 1.0


NO_ADDRESSES = (
    "postgresql://drive:pa/ss@host/drive",  # what is before the slash is taken for a port
    "postgresql://drive@127.0.0.1:99999/drive",
    "postgresql://drive@a..b/drive",
)


@pytest.mark.parametrize("url", NO_ADDRESSES)
async def test_what_is_no_address_is_unavailable_and_tells_no_password(url: str) -> None:
    with capture_logs() as logs:
        async with opened(url) as database:
            with pytest.raises(DriveError, match="The database cannot be reached") as caught:
                await database.fetchval("select 1")

    assert caught.value.code is Code.UNAVAILABLE
    assert (caught.value.__cause__, caught.value.retry_after_s) == (None, 2)
    assert [line["event"] for line in logs] == [UNREACHABLE]
    assert "pa" not in str(logs[0]["error"])


@pytest.mark.parametrize("url", ["postgresql://drive:secret@/drive?host=/nowhere", *NO_ADDRESSES])
async def test_migrating_an_absent_server_is_unavailable(url: str) -> None:
    for action in (migrate, pending):
        with pytest.raises(DriveError) as caught:
            await action(url)
        assert caught.value.code is Code.UNAVAILABLE


async def test_a_connection_that_the_server_took_leave_of_is_not_used_again(database: Database) -> None:
    """Its last words may be read one turn of the loop before its end, and the end may never come."""
    await database.execute("select 1")
    pool = await database._pool()
    farewell = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
    async with pool.acquire() as connection:
        inside: Any = connection
        protocol = inside._con._protocol
    protocol.data_received(b"E" + (len(farewell) + 4).to_bytes(4) + farewell)
    with capture_logs() as logs:
        await _refused(database)
        assert await database.fetchval("select 1") == 1

    assert [line["event"] for line in logs] == [UNREACHABLE, REACHABLE]


async def test_closing_what_breaks_meanwhile_is_no_error(server: EmbeddedPostgres) -> None:
    """A server that is killed while its connections are told goodbye."""
    server.start()
    pool = await open_pool(url=server.url, **OPTIONS)
    async with pool.acquire() as acquired:
        connection: Any = acquired
        wire = connection._transport.get_extra_info("socket")
        backend = connection.get_server_pid()
    os.kill(backend, signal.SIGSTOP)  # so that it cannot hang up before it is told goodbye
    try:
        wire.shutdown(socket.SHUT_WR)
        with capture_logs() as logs:
            await close_pool(pool)
    finally:
        os.kill(backend, signal.SIGCONT)
    assert pool.get_size() == 0
    assert [(line["event"], line["error"]) for line in logs] == [("Database connections lost", "BrokenPipeError")]
