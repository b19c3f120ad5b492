"""Count what is asked of the database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from dependency_injector.providers import Singleton

from drive.containers import Container
from drive.db.database import Database

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy


class CountingDatabase(Database):
    """A database that remembers its statements, as the driver sends them: begin and commit are some, too."""

    __slots__ = ("statements",)

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.statements: list[str] = []

    @asynccontextmanager
    async def _taken(self) -> "AsyncIterator[PoolConnectionProxy[asyncpg.Record]]":
        async with super()._taken() as connection:
            with connection.query_logger(lambda record: self.statements.append(record.query)):
                yield connection

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """Give the statements of a block."""
        self.statements.clear()
        yield self.statements


def counting(container: Container) -> CountingDatabase:
    """Let a container that is not in use yet count, and return what does."""
    connect_timeout_s = container.settings().database_connect_timeout_s
    container.database.override(Singleton(CountingDatabase, container.database_pool, connect_timeout_s))
    database = container.database()
    assert isinstance(database, CountingDatabase)
    return database
