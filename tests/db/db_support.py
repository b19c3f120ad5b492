"""What the tests of the database share: databases, pools on them, and a look at the server from outside."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from drive.db.database import Database
from drive.db.pool import close_pool, open_pool
from drive.lazy import Lazy

OPTIONS: dict[str, Any] = {
    "role": "test",
    "max_connections": 5,
    "idle_timeout_s": 30.0,
    "connect_timeout_s": 5.0,
    "query_timeout_s": 30.0,
}


@asynccontextmanager
async def opened(url: str, **changed: Any) -> AsyncIterator[Database]:
    """Give a `Database` with its pool, and close it."""
    options = OPTIONS | changed
    pool = Lazy(lambda: open_pool(url=url, **options), close=close_pool)
    try:
        yield Database(pool, options["connect_timeout_s"])
    finally:
        await pool.aclose()


@asynccontextmanager
async def watching(url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """Give a connection that is none of the application's."""
    connection = await asyncpg.connect(url, server_settings={"application_name": "watcher"})
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def empty_database(server_url: str) -> AsyncIterator[str]:
    """Give a database without anything in it."""
    name = f"drive_test_{uuid4().hex}"
    async with watching(server_url) as connection:
        await connection.execute(f'create database "{name}"')
        try:
            yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
        finally:
            await connection.execute(f'drop database "{name}" with (force)')


async def sessions(watcher: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """Return the states of the application's sessions in the watcher's database."""
    rows = await watcher.fetch(
        "select coalesce(state, '') as state from pg_stat_activity "
        "where application_name like 'drive-%' and datname = current_database()"
    )
    return [row["state"] for row in rows]


async def eventually(condition: Callable[[], Awaitable[bool]], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < deadline, f"not so within {timeout_s} s"
        await asyncio.sleep(0.01)
