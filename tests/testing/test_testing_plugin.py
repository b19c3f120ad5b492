"""The fixtures, and what the plugin costs those who do not use it."""

import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import redis
import structlog
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Object, Singleton
from structlog.testing import capture_logs
from talk import Talk

from drive.lazy import Channels, Once, Stub, lifespan
from drive.proto.account_pb2 import Account, GetAccountRequest
from drive.proto.account_pb2_grpc import AccountServiceServicer, AccountServiceStub
from drive.testing import ChannelLog, RolledBackPool, Servers, fake, serving, temporary_database
from drive.testing import channel_log as recorded

if TYPE_CHECKING:
    from asyncpg import Connection, Record

REQUEST = GetAccountRequest(id="1")
closed: list[str] = []


async def open_pool() -> str:
    return "the pool"


async def close_pool(pool: str) -> None:
    closed.append(pool)


class Container(DeclarativeContainer):
    """What a service has."""

    url = Object("http://127.0.0.1:1")
    channels = Singleton(Channels)
    accounts: "Stub[AccountServiceStub]" = Stub(
        "drive.proto.account_pb2_grpc:AccountServiceStub", channels, endpoint=url
    )
    pool: "Once[str]" = Once(open_pool, close=close_pool)


class Accounts(AccountServiceServicer):
    """A servicer as one writes it."""

    async def GetAccount(self, request: GetAccountRequest, _context: Any) -> Account:  # noqa: N802
        return Account(id=request.id)


@pytest.fixture
def container_class() -> type[Container]:
    """Name the container of these tests."""
    return Container


@pytest.fixture
async def peers() -> AsyncIterator[Servers]:
    """Give what the plugin does; Drive's own fixture of that name hides it."""
    async with Servers() as servers:
        yield servers


class TestContainer:
    async def test_it_is_fresh(self, container: Container) -> None:
        assert container.pool().peek() is None
        assert await container.pool()() == "the pool"

    async def test_it_is_closed_at_the_end(self, container: Container) -> None:
        """The one of the test before was."""
        assert closed == ["the pool"]
        assert container.pool().peek() is None

    def test_a_test_that_is_not_asynchronous_may_have_it(self, container: Container) -> None:
        assert container.url() == "http://127.0.0.1:1"

    def test_its_class_is_set_in_the_configuration(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            services="""
            from dependency_injector.containers import DeclarativeContainer
            from dependency_injector.providers import Object

            class Container(DeclarativeContainer):
                name = Object("the service's")
            """,
            test_it='def test_it(container):\n    assert container.name() == "the service\'s"',
        )
        for setting, outcome, text in (
            ("services:Container", "passed", ""),
            ("services:Contaner", "errors", "*'services:Contaner': services has no 'Contaner'*"),
            ("", "errors", "*set drive_container = *or override the fixture container_class*"),
        ):
            options = ["-p", "no:cacheprovider", "-o", f"drive_container={setting}"]
            ran = pytester.runpytest_subprocess(*options, "-o", "asyncio_default_fixture_loop_scope=function")
            ran.assert_outcomes(**{outcome: 1})
            ran.stdout.fnmatch_lines([text] if text else [])


class TestServers:
    async def test_they_serve_servicers_and_fakes(self, peers: Servers, talk: Talk) -> None:
        url = await peers.serve(Accounts(), fake(talk.stub, Echo=talk.words("hi")))
        other = await peers.serve(fake(AccountServiceStub, GetAccount=Account(id="other")))
        async with lifespan(Container(url=url)) as one, lifespan(Container(url=other)) as another:
            assert (await one.accounts().GetAccount(REQUEST)).id == "1"
            assert (await another.accounts().GetAccount(REQUEST)).id == "other"
        assert url != other

    async def test_what_cannot_be_served_is_refused(self, peers: Servers) -> None:
        with pytest.raises(TypeError, match="object cannot be served: derive it from a generated servicer"):
            await peers.serve(object())

    async def test_they_stop_at_the_end(self) -> None:
        async with serving(Accounts()) as url:
            address = urlsplit(url)
            socket.create_connection((address.hostname, address.port)).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.hostname, address.port))


