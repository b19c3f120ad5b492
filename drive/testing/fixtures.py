"""The fixtures that need an event loop, and so pytest-asyncio."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from asyncpg import Connection, Record
    from dependency_injector.containers import Container

    from drive.testing.databases import RolledBackPool
    from drive.testing.servers import Servers


@pytest_asyncio.fixture
async def container(container_class: "Callable[[], Container]") -> "AsyncIterator[Container]":
    """Give a new container, which is closed at the end."""
    from drive.lazy import lifespan

    async with lifespan(container_class()) as container:
        yield container


@pytest_asyncio.fixture
async def peers() -> "AsyncIterator[Servers]":
    """Give what starts servers: `url = await peers.serve(servicer)`."""
    from drive.testing.servers import Servers

    async with Servers() as servers:
        yield servers


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template_database_url(
    postgres_server_url: str, migrate_database: Callable[[str], Awaitable[object]]
) -> AsyncIterator[str]:
    """Give a database with all migrations applied, to be copied but not used."""
    from drive.testing.databases import temporary_database

    async with temporary_database(postgres_server_url) as url:
        await migrate_database(url)
        yield url


@pytest_asyncio.fixture
async def database_url(postgres_server_url: str, template_database_url: str) -> AsyncIterator[str]:
    """Give a fresh, migrated database of the test's own."""
    from drive.testing.databases import temporary_database

    async with temporary_database(postgres_server_url, template_database_url) as url:
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_database_url(postgres_server_url: str, template_database_url: str) -> AsyncIterator[str]:
    """Give a migrated database in which nobody may commit."""
    from drive.testing.databases import temporary_database

    async with temporary_database(postgres_server_url, template_database_url) as url:
        yield url


@pytest_asyncio.fixture
async def database_connection(shared_database_url: str) -> "AsyncIterator[Connection[Record]]":
    """Give a connection in a transaction that is rolled back: quicker than a database of the test's own."""
    from drive.testing.databases import rolled_back

    async with rolled_back(shared_database_url) as connection:
        yield connection


@pytest_asyncio.fixture
async def database_pool(database_connection: "Connection[Record]") -> "RolledBackPool":
    """Give what stands for an asyncpg pool, and has that connection alone."""
    from drive.testing.databases import RolledBackPool

    return RolledBackPool(database_connection)
