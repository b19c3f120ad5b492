"""The test's database, seen from outside of the workers."""

from collections.abc import AsyncIterator

import pytest_asyncio
from support.rows import Rows, connected


@pytest_asyncio.fixture
async def rows(database_url: str) -> AsyncIterator[Rows]:
    """Give a connection to the test's database."""
    async with connected(database_url) as connection:
        yield connection
