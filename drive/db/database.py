"""What services ask the database through."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from drive.db.outage import Outage, is_outage
from drive.errors import DriveError, unavailable

if TYPE_CHECKING:
    from asyncpg import Pool, Record
    from asyncpg.pool import PoolConnectionProxy

    from drive.lazy import Lazy


@contextmanager
def unique_or(conflict: DriveError) -> Iterator[None]:
    """Raise `conflict` where a statement in the block would store twice what may be there once."""
    try:
        yield
    except Exception as error:
        import asyncpg  # not before the statement: the pool imports it in a thread, and here the event loop would wait

        if not isinstance(error, asyncpg.UniqueViolationError):
            raise
        raise conflict from error


class Queryable(ABC):
    """Statements with their arguments; each may raise `UNAVAILABLE`, and asyncpg's errors of SQL as they are."""

    __slots__ = ()

    async def fetch(self, query: str, *args: Any) -> "list[Record]":
        """Return all rows."""
        async with self._lend(query) as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> "Record | None":
        """Return the first row."""
        async with self._lend(query) as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Return the first column of the first row, None where there is no row."""
        async with self._lend(query) as connection:
            return await connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """Return the status, such as `UPDATE 3`."""
        async with self._lend(query) as connection:
            return await connection.execute(query, *args)

    async def executemany(self, query: str, args: Iterable[Sequence[Any]]) -> None:
        """Execute a statement once for each row of arguments, all of them or none."""
        async with self._lend(query) as connection:
            await connection.executemany(query, args)

    @abstractmethod
    def _lend(self, query: str) -> "AbstractAsyncContextManager[PoolConnectionProxy[Record]]":
        """Give a connection for one statement, and turn outages into `UNAVAILABLE`."""


class Connection(Queryable):
    """One connection, inside of the block of a transaction."""

    __slots__ = ("_connection", "_outage")

    def __init__(self, connection: "PoolConnectionProxy[Record]", outage: Outage) -> None:
        self._connection: PoolConnectionProxy[Record] | None = connection
        self._outage = outage

    def leave(self) -> None:
        """Refuse further statements: the block has ended."""
        self._connection = None

    @asynccontextmanager
    async def _lend(self, query: str) -> "AsyncIterator[PoolConnectionProxy[Record]]":
        if self._connection is None:
            raise RuntimeError("The transaction of this connection is over: use it inside of its `async with` block")
        with self._outage.asking(self._connection, query):
            yield self._connection


class Database(Queryable):
    """The database, reached at the first query.

    Where it cannot be reached, or all connections stay in use for `connect_timeout_s`, clients get `UNAVAILABLE` and
    the log one line; the next query tries again. Cancelling a query gives its connection back, clean.
    """

    __slots__ = ("_connect_timeout_s", "_outage", "_pool")

    def __init__(self, pool: "Lazy[Pool[Record]]", connect_timeout_s: float) -> None:
        self._pool = pool
        self._connect_timeout_s = connect_timeout_s
        self._outage = Outage()

    @property
    def is_open(self) -> bool:
        """Whether anything was asked yet."""
        return self._pool.peek() is not None

    async def ping(self) -> None:
        """Ask for an answer, within `connect_timeout_s` once connected.

        Raises:
            DriveError: UNAVAILABLE.

        """
        query = "select 1"
        async with self._lend(query) as connection:
            await connection.execute(query, timeout=self._connect_timeout_s)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Give a connection; what it did is committed at the end of the block, or undone where the block raises."""
        async with self._taken() as taken, _Transaction(taken, self._outage):
            connection = Connection(taken, self._outage)
            try:
                yield connection
            finally:
                connection.leave()

    @asynccontextmanager
    async def _lend(self, query: str) -> "AsyncIterator[PoolConnectionProxy[Record]]":
        async with self._taken() as connection:
            with self._outage.asking(connection, query):
                yield connection

    @asynccontextmanager
    async def _taken(self) -> "AsyncIterator[PoolConnectionProxy[Record]]":
        """Take a connection from the pool and give it back."""
        pool = await self._pool()
        connection = await self._take(pool)
        try:
            yield connection
        except BaseException:
            await self._settle(connection)
            raise
        finally:
            await self._give_back(pool, connection)

    async def _take(self, pool: "Pool[Record]") -> "PoolConnectionProxy[Record]":
        with self._outage.connecting():
            try:
                return await pool.acquire(timeout=self._connect_timeout_s)
            except TimeoutError as error:
                if pool.get_size() < pool.get_max_size():
                    raise
                self._outage.note_busy(pool.get_max_size())
                raise unavailable("The database") from error

    async def _settle(self, connection: "PoolConnectionProxy[Record]") -> None:
        """End what a failed or cancelled statement began.

        asyncpg has a statement prepared before it sends the arguments. Where it gets no further, the server stays in
        the transaction of that statement, with its locks and its `now()`, which the next statement would take over.
        """
        try:
            await connection.reset(timeout=self._connect_timeout_s)
        except Exception as error:
            if not is_outage(error):
                raise
            self._outage.note(error)

    async def _give_back(self, pool: "Pool[Record]", connection: "PoolConnectionProxy[Record]") -> None:
        try:
            await pool.release(connection)
        except Exception as error:
            if not is_outage(error):
                raise
            # asyncpg has dropped the connection, and whoever used it has its answer or a better error.
            self._outage.note(error)


class _Transaction:
    """A transaction whose own failures are told from those of its block."""

    def __init__(self, connection: "PoolConnectionProxy[Record]", outage: Outage) -> None:
        self._connection = connection
        self._transaction = connection.transaction()
        self._outage = outage

    async def __aenter__(self) -> None:
        with self._outage.asking(self._connection, "begin"):
            await self._transaction.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            with self._outage.asking(self._connection, "commit"):
                await self._transaction.__aexit__(None, None, None)
        else:
            await self._roll_back(error)

    async def _roll_back(self, error: BaseException) -> None:
        try:
            await self._transaction.__aexit__(type(error), error, error.__traceback__)
        except Exception as failure:
            if not is_outage(failure):
                raise
            # The server undoes what a lost connection did; the block's error is the one to see.
            self._outage.note(failure)
