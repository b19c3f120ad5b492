"""What is due is asked for once, by whoever sees it first."""

import asyncio
from typing import Any

from jobs_support import ask, job, let_leases_end, worker_of, working
from support.rows import Rows
from support.waiting import eventually

from drive.jobs.interfaces import Job, Schedule
from drive.settings import Settings

DAILY = Schedule("clean", every_s=86400, offset_s=3600)
DUE = "update schedules set next_run_at = now() - interval '10 days'"


class Runs:
    """Counts how often it was run."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, _payload: dict[str, Any]) -> None:
        self.count += 1


async def test_a_schedule_runs_at_once_where_it_never_has_and_then_when_it_is_due(
    settings: Settings, rows: Rows
) -> None:
    """Its turns are at its hour of the day in UTC, however late the last one was."""
    runs = Runs()
    for expected in (1, 1):
        async with worker_of(settings, {"clean": runs}, schedules=[DAILY]) as worker:
            await worker.run_once()
        assert runs.count == expected
    turn = await rows.fetchrow(
        "select extract(epoch from next_run_at)::bigint % 86400 as second, next_run_at > now() as is_later, "
        "next_run_at <= now() + interval '1 day' as is_soon, now() - last_run_at < interval '1 min' as was_now "
        "from schedules where name = 'clean'"
    )
    assert dict(turn or {}) == {"second": 3600, "is_later": True, "is_soon": True, "was_now": True}


async def test_after_ten_days_of_pause_it_runs_once(settings: Settings, rows: Rows) -> None:
    runs = Runs()
    async with worker_of(settings, {"clean": runs}, schedules=[DAILY]) as worker:
        await worker.run_once()
        await rows.execute(DUE)
        await worker.run_once()
        await worker.run_once()
    assert runs.count == 2


async def test_of_many_workers_one_runs_it(settings: Settings, rows: Rows) -> None:
    runs = Runs()
    async with (
        worker_of(settings, {"clean": runs}, schedules=[DAILY]) as one,
        worker_of(settings, {"clean": runs}, schedules=[DAILY]) as other,
    ):
        for expected in range(1, 11):
            await asyncio.gather(one.run_once(), other.run_once())
            await one.run_once()
            assert runs.count == expected
            await rows.execute(DUE)


async def test_what_waits_or_runs_is_not_asked_for_again(settings: Settings, rows: Rows) -> None:
    async with worker_of(settings, {}, schedules=[DAILY]) as worker:
        for status in ("pending", "running"):
            await worker._schedules.tick()
            await rows.execute(DUE)
            await worker._schedules.tick()
            assert await rows.fetchval("select count(*) from jobs") == 1, status
            await rows.execute(DUE)
            await worker._queue.claim("quick")


async def test_a_killed_workers_turn_is_taken_by_another(settings: Settings, rows: Rows) -> None:
    runs = Runs()
    async with worker_of(settings, {"clean": runs}, schedules=[DAILY]) as killed:
        await killed._schedules.tick()
        assert await killed._queue.claim("quick") is not None
    await let_leases_end(rows)
    async with worker_of(settings, {"clean": runs}, schedules=[DAILY]) as other:
        await other.run_once()
    assert runs.count == 1


async def test_what_failed_gives_way_to_the_next_turn(settings: Settings, rows: Rows) -> None:
    async def fail(_payload: dict[str, Any]) -> None:
        raise ValueError

    async with worker_of(settings, {"clean": fail}, schedules=[DAILY], clean=1) as worker:
        for _ in range(3):
            await worker.run_once()
            found = await rows.fetch("select status, attempts from jobs")
            assert [tuple(row) for row in found] == [("failed", 1)]
            await rows.execute(DUE)


async def test_a_running_worker_sees_that_something_is_due(settings: Settings, rows: Rows) -> None:
    runs = Runs()
    often = Schedule("clean", every_s=0.2)
    async with worker_of(settings, {"clean": runs}, schedules=[often]) as worker, working(worker):
        await eventually(lambda: runs.count >= 3)
    assert await rows.fetchval("select count(*) from jobs") <= 1


async def test_other_jobs_are_done_between(settings: Settings, rows: Rows) -> None:
    """A schedule's job is one of several, and holds up nothing."""
    go, done = asyncio.Event(), Runs()

    async def clean(_payload: dict[str, Any]) -> None:
        await go.wait()

    jobs: dict[str, Job] = {"clean": clean, "work": done}
    async with worker_of(settings, jobs, schedules=[DAILY], quick=2) as worker, working(worker):
        job_id = await ask(rows, "work")

        async def is_done() -> bool:
            return await job(rows, job_id) == {}

        await eventually(is_done)
        go.set()
