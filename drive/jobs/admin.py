"""What an operator sees of the jobs, and can do with those that have failed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from drive.db.database import Database
from drive.jobs.queue import QUERIES


class Count(msgspec.Struct, frozen=True):
    """How many jobs of a kind have a status."""

    kind: str
    status: str
    count: int


class JobSummary(msgspec.Struct, frozen=True):
    """A job, without its payload."""

    id: int
    kind: str
    status: str
    attempts: int
    age_s: float
    run_at: datetime
    created_at: datetime
    error: str | None


class Overview(msgspec.Struct, frozen=True):
    """All jobs counted, and some of them shown."""

    counts: list[Count]
    jobs: list[JobSummary]


class JobsAdmin:
    """Lists jobs, lets them be tried again, and forgets them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def overview(self, *, status: str | None, kind: str | None, most: int) -> Overview:
        """Count the jobs, and list the latest of a status, of the failed ones where none is given."""
        counted = await self._database.fetch(QUERIES["counts"], status, kind)
        listed = await self._database.fetch(QUERIES["listed"], status or "failed", kind, most)
        return Overview([Count(**row) for row in counted], [_summary(row) for row in listed])

    async def retry(self, ids: Sequence[int] | None, kind: str | None) -> list[int]:
        """Let failed jobs be tried again: these, or all, or all of a kind; return their ids."""
        return [row["id"] for row in await self._database.fetch(QUERIES["try_again"], ids, kind)]

    async def forget(self, ids: Sequence[int]) -> list[int]:
        """Forget failed jobs, and return their ids."""
        return [row["id"] for row in await self._database.fetch(QUERIES["forget"], ids)]


def _summary(row: Any) -> JobSummary:
    return JobSummary(
        id=row["id"],
        kind=row["kind"],
        status=row["status"],
        attempts=row["attempts"],
        age_s=round(row["age_s"], 1),
        run_at=row["run_at"],
        created_at=row["created_at"],
        error=row["error_message"],
    )