class TestChannelLog:
    async def test_it_tells_what_was_opened(self, channel_log: ChannelLog, peers: Servers) -> None:
        url = await peers.serve(Accounts())
        channel_log.assert_nothing_opened()
        async with lifespan(Container(url=url)) as container:
            channel_log.assert_nothing_opened()
            for _ in range(3):
                await container.accounts().GetAccount(REQUEST)
            for which in (url, url.upper().replace("HTTP:", "http:") + "/", "AccountService", None):
                channel_log.assert_opened_once(which)
            with pytest.raises(
                AssertionError, match=f"A channel was opened.\n.*\n  Creating gRPC channel: endpoint={url}"
            ):
                channel_log.assert_nothing_opened()
        assert [line["event"] for line in channel_log.lines] == ["Creating gRPC channel", "Closing gRPC channel"]

    async def test_another_or_more_than_one_is_not_once(self, channel_log: ChannelLog, peers: Servers) -> None:
        url, other = await peers.serve(Accounts()), await peers.serve(Accounts())
        with pytest.raises(AssertionError, match=r"Not opened once: one channel\.\n.*:\n  nothing"):
            channel_log.assert_opened_once()
        for one in (url, url, other):
            async with lifespan(Container(url=one)) as container:
                await container.accounts().GetAccount(REQUEST)
        channel_log.assert_opened_once(other)
        for which in (url, "AccountService", "RingService", "http://127.0.0.1:1", None):
            with pytest.raises(AssertionError, match="Not opened once"):
                channel_log.assert_opened_once(which)

    def test_what_was_opened_again_was_not_opened_once(self, channel_log: ChannelLog) -> None:
        for verb in ("Creating", "Closing", "Reopening"):
            structlog.get_logger().info(f"{verb} gRPC channel", endpoint="http://there:1", service="Some")
        with pytest.raises(AssertionError, match="Not opened once: http://there:1"):
            channel_log.assert_opened_once("http://there:1")

    def test_the_lines_are_still_logged(self) -> None:
        with capture_logs() as lines, recorded() as log:
            structlog.get_logger().info("Creating gRPC channel", endpoint="http://there:1", service="Some")
            structlog.get_logger().info("Something else")
        assert [line["event"] for line in lines] == ["Creating gRPC channel", "Something else"]
        assert [line["event"] for line in log.lines] == ["Creating gRPC channel"]
        with capture_logs():
            structlog.get_logger().info("Creating gRPC channel", endpoint="http://there:1", service="Some")
        assert len(log.lines) == 1


class TestDatabase:
    @pytest.mark.parametrize("_time", ["first", "second"])
    async def test_nothing_that_a_test_did_is_left(self, _time: str, database_pool: RolledBackPool) -> None:
        assert await database_pool.fetchval("select count(*) from pg_tables where tablename = 'left_behind'") == 0
        await database_pool.execute("create table left_behind (id int primary key)")
        await database_pool.executemany("insert into left_behind values ($1)", [(1,), (2,)])
        assert [row["id"] for row in await database_pool.fetch("select id from left_behind order by id")] == [1, 2]
        assert (await database_pool.fetchrow("select max(id) as id from left_behind"))["id"] == 2

    async def test_it_is_migrated(self, database_connection: "Connection[Record]") -> None:
        """As the fixture `migrate_database` says, which is Drive's here."""
        assert await database_connection.fetchval("select count(*) from files") == 0

    async def test_a_statement_that_fails_undoes_nothing_else(self, database_pool: RolledBackPool) -> None:
        await database_pool.execute("create table kept ()")
        with pytest.raises(Exception, match="syntax error"):
            await database_pool.execute("create nonsense")
        assert await database_pool.fetchval("select count(*) from kept") == 0

    async def test_a_transaction_can_be_undone(self, database_pool: RolledBackPool) -> None:
        async with database_pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("create table undone ()")
            await transaction.rollback()
        assert await database_pool.fetchval("select to_regclass('undone')") is None

    async def test_who_acquires_it_has_it_alone(self, database_pool: RolledBackPool) -> None:
        connection = await database_pool.acquire()
        with pytest.raises(TimeoutError):
            await database_pool.acquire(timeout=0.01)
        await database_pool.release(connection)
        async with database_pool.acquire(timeout=1) as again:
            assert again is connection

    @pytest.mark.own_database
    async def test_what_commits_has_a_database_of_its_own(self, database_url: str, postgres_server_url: str) -> None:
        import asyncpg

        connection = await asyncpg.connect(database_url)
        await connection.execute("create table committed ()")
        await connection.close()
        async with temporary_database(postgres_server_url, database_url) as copy:
            connection = await asyncpg.connect(copy)
            assert await connection.fetchval("select count(*) from committed") == 0
            await connection.close()

    @pytest.mark.parametrize("_time", ["first", "second"])
    def test_each_test_has_an_empty_redis(self, _time: str, redis_url: str) -> None:
        with redis.Redis.from_url(redis_url) as client:
            assert client.dbsize() == 0
            client.set("left", "behind")


HEAVY = (
    "grpc",
    "google.protobuf",
    "asyncpg",
    "redis",
    "dependency_injector",
    "structlog",
    "drive.lazy",
    "drive.embedded",
)


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import drive.testing", (*HEAVY, "pytest")),
        ("import drive.testing.plugin", HEAVY),
        ("import pytest; pytest.main(['--version', '-q'])", HEAVY),
        ("from drive.testing import no_leaks\nwith no_leaks(): pass", (*HEAVY, "pytest")),
    ],
    ids=["package", "plugin", "pytest", "leaks"],
)
def test_nothing_heavy_is_imported_before_it_is_used(code: str, unwanted: tuple[str, ...]) -> None:
    script = f"{code}\nimport json, sys\nprint(json.dumps([name for name in {unwanted!r} if name in sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout.splitlines()[-1]) == []


def test_without_pytest_asyncio_the_rest_works(pytester: pytest.Pytester) -> None:
    """An installed plugin must not break the tests of those who do not use it."""
    pytester.makepyfile("def test_it(channel_log):\n    channel_log.assert_nothing_opened()")
    pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_package_has_all_that_it_names() -> None:
    import drive.testing

    assert sorted(drive.testing.__all__) == sorted(drive.testing._MODULES)
    for name in drive.testing.__all__:
        assert getattr(drive.testing, name).__module__.startswith("drive.testing.")
    with pytest.raises(AttributeError, match="has no attribute 'fakes_of'"):
        drive.testing.fakes_of  # noqa: B018
