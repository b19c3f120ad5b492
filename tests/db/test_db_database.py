"""What services rely on: answers, transactions, and connections that survive cancelled requests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from db_support import eventually, opened, sessions, watching
from structlog.testing import capture_logs

from drive.db.database import Connection, Database
from drive.errors import Code, DriveError

ADD = "insert into quota_records (account_id, name, quota_mib) values ($1, $2, $3)"
LOCKS = """
select relation::regclass::text from pg_locks join pg_stat_activity using (pid)
where application_name like 'drive-%' and datname = current_database()
"""
COUNT = "select count(*) from quota_records where account_id = $1"


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


@pytest_asyncio.fixture
async def single(database_url: str) -> AsyncIterator[Database]:
    """Give a database with one connection, so that a lost one is noticed."""
    async with opened(database_url, max_connections=1, connect_timeout_s=2.0) as database:
        yield database


async def test_answers_are_rows_values_and_states(database: Database) -> None:
    account = uuid4()

    assert [dict(row) for row in await database.fetch("select 1 as one, 'b' as two")] == [{"one": 1, "two": "b"}]
    assert await database.fetchrow("select 1 as one, 'b' as two")
    assert await database.fetchrow("select where false") is None
    assert await database.fetchval("select where false") is None
    assert await database.execute(ADD, account, "a", 1) == "INSERT 0 1"
    await database.executemany(ADD, [(account, "b", 1), (account, "c", 2)])
    assert await database.fetchval(COUNT, account) == 3
    await database.ping()


async def test_executemany_does_all_or_nothing(database: Database) -> None:
    account = uuid4()

    with pytest.raises(asyncpg.CheckViolationError):
        await database.executemany(ADD, [(account, "a", 1), (account, "", 2)])
    assert await database.fetchval(COUNT, account) == 0


async def test_errors_of_sql_pass_unchanged(database: Database) -> None:
    with capture_logs() as logs:
        with pytest.raises(asyncpg.UndefinedTableError):
            await database.fetch("select * from nothing")
        with pytest.raises(asyncpg.DataError):
            await database.fetch("select $1::int", "text")
        with pytest.raises(asyncpg.InterfaceError, match="expects 1 argument"):
            await database.fetch("select $1::int")
        with pytest.raises(asyncpg.RaiseError):
            await database.execute("do $$ begin raise 'no'; end $$")
    assert logs == []


async def test_a_statement_that_gets_no_further_than_being_prepared_leaves_no_lock(
    single: Database, database_url: str
) -> None:
    """As when it is cancelled in the moment before its arguments are sent."""
    async with watching(database_url) as watcher:

        async def work() -> None:
            async with single._taken() as connection:
                await connection.prepare("select id from files")
                assert "files" in str(await watcher.fetch(LOCKS))
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await work()

        assert await sessions(watcher) == ["idle"]
        assert await watcher.fetch(LOCKS) == []


async def test_a_transaction_is_committed_at_its_end(database: Database) -> None:
    account = uuid4()

    async with database.transaction() as connection:
        await connection.execute(ADD, account, "a", 1)
        assert await connection.fetchval(COUNT, account) == 1
        assert await database.fetchval(COUNT, account) == 0
    assert await database.fetchval(COUNT, account) == 1


@pytest.mark.parametrize("error", [OSError("disk"), TimeoutError(), ValueError(), asyncio.CancelledError()])
async def test_a_transaction_whose_block_raises_is_undone(database: Database, error: BaseException) -> None:
    """The error is the block's own, also where a lost connection would raise its like."""
    account = uuid4()

    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute(ADD, account, "a", 1)
            raise error

    with capture_logs() as logs, pytest.raises(type(error)) as caught:
        await work()
    assert caught.value is error
    assert logs == []
    assert await database.fetchval(COUNT, account) == 0


