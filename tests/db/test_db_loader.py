"""Rows that several ask for at once."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio
from db_support import eventually, opened, sessions, watching

from drive.db.database import Database
from drive.db.loader import Loader
from drive.db.queries import Queries
from drive.errors import Code, DriveError

ROWS = """
select id, pg_backend_pid() || ' ' || now() as query, count(*) over () as together
from unnest($1::text[]) as asked (id) where id <> 'absent'
"""
# Those that wait for a lock hold their query up, and no other.
LOCKED = "select id, case when id = 'slow' then pg_advisory_xact_lock(7) end from unnest($1::text[]) as asked (id)"


def loader(database: Database, query: str = ROWS) -> Loader:
    return Loader(database, Queries(lambda: {"rows": query}, "the test"), "rows")


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


async def test_each_gets_the_row_of_its_id(database: Database) -> None:
    rows = loader(database)

    found = await asyncio.gather(*(rows.row(id_) for id_ in ("a", "b", "absent", "a")))

    assert [row and row["id"] for row in found] == ["a", "b", None, "a"]
    one = await rows.row("c")
    assert one is not None
    assert one["id"] == "c"


async def test_rows_that_are_asked_for_at_once_come_in_one_query(database: Database) -> None:
    rows = loader(database)

    found = await asyncio.gather(*(rows.row(str(number)) for number in range(150)))

    assert {row["together"] for row in found if row} == {150}


async def test_ten_thousand_come_in_queries_that_stay_small(database: Database) -> None:
    rows = loader(database)

    found = await asyncio.gather(*(rows.row(str(number)) for number in range(10_000)))

    assert [row and row["id"] for row in found] == [str(number) for number in range(10_000)]
    assert max(row["together"] for row in found if row) == 200


async def test_rows_that_are_asked_for_one_after_the_other_are_asked_for_at_once(database: Database) -> None:
    rows = loader(database)

    for number in range(20):
        assert await rows.row(str(number))

    assert rows._later is None, "it waited for a query that had been answered"


async def test_nobody_is_given_a_row_from_before_it_asked(database: Database) -> None:
    rows = loader(database, "select id, total from unnest($1::text[]) as a (id), (select count(*) from jobs) j (total)")

    for count in range(5):
        beside = [asyncio.ensure_future(rows.row("beside")) for _ in range(3)]
        await asyncio.sleep(0)  # a query is on its way
        await database.execute("insert into jobs (kind, payload) values ('none', '{}')")
        row = await rows.row("a")
        assert row is not None
        assert row["total"] == count + 1
        await asyncio.gather(*beside)


async def test_a_query_that_takes_long_holds_nobody_up(database: Database, database_url: str) -> None:
    rows = loader(database, LOCKED)
    async with watching(database_url) as watcher:
        await watcher.execute("select pg_advisory_lock(7)")
        slow = asyncio.ensure_future(rows.row("slow"))
        await eventually(lambda: _is_waiting(watcher))

        async with asyncio.timeout(10):
            assert all(await asyncio.gather(*(rows.row(str(number)) for number in range(20))))
            assert await rows.row("later")

        assert not slow.done()
        await watcher.execute("select pg_advisory_unlock(7)")
        assert await slow


async def test_cancelling_one_harms_no_other(database: Database, database_url: str) -> None:
    rows = loader(database, LOCKED)
    async with watching(database_url) as watcher:
        await watcher.execute("select pg_advisory_lock(7)")
        asked = [asyncio.ensure_future(rows.row("slow")) for _ in range(3)]
        await eventually(lambda: _is_waiting(watcher))
        asked[0].cancel()
        await watcher.execute("select pg_advisory_unlock(7)")

        ended = await asyncio.gather(*asked, return_exceptions=True)

    assert isinstance(ended[0], asyncio.CancelledError)
    assert all(isinstance(row, asyncpg.Record) for row in ended[1:])


async def test_an_error_is_told_to_all_who_wait_and_the_next_is_asked_for_anew(database: Database) -> None:
    rows = loader(database, "select id, 1 / (id <> 'zero')::int from unnest($1::text[]) as asked (id)")

    ended = await asyncio.gather(*(rows.row(id_) for id_ in ("zero", "b")), return_exceptions=True)

    assert [type(error) for error in ended] == [asyncpg.DivisionByZeroError] * 2
    assert await rows.row("b")


async def test_what_cannot_be_reached_is_unavailable_for_all_who_wait() -> None:
    async with opened("postgresql://127.0.0.1:9/drive", connect_timeout_s=1.0) as database:
        rows = loader(database)

        ended = await asyncio.gather(*(rows.row(str(number)) for number in range(3)), return_exceptions=True)

    assert [error.code for error in ended if isinstance(error, DriveError)] == [Code.UNAVAILABLE] * 3


async def test_a_query_that_is_cancelled_before_it_began_does_not_keep_others_from_asking(database: Database) -> None:
    rows = loader(database)
    first = asyncio.ensure_future(rows.row("a"))
    await asyncio.sleep(0)
    [query] = [task for task in asyncio.all_tasks() if task.get_name().startswith("load ")]
    query.cancel()
    await asyncio.wait([query])

    async with asyncio.timeout(10):
        assert await rows.row("b")
        assert await first


async def test_who_waits_for_a_query_that_is_cancelled_is_cancelled(database: Database, database_url: str) -> None:
    rows = loader(database, LOCKED)
    async with watching(database_url) as watcher:
        await watcher.execute("select pg_advisory_lock(7)")
        waiting = asyncio.ensure_future(rows.row("slow"))
        await eventually(lambda: _is_waiting(watcher))
        [query] = [task for task in asyncio.all_tasks() if task.get_name().startswith("load ")]
        query.cancel()

        await asyncio.wait([waiting], timeout=10)
        assert waiting.cancelled()
        await watcher.execute("select pg_advisory_unlock(7)")


async def _is_waiting(watcher: "asyncpg.Connection[asyncpg.Record]") -> bool:
    return "active" in await sessions(watcher)
