"""The jobs in the database: taking them, and saying how they ended."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from drive.db.database import Database, unique_or
from drive.db.queries import load_queries
from drive.errors import Code, DriveError
from drive.jobs.interfaces import Claimed

QUERIES = load_queries(__package__)


class Queue:
    """Takes jobs under a lease. What a worker says of a job that is no longer its own changes nothing."""

    def __init__(self, database: Database, *, lease_s: float) -> None:
        self._database = database
        self.lease_s = lease_s

    async def claim(self, lane: str, claim: UUID | None = None) -> Claimed | None:
        """Take the job of a lane that has been due for longest; None if there is none.

        `claim` lets a caller that is cancelled meanwhile give back what it never saw.
        """
        claim = claim or uuid4()
        row = await self._database.fetchrow(QUERIES["claim"], lane, claim, self.lease_s)
        if row is None:
            return None
        return Claimed(row["id"], row["kind"], row["payload"], row["attempts"], claim)

    async def renew(self, claims: Sequence[UUID]) -> set[UUID]:
        """Begin the leases anew, and return the claims that still hold."""
        return {row["claim"] for row in await self._database.fetch(QUERIES["renew"], claims, self.lease_s)}

    async def done(self, claim: UUID) -> None:
        """Forget a job that was done."""
        await self._database.execute(QUERIES["done"], claim)

    async def retry(self, claim: UUID, error: str, *, after_s: float) -> None:
        """Let a job that failed be tried again, unless the same was asked for since."""
        await self._let_wait("retry", claim, error, after_s)

    async def fail(self, claim: UUID, error: str) -> None:
        """Keep a job that failed for good, for the operator to see."""
        await self._database.execute(QUERIES["fail"], claim, error)

    async def give_back(self, claim: UUID) -> None:
        """Let another worker take a job at once, as if this one had never had it."""
        await self._let_wait("give_back", claim)

    async def _let_wait(self, query: str, claim: UUID, *args: object) -> None:
        waits_already = DriveError(Code.CONFLICT, "The same was asked for again, and is waiting.")
        try:
            with unique_or(waits_already):
                await self._database.execute(QUERIES[query], claim, *args)
        except DriveError as error:
            if error is not waits_already:
                raise
            await self.done(claim)