async def test_a_failed_statement_undoes_its_transaction(database: Database) -> None:
    account = uuid4()

    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute(ADD, account, "a", 1)
            await connection.execute(ADD, account, "", 1)

    with pytest.raises(asyncpg.CheckViolationError):
        await work()
    assert await database.fetchval(COUNT, account) == 0


async def test_a_connection_is_of_no_use_after_its_transaction(database: Database) -> None:
    async with database.transaction() as connection:
        pass

    with pytest.raises(RuntimeError, match="inside of its `async with` block"):
        await connection.execute("select 1")


async def test_a_cancelled_query_gives_its_connection_back(single: Database, database_url: str) -> None:
    async with watching(database_url) as watcher:
        query = asyncio.create_task(single.fetchval("select pg_sleep(30)"))

        async def active() -> bool:
            return await sessions(watcher) == ["active"]

        await eventually(active)
        query.cancel()
        with pytest.raises(asyncio.CancelledError):
            await query

        assert await sessions(watcher) == ["idle"]
        assert await single.fetchval("select 1") == 1


async def test_a_cancelled_transaction_is_undone(single: Database, database_url: str) -> None:
    account = uuid4()

    async def work() -> None:
        async with single.transaction() as connection:
            await connection.execute(ADD, account, "a", 1)
            await connection.fetchval("select pg_sleep(30)")

    async with watching(database_url) as watcher:
        task = asyncio.create_task(work())

        async def asleep() -> bool:
            return bool(
                await watcher.fetchval("select exists (select from pg_stat_activity where wait_event = 'PgSleep')")
            )

        await eventually(asleep)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert await sessions(watcher) == ["idle"]
        assert await single.fetchval(COUNT, account) == 0


async def _one_query(database: Database) -> None:
    await database.fetch("select * from pools")


async def _one_transaction(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(ADD, uuid4(), "a", 1)
        await _between(connection)


async def _between(connection: Connection) -> None:
    await asyncio.sleep(0)
    await connection.fetchval("select count(*) from files")


@pytest.mark.parametrize("work", [_one_query, _one_transaction])
async def test_cancelling_at_any_moment_leaves_a_clean_connection(
    single: Database, database_url: str, work: Callable[[Database], Awaitable[None]]
) -> None:
    """Cancel after each turn of the loop in its turn, from before the first connection until the work is done."""
    async with watching(database_url) as watcher:
        turns = 0
        was_cancelled = True
        while was_cancelled:
            task = asyncio.ensure_future(work(single))
            for _ in range(turns):
                await asyncio.sleep(0)
            was_cancelled = task.cancel()
            await asyncio.wait([task])
            turns += 1

            assert await sessions(watcher) in ([], ["idle"])
            assert await watcher.fetch(LOCKS) == []
            assert await single.fetchval("select 1") == 1
        assert task.exception() is None


async def test_waiting_for_a_free_connection_is_bounded(database_url: str) -> None:
    async with opened(database_url, max_connections=1, connect_timeout_s=0.2) as database:
        async with database.transaction():
            with capture_logs() as logs:
                results = await asyncio.gather(
                    *[database.fetchval("select 1") for _ in range(5)], return_exceptions=True
                )
        assert [result.code for result in results if isinstance(result, DriveError)] == [Code.UNAVAILABLE] * 5
        assert logs == [{"event": "Database connections all in use", "max_connections": 1, "log_level": "warning"}]

        assert await database.fetchval("select 1") == 1


async def test_a_query_that_takes_too_long_is_given_up(database_url: str) -> None:
    async with watching(database_url) as watcher, opened(database_url, query_timeout_s=0.2) as database:
        with capture_logs() as logs, pytest.raises(DriveError) as caught:
            await database.fetchval("select\n  pg_sleep(30), $1::text", "secret")

        assert caught.value.code is Code.UNAVAILABLE
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert logs == [
            {"event": "Database query timed out", "query": "select pg_sleep(30), $1::text", "log_level": "warning"}
        ]
        assert await sessions(watcher) == ["idle"]
