"""What is done at an interval."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from drive.db.database import Database
from drive.jobs.interfaces import Schedule
from drive.jobs.queue import QUERIES

if TYPE_CHECKING:
    from asyncpg import Record

_LONGEST_WAIT_S = 60.0  # in case another process has changed what is due


class Turn(msgspec.Struct, frozen=True):
    """When a schedule was due last, and will be next; null where it never was, or is at the next look."""

    name: str
    every_s: float
    last_run_at: datetime | None
    next_run_at: datetime | None


class Schedules:
    """Asks for the jobs of schedules when they are due: once, however many processes do, and once after a pause.

    Asking is all that happens here. The job is done like any other, by whichever worker takes it.
    """

    def __init__(self, database: Database, schedules: Sequence[Schedule]) -> None:
        self._database = database
        self._schedules = schedules
        self.names = [one.name for one in schedules]
        self._are_known = False

    async def tick(self) -> float:
        """Ask for what is due, and return in how many seconds to look again."""
        if not self._are_known:
            await self._database.execute(QUERIES["know"], self.names)
            self._are_known = True
        every_s, offsets_s = [one.every_s for one in self._schedules], [one.offset_s for one in self._schedules]
        await self._database.execute(QUERIES["tick"], self.names, every_s, offsets_s)
        wait_s = await self._database.fetchval(QUERIES["next_turn"], self.names)
        return _LONGEST_WAIT_S if wait_s is None else min(max(wait_s, 0.0), _LONGEST_WAIT_S)

    async def turns(self) -> list[Turn]:
        """Return when each was and will be due."""
        rows = {row["name"]: row for row in await self._database.fetch(QUERIES["schedules"], self.names)}
        return [_turn(one, rows.get(one.name)) for one in self._schedules]

    async def note(self, name: str) -> None:
        """Record that somebody ran a schedule's job by hand."""
        await self._database.execute(QUERIES["has_run"], name)


def _turn(schedule: Schedule, row: "Record | None") -> Turn:
    last_run_at, next_run_at = (None, None) if row is None else (row["last_run_at"], row["next_run_at"])
    return Turn(schedule.name, schedule.every_s, last_run_at, next_run_at)
