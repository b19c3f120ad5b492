"""What waits in the database, told without asking it often."""

import asyncio
import time
from dataclasses import dataclass

import structlog

from drive.db.database import Database
from drive.db.queries import load_queries
from drive.errors import DriveError

QUERIES = load_queries(__package__)

_TIMEOUT_S = 2.0
_KEPT_FOR_S = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What was counted."""

    jobs: dict[tuple[str, str], int]
    """By kind and status."""
    waiting_s: float | None
    """How long the job has been due that waits for longest; None if none does."""
    uploads: int
    """Those under way."""


class Backlog:
    """Counts jobs and uploads, at most every few seconds however many ask, and never makes anybody wait for long."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counting: asyncio.Task[None] | None = None
        self._counted_at_s: float | None = None
        self._waiting: Waiting | None = None

    async def waiting(self) -> Waiting | None:
        """Return what waits; None where the database does not tell, or was not used yet: this does not open it."""
        if not self._database.is_open:
            return None
        if self._counted_at_s is None or time.monotonic() - self._counted_at_s > _KEPT_FOR_S:
            if self._counting is None:
                self._counting = asyncio.create_task(self._count(), name="count jobs")
            # In a task: where the database is frozen, cancelling what was asked takes as long as giving up on it.
            done, _ = await asyncio.wait([self._counting], timeout=_TIMEOUT_S)
            if not done:
                return None
            done.pop().result()
        return self._waiting

    async def _count(self) -> None:
        try:
            self._waiting = await self._counted()
            self._counted_at_s = time.monotonic()
        finally:
            self._counting = None

    async def _counted(self) -> Waiting | None:
        import asyncpg

        try:
            async with asyncio.timeout(_TIMEOUT_S):
                jobs = await self._database.fetch(QUERIES["jobs"])
                waiting_s = await self._database.fetchval(QUERIES["waiting"])
                uploads = await self._database.fetchval(QUERIES["uploads"])
        except (DriveError, TimeoutError, asyncpg.PostgresError) as error:
            log.debug("Backlog not counted", error=type(error).__name__)
            return None
        return Waiting({(row["kind"], row["status"]): row["count"] for row in jobs}, waiting_s, uploads)
