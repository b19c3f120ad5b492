"""What the tests of the API look at beside its answers."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest_asyncio
from support.rows import Rows, connected, empty

from drive.containers import Container
from drive.jobs.worker import Worker
from drive.lazy import lifespan
from drive.settings import Settings


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_database_url(postgres_server_url: str, template_database_url: str) -> AsyncIterator[str]:
    """Give a migrated database for all tests of the API: emptying one takes a tenth of what making one does."""
    name = f"drive_test_{uuid4().hex}"
    async with connected(postgres_server_url) as rows:
        await rows.execute(f'create database "{name}" template "{urlsplit(template_database_url).path[1:]}"')
        try:
            yield urlsplit(postgres_server_url)._replace(path=f"/{name}").geturl()
        finally:
            await rows.execute(f'drop database "{name}" with (force)')


@pytest_asyncio.fixture
async def database_url(shared_database_url: str) -> AsyncIterator[str]:
    """Give a database as the migrations leave it."""
    yield shared_database_url
    async with connected(shared_database_url) as rows:
        await empty(rows)


@pytest_asyncio.fixture
async def rows(database_url: str) -> AsyncIterator[Rows]:
    """Give a connection to the test's database."""
    async with connected(database_url) as connection:
        yield connection


@pytest_asyncio.fixture
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    """Give a worker, with connections of its own, as another process would have."""
    container = Container(settings=settings)
    async with lifespan(container):
        yield container.worker()
