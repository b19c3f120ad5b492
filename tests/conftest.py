"""The servers and the databases that any test may ask for.

Each worker of xdist starts its own embedded servers, at the first test that needs them. DRIVE_TEST_DATABASE_URL and
DRIVE_TEST_REDIS_URL name real ones instead.
"""

import os

# Read when gRPC is imported. The tests start programs while servers of gRPC run beside them; its fork handlers, which
# a child that only executes another program does not need, write to that program's stderr.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
import redis
from support.api import Api

from drive.containers import Container
from drive.embedded import EmbeddedPostgres, EmbeddedValkey
from drive.peers import Peers, serve_peers
from drive.settings import Settings


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """Give the address of a PostgreSQL server whose user may create databases."""
    if url := os.environ.get("DRIVE_TEST_DATABASE_URL"):
        yield url
        return
    with EmbeddedPostgres() as server:
        yield server.url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template_database_url(postgres_server_url: str) -> AsyncIterator[str]:
    """Give a database with all migrations applied, to be copied but not used."""
    from drive.db.migrate import migrate

    async with _temporary_database(postgres_server_url) as url:
        await migrate(url)
        yield url


@pytest_asyncio.fixture
async def database_url(postgres_server_url: str, template_database_url: str) -> AsyncIterator[str]:
    """Give a fresh, migrated database of the test's own."""
    async with _temporary_database(postgres_server_url, _database(template_database_url)) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """Give the address of a Redis server, with the number of a database that may be emptied."""
    if url := os.environ.get("DRIVE_TEST_REDIS_URL"):
        if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
            pytest.fail("Workers would empty each other's database: unset DRIVE_TEST_REDIS_URL or run without -n")
        yield url
        return
    with EmbeddedValkey() as server:
        yield server.url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """Give an empty Redis database."""
    with redis.Redis.from_url(redis_server_url) as client:
        client.flushdb()
    return redis_server_url


@asynccontextmanager
async def _temporary_database(server_url: str, template: str = "template1") -> AsyncIterator[str]:
    name = f"drive_test_{uuid4().hex}"
    await _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        await _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _database(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


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
