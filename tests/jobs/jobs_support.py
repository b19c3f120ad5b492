"""Workers and jobs for tests."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from support.rows import Rows

from drive.jobs.interfaces import Job, Schedule
from drive.jobs.queue import Queue
from drive.jobs.schedules import Schedules
from drive.jobs.worker import Worker
from drive.lazy import lifespan
from drive.settings import Settings
from drive.worker_container import WorkerContainer

LEASE_S = 30.0


async def ask(rows: Rows, kind: str, payload: Any = None, *, lane: str = "quick", key: str | None = None) -> int:
    """Add a job that is due, and return its id."""
    return int(
        await rows.fetchval(
            "insert into jobs (kind, payload, lane, unique_key) values ($1, $2, $3, $4) returning id",
            kind,
            payload or {},
            lane,
            key,
        )
    )


async def job(rows: Rows, job_id: int) -> dict[str, Any]:
    """Return a job's row; nothing once it was done."""
    return dict(await rows.fetchrow("select *, run_at > now() as is_later from jobs where id = $1", job_id) or {})


async def let_leases_end(rows: Rows) -> None:
    """As if their workers had been silent for long."""
    await rows.execute("update jobs set locked_until = now() where status = 'running'")


@asynccontextmanager
async def worker_of(
    settings: Settings,
    jobs: Mapping[str, Job],
    *,
    schedules: Sequence[Schedule] = (),
    lease_s: float = LEASE_S,
    quick: int = 1,
    media: int = 0,
    **most_attempts: int,
) -> AsyncIterator[Worker]:
    """Give a worker with jobs of the test's own, and with connections of its own, as another process would have."""
    container = WorkerContainer(settings=settings)
    async with lifespan(container):
        database = container.database()
        yield Worker(
            Queue(database, lease_s=lease_s),
            Schedules(database, schedules),
            jobs,
            concurrency={"quick": quick, "media": media},
            most_attempts=most_attempts,
            poll_interval_s=0.02,
        )


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator["asyncio.Task[None]"]:
    """Let a worker run for a block."""
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()
