"""Folders on a real database, without the HTTP around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.rows import Rows

from drive.containers import Container
from drive.lazy import lifespan
from drive.peers.seed import PLAIN_ID
from drive.settings import Settings


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Container]:
    """Give the application's parts on a database, and close them."""
    container = Container(settings=Settings(database_url=url))
    async with lifespan(container):
        yield container


async def add_indexes(rows: Rows, count: int, path: str) -> None:
    """Put each of the files of `support.rows.add_files` into a folder, by SQL over its number."""
    await rows.execute(
        f"""
        insert into file_indexes (account_id, path, file_id)
        select $2::uuid, {path}, 'file-' || n from generate_series(1, $1::int) n
        """,
        count,
        PLAIN_ID,
    )
