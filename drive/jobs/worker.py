"""Takes jobs from the database and does them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from drive.db.database import Database
from drive.db.queries import load_queries
from drive.errors import DriveError

log = structlog.get_logger()

QUERIES = load_queries(__package__)

_ATTEMPTS = 10
_FIRST_RETRY_S = 2.0
_LAST_RETRY_S = 3600.0

Job = Callable[[dict[str, Any]], Awaitable[None]]


class Worker:
    """Does due jobs one after the other, and sweeps at an interval. Any number of workers share one database.

    A job is done while its row is locked, so that a killed worker's job is taken by the next. It may thus run twice:
    every job can be repeated. One that keeps failing ends as `failed`, for an operator to see.
    """

    def __init__(
        self,
        database: Database,
        jobs: Mapping[str, Job],
        sweep: Callable[[], Awaitable[None]],
        *,
        poll_interval_s: float,
        sweep_interval_s: float,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._sweep = sweep
        self._poll_interval_s = poll_interval_s
        self._sweep_interval_s = sweep_interval_s

    async def run(self) -> None:
        """Work until cancelled. An outage of the database is waited out."""
        loop = asyncio.get_running_loop()
        sweep_at_s = loop.time()
        while True:
            try:
                if loop.time() >= sweep_at_s:
                    sweep_at_s = loop.time() + self._sweep_interval_s
                    await self._sweep()
                while await self.do_one():
                    pass
            except DriveError as error:
                log.warning("Worker waits", reason=error.message)
            except Exception:  # a sweep that cannot remove a file, say, must not keep jobs from being done
                log.exception("Worker failed")
            await asyncio.sleep(self._poll_interval_s)

    async def run_once(self) -> None:
        """Sweep, do all jobs that are due, and return."""
        await self._sweep()
        while await self.do_one():
            pass

    async def do_one(self) -> bool:
        """Do one job that is due; False if there is none."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(QUERIES["take"])
            if row is None:
                return False
            try:
                await self._jobs[row["kind"]](row["payload"])
            except Exception as error:  # noqa: BLE001 - a job may fail in any way; it is logged, kept and tried again
                await connection.execute(QUERIES["retry"], row["id"], *_verdict(row, error))
            else:
                await connection.execute(QUERIES["done"], row["id"])
        return True


def _verdict(row: Any, error: Exception) -> tuple[str, float, str]:
    """Return what is written beside a failed job: why, in how many seconds it is tried again, and its status."""
    attempts = row["attempts"] + 1
    status = "failed" if attempts >= _ATTEMPTS else "pending"
    log.warning("Job failed", job=row["id"], kind=row["kind"], attempts=attempts, status=status, error=repr(error))
    return repr(error)[:1000], min(_FIRST_RETRY_S * 2 ** (attempts - 1), _LAST_RETRY_S), status
