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

from drive.containers import Container
from drive.peers import Peers, serve_peers
from drive.settings import Settings


@pytest.fixture(scope="session")
def migrate_database() -> Callable[[str], Awaitable[object]]:
    """Apply Drive's migrations to the databases of `drive.testing`."""
    from drive.db.migrate import migrate

    return migrate


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
