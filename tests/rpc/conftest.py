"""What the tests of the gRPC server look at beside its answers."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from rpc_support import Rpc, connected, started
from support.queries import CountingDatabase, counting

from drive.containers import Container
from drive.settings import Settings


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
