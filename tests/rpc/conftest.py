"""What the tests of the gRPC server look at beside its answers."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio
from rpc_support import Rpc, connected, started
from support.queries import CountingDatabase, counting
from support.rows import Rows, empty
from support.rows import connected as database_connection

from drive.containers import Container
from drive.settings import Settings


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_database_url(postgres_server_url: str, template_database_url: str) -> AsyncIterator[str]:
    """Give a migrated database for all tests here: emptying one takes a tenth of what making one does."""
    name = f"drive_test_{uuid4().hex}"
    async with database_connection(postgres_server_url) as rows:
        await rows.execute(f'create database "{name}" template "{urlsplit(template_database_url).path[1:]}"')
        try:
            yield urlsplit(postgres_server_url)._replace(path=f"/{name}").geturl()
        finally:
            await rows.execute(f'drop database "{name}" with (force)')


@pytest_asyncio.fixture
async def database_url(shared_database_url: str) -> AsyncIterator[str]:
    """Give a database as the migrations leave it."""
    yield shared_database_url
    async with database_connection(shared_database_url) as rows:
        await empty(rows)


@pytest_asyncio.fixture
async def rows(database_url: str) -> AsyncIterator[Rows]:
    """Give a connection to the test's database."""
    async with database_connection(database_url) as connection:
        yield connection


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Give settings that lead to the test's database, and to nothing else."""
    return Settings(database_url=database_url, redis_url="")


@pytest.fixture
def container(settings: Settings) -> Container:
    """Give a container that is not in use yet."""
    return Container(settings=settings)


@pytest.fixture
def database(container: Container) -> CountingDatabase:
    """Let the test's container count its statements."""
    return counting(container)


@pytest_asyncio.fixture
async def rpc(container: Container, database: CountingDatabase) -> AsyncIterator[Rpc]:
    """Give a client of a server that asks for no authentication."""
    async with started(container) as (_, url), connected(url) as client:
        yield client
