"""Rows by id: what several requests ask for at once goes in one query."""

import asyncio
from typing import TYPE_CHECKING

from drive.db.database import Database
from drive.db.queries import Queries

if TYPE_CHECKING:
    from asyncpg import Record

_MOST_ROWS = 200
_PATIENCE_S = 0.02


class Loader:
    """Asks for all rows together that are waited for when the query before is answered.

    The more ask at once, the less a row costs. None is given that was read before it was asked for, so that a change
    holds from the next request on, as it does without this. A query that takes long holds nobody up: who still waits
    after `_PATIENCE_S` is asked for by another. Cancelling one who waits harms no other.
    """

    def __init__(self, database: Database, queries: Queries, name: str) -> None:
        """Take the name of a query that gives the rows whose `id` is in the array $1."""
        self._database = database
        self._queries = queries
        self._name = name
        self._waiting: list[tuple[str, asyncio.Future[Record | None]]] = []
        self._asking: set[asyncio.Task[None] | None] = set()
        self._later: asyncio.TimerHandle | None = None

    async def row(self, id_: str) -> "Record | None":
        """Return the row of an id, None where there is none.

        Raises:
            DriveError: UNAVAILABLE.

        """
        row: asyncio.Future[Record | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((id_, row))
        if not self._asking:
            self._ask()
        elif len(self._waiting) == 1:
            self._ask_later()
        return await row

    def _ask(self) -> None:
        task = asyncio.create_task(self._answer_all(), name=f"load {self._name}")
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)  # as it may be cancelled before it begins

    def _ask_later(self) -> None:
        self._later = asyncio.get_running_loop().call_later(_PATIENCE_S, self._ask)

    async def _answer_all(self) -> None:
        """Answer those who wait and who comes meanwhile, the latter unless another is at it."""
        try:
            while self._waiting:
                await self._answer_some()
                if len(self._asking) > 1:
                    return
        finally:  # in the same turn of the loop, so that who comes next sees whether anybody asks
            self._asking.discard(asyncio.current_task())

    async def _answer_some(self) -> None:
        waiting, self._waiting = self._waiting[:_MOST_ROWS], self._waiting[_MOST_ROWS:]
        if self._later is not None:
            self._later.cancel()
        if self._waiting:
            self._ask_later()
        try:
            found = await self._database.fetch(self._queries[self._name], list({id_ for id_, _ in waiting}))
        except asyncio.CancelledError:  # the event loop ends
            for _, row in waiting:
                row.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - those who wait raise it
            for _, row in waiting:
                if not row.done():
                    row.set_exception(error)
            return
        rows = {found_row["id"]: found_row for found_row in found}
        for id_, row in waiting:
            if not row.done():  # as it is where who waited was cancelled
                row.set_result(rows.get(id_))
