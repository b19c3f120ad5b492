"""Databases of a test's own, and one that forgets what a test did."""

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

if TYPE_CHECKING:
    from asyncpg import Connection, Record


@asynccontextmanager
async def temporary_database(server_url: str, template_url: str = "") -> AsyncIterator[str]:
    """Create a database for a while and give its address; a copy of the template, if one is named.

    Nobody may be connected to the template meanwhile.
    """
    name, template = f"drive_test_{uuid4().hex}", _database(template_url) or "template1"
    await _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        await _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def rolled_back(url: str) -> "AsyncIterator[Connection[Record]]":
    """Give a connection in a transaction that is rolled back at the end; transactions on it become savepoints.

    `connection.reset()` would end the transaction: what calls it needs a database of its own.
    """
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.transaction().start()
        yield connection
    finally:
        await connection.close()  # which rolls back


class RolledBackPool:
    """Stands for an asyncpg pool, with one connection from `rolled_back`: who acquires it waits until it is released.

    A statement that fails undoes nothing that came before it, as in a pool whose connections commit.
    """

    def __init__(self, connection: "Connection[Record]") -> None:
        self._connection = connection
        self._taken = asyncio.Lock()

    def acquire(self, *, timeout: float | None = None) -> "_Acquiring":
        """Take the connection, by `await` or `async with`."""
        return _Acquiring(self._connection, self._taken, timeout)

    async def release(self, _connection: object, *, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - as asyncpg's
        """Give the connection back."""
        self._taken.release()

    async def close(self) -> None:
        """Leave the connection to who made it."""

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Execute a statement as the connection does, and so on."""
        return await self._ask("execute", *args, **kwargs)

    async def executemany(self, *args: Any, **kwargs: Any) -> Any:
        """Execute a statement for each sequence of arguments."""
        return await self._ask("executemany", *args, **kwargs)

    async def fetch(self, *args: Any, **kwargs: Any) -> Any:
        """Return the rows of a query."""
        return await self._ask("fetch", *args, **kwargs)

    async def fetchrow(self, *args: Any, **kwargs: Any) -> Any:
        """Return the first row of a query."""
        return await self._ask("fetchrow", *args, **kwargs)

    async def fetchval(self, *args: Any, **kwargs: Any) -> Any:
        """Return the first value of a query."""
        return await self._ask("fetchval", *args, **kwargs)

    async def _ask(self, how: str, *args: Any, **kwargs: Any) -> Any:
        async with self.acquire() as connection, connection.transaction():
            return await getattr(connection, how)(*args, **kwargs)


class _Acquiring:
    """What `acquire` returns: awaited, or entered by `async with`."""

    def __init__(self, connection: "Connection[Record]", taken: asyncio.Lock, timeout_s: float | None) -> None:
        self._connection = connection
        self._taken = taken
        self._timeout_s = timeout_s

    def __await__(self) -> "Generator[Any, None, Connection[Record]]":
        return self.__aenter__().__await__()

    async def __aenter__(self) -> "Connection[Record]":
        async with asyncio.timeout(self._timeout_s):
            await self._taken.acquire()
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        self._taken.release()


async def _execute(url: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _database(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
