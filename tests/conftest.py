"""What the tests of Drive add to the fixtures of `drive.testing`, which is active in all of them.

Each worker of xdist starts its own embedded servers, at the first test that needs them. DRIVE_TEST_DATABASE_URL and
DRIVE_TEST_REDIS_URL name real ones instead.
"""

import os

# Read when gRPC is imported. The tests start programs while servers of gRPC run beside them; its fork handlers, which
# a child that only executes another program does not need, write to that program's stderr.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from support.api import Api
from support.rows import New, Rows, as_new, connected, reset

from drive.containers import Container
from drive.peers import Peers, serve_peers
from drive.settings import Settings
from drive.testing.databases import temporary_database

LONG = {"test_fuzz", "test_killed", "test_model", "test_replicas", "test_testing_leaks", "test_uploads_tus_model"}
"""The modules with tests that take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that at the end no worker is alone with it."""
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(scope="session")
def migrate_database() -> Callable[[str], Awaitable[object]]:
    """Apply Drive's migrations to the databases of `drive.testing`."""
    from drive.db.migrate import migrate

    return migrate


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def new_database(shared_database_url: str) -> New:
    """Give what every new database has."""
    async with connected(shared_database_url) as rows:
        return await as_new(rows)


@pytest_asyncio.fixture
async def database_url(
    request: pytest.FixtureRequest,
    postgres_server_url: str,
    template_database_url: str,
    shared_database_url: str,
    new_database: New,
) -> AsyncIterator[str]:
    """Give a database as the migrations leave it.

    All tests of a process have the same one: to empty it takes a tenth of what making one does. The marker
    `own_database` asks for one that nobody had before, and nobody gets after.
    """
    if request.node.get_closest_marker("own_database"):
        async with temporary_database(postgres_server_url, template_database_url) as url:
            yield url
        return
    yield shared_database_url
    async with connected(shared_database_url) as rows:
        await reset(rows, new_database)


@pytest_asyncio.fixture
async def rows(database_url: str) -> AsyncIterator[Rows]:
    """Give a connection to the test's database."""
    async with connected(database_url) as connection:
        yield connection


@pytest_asyncio.fixture
async def peers() -> AsyncIterator[Peers]:
    """Give the stand-ins for pass and ring."""
    async with serve_peers() as running:
        yield running


@pytest.fixture
def settings(database_url: str, redis_url: str, peers: Peers, tmp_path: Path) -> Settings:
    """Give settings that lead to this test's own servers; `dataclasses.replace` changes one."""
    return Settings(
        http_listen="127.0.0.1:0",
        storage_path=tmp_path / "storage",
        database_url=database_url,
        redis_url=redis_url,
        pass_endpoint=peers.pass_url,
        ring_endpoint=peers.ring_url,
    )


@pytest_asyncio.fixture
async def serve_app() -> AsyncIterator[Callable[[Container], Awaitable[Api]]]:
    """Give a function that serves a container's application on loopback until the test ends."""
    async with AsyncExitStack() as stack:

        async def serve(container: Container) -> Api:
            return await stack.enter_async_context(Api.serving(container))

        yield serve


@pytest_asyncio.fixture
async def api(settings: Settings, serve_app: Callable[[Container], Awaitable[Api]]) -> Api:
    """Give the API of an application with this test's settings."""
    return await serve_app(Container(settings=settings))
