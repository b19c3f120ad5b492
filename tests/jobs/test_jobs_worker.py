"""Jobs are done, each by one worker at a time, whatever happens to workers."""

import asyncio
from typing import Any

import pytest
from jobs_support import ask, job, let_leases_end, worker_of, working
from structlog.testing import capture_logs
from support.rows import Rows, connected
from support.waiting import eventually

from drive.jobs.interfaces import PermanentError
from drive.jobs.queue import QUERIES
from drive.settings import Settings


class Work:
    """A job that waits until it is let go."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.ended: list[dict[str, Any]] = []
        self.go = asyncio.Event()

    async def __call__(self, payload: dict[str, Any]) -> None:
        self.begun.append(payload)
        await self.go.wait()
        self.ended.append(payload)


@pytest.fixture
def work() -> Work:
    return Work()


async def count(rows: Rows) -> int:
    return int(await rows.fetchval("select count(*) from jobs"))


async def none_left(rows: Rows) -> bool:
    return await count(rows) == 0


async def test_jobs_are_done_several_at_a_time_but_no_more_than_allowed(
    settings: Settings, rows: Rows, work: Work
) -> None:
    for n in range(5):
        await ask(rows, "work", {"n": n})
    async with worker_of(settings, {"work": work}, quick=3) as worker, working(worker):
        await eventually(lambda: len(work.begun) == 3)
        assert await rows.fetchval("select count(*) from jobs where status = 'running'") == 3
        work.go.set()
        await eventually(lambda: none_left(rows))
    assert sorted(one["n"] for one in work.ended) == [0, 1, 2, 3, 4]


async def test_a_job_holds_no_transaction_while_it_is_done(settings: Settings, rows: Rows, work: Work) -> None:
    await ask(rows, "work")
    async with worker_of(settings, {"work": work}) as worker, working(worker):
        await eventually(lambda: work.begun)
        held = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'"
        assert await rows.fetchval(held) == 0


async def test_media_never_stand_before_quick_jobs(settings: Settings, rows: Rows, work: Work) -> None:
    """A hundred videos wait; a deletion that comes last is done at once."""
    done = asyncio.Event()

    async def delete(_payload: dict[str, Any]) -> None:
        done.set()

    for _ in range(100):
        await ask(rows, "video", lane="media")
    async with worker_of(settings, {"video": work, "delete": delete}, media=1) as worker, working(worker):
        await eventually(lambda: work.begun)
        await ask(rows, "delete")
        await asyncio.wait_for(done.wait(), 10)
        assert len(work.begun) == 1


async def test_a_killed_workers_job_is_done_by_another_once_its_lease_has_ended(
    settings: Settings, rows: Rows, work: Work
) -> None:
    job_id = await ask(rows, "work")
    async with worker_of(settings, {"work": work}) as killed:
        assert await killed._queue.claim("quick") is not None
    async with worker_of(settings, {"work": work}) as other, working(other):
        work.go.set()
        assert (await job(rows, job_id))["status"] == "running"
        assert work.begun == []
        await let_leases_end(rows)
        await eventually(lambda: none_left(rows))
    assert len(work.ended) == 1


async def test_a_lease_is_renewed_for_as_long_as_the_job_takes(settings: Settings, rows: Rows, work: Work) -> None:
    job_id = await ask(rows, "work")
    async with worker_of(settings, {"work": work}, lease_s=0.3) as worker, working(worker):
        await eventually(lambda: work.begun)
        first = (await job(rows, job_id))["locked_until"]

        async def renewed_twice() -> bool:
            return bool(((await job(rows, job_id))["locked_until"] - first).total_seconds() > 0.3)

        await eventually(renewed_twice)
        assert len(work.begun) == 1
        work.go.set()
        await eventually(lambda: none_left(rows))


async def test_who_lost_the_lease_changes_nothing(settings: Settings, rows: Rows, work: Work) -> None:
    """It is told to stop, and what it says of the job is not heard."""
    job_id = await ask(rows, "work")
    async with worker_of(settings, {"work": work}, lease_s=0.3) as slow, working(slow):
        await eventually(lambda: work.begun)
        with capture_logs() as lines:
            claim = "update jobs set claim = gen_random_uuid(), locked_until = now() + interval '1 h' where id = $1"
            await rows.execute(claim, job_id)
            await eventually(lambda: [line for line in lines if line["event"] == "Job lost"])
        assert work.ended == []
    row = await job(rows, job_id)
    assert (row["status"], row["attempts"]) == ("running", 1)


@pytest.mark.parametrize("how", ["done", "fail", "retry", "give_back"])
async def test_no_word_of_a_lost_claim_counts(settings: Settings, rows: Rows, how: str) -> None:
    job_id = await ask(rows, "work")
    async with worker_of(settings, {}) as worker:
        queue = worker._queue
        first = await queue.claim("quick")
        await let_leases_end(rows)
        second = await queue.claim("quick")
        assert first is not None
        assert second is not None
        before = await job(rows, job_id)
        said = {"fail": ("no",), "retry": ("no",)}.get(how, ())
        await getattr(queue, how)(first.claim, *said, **({"after_s": 1} if how == "retry" else {}))
        assert await job(rows, job_id) == before
        await queue.done(second.claim)
    assert await job(rows, job_id) == {}


async def test_a_job_that_fails_waits_longer_each_time_and_ends_as_failed(settings: Settings, rows: Rows) -> None:
    async def fail(_payload: dict[str, Any]) -> None:
        raise ValueError("bad\x00luck")

    job_id = await ask(rows, "fail")
    waits = []
    async with worker_of(settings, {"fail": fail}, fail=4) as worker:
        for _ in range(4):
            with capture_logs() as lines:
                await worker.run_once()
            row = await job(rows, job_id)
            waits.append((row["run_at"] - await rows.fetchval("select now()")).total_seconds())
            await worker.run_once()  # not due yet
            assert (await job(rows, job_id))["attempts"] == len(waits)
            await rows.execute("update jobs set run_at = now() where status = 'pending'")
    for n, wait_s in enumerate(waits[:3]):
        assert 0.7 * 2 ** (n + 1) - 1 < wait_s < 1.25 * 2 ** (n + 1), waits
    assert (row["status"], row["attempts"], row["error_message"]) == ("failed", 4, "ValueError('bad\\x00luck')")
    (line,) = [line for line in lines if line["event"] == "Job failed"]
    assert (line["job"], line["kind"], line["attempts"], line["status"]) == (job_id, "fail", 4, "failed")


async def test_a_permanent_error_fails_at_once(settings: Settings, rows: Rows) -> None:
    async def fail(_payload: dict[str, Any]) -> None:
        raise PermanentError("nothing can help")

    job_id = await ask(rows, "fail")
    async with worker_of(settings, {"fail": fail}) as worker:
        await worker.run_once()
    row = await job(rows, job_id)
    assert (row["status"], row["attempts"], row["error_message"]) == ("failed", 1, "nothing can help")


async def test_an_unknown_kind_says_so_and_the_others_are_done(settings: Settings, rows: Rows, work: Work) -> None:
    """It is tried again: a newer worker may know it."""
    work.go.set()
    unknown = await ask(rows, "fly")
    await ask(rows, "work")
    async with worker_of(settings, {"work": work}) as worker:
        await worker.run_once()
    row = await job(rows, unknown)
    assert (row["status"], row["is_later"]) == ("pending", True)
    assert "knows no job of the kind 'fly'" in row["error_message"]
    assert len(work.ended) == 1


async def test_a_job_that_kills_its_workers_fails_at_last(settings: Settings, rows: Rows, work: Work) -> None:
    job_id = await ask(rows, "work")
    async with worker_of(settings, {"work": work}, work=2) as worker:
        for _ in range(2):
            await worker._queue.claim("quick")
            await let_leases_end(rows)
        await worker.run_once()
    row = await job(rows, job_id)
    assert row["status"] == "failed"
    assert "killed" in row["error_message"]
    assert work.begun == []


async def test_what_is_not_done_is_given_back_at_once(settings: Settings, rows: Rows, work: Work) -> None:
    """As if nobody had ever had it."""
    ids = [await ask(rows, "work") for _ in range(2)]
    before = [await job(rows, one) for one in ids]
    async with worker_of(settings, {"work": work}, quick=2) as worker, working(worker):
        await eventually(lambda: len(work.begun) == 2)
    assert [await job(rows, one) for one in ids] == before


async def test_a_worker_that_is_stopped_at_any_moment_keeps_no_job(settings: Settings, rows: Rows, work: Work) -> None:
    """Cancelled after more and more steps of the event loop: also while the database answers."""
    job_id = await ask(rows, "work")
    async with worker_of(settings, {"work": work}) as worker:
        await worker._queue.renew([])  # connected
        for steps in range(0, 60, 3):
            running = asyncio.create_task(worker.run())
            for _ in range(steps):
                await asyncio.sleep(0)
                await asyncio.sleep(0.0001)
            running.cancel()
            await asyncio.wait([running])
            row = await job(rows, job_id)
            assert (row["status"], row["attempts"], row["claim"]) == ("pending", 0, None), steps


async def test_the_same_waits_once_and_may_be_asked_for_while_it_runs(
    settings: Settings, rows: Rows, work: Work
) -> None:
    await ask(rows, "work", key="same")
    ask_again = (
        "insert into jobs (kind, unique_key) values ('work', 'same') "
        "on conflict (unique_key) where status = 'pending' do nothing"
    )
    await rows.execute(ask_again)
    assert await count(rows) == 1
    async with worker_of(settings, {"work": work}) as worker, working(worker):
        await eventually(lambda: work.begun)
        for _ in range(2):
            await rows.execute(ask_again)
        assert await count(rows) == 2
    assert await count(rows) == 1  # given back, it would have been there twice


async def test_a_failed_attempt_gives_way_to_what_was_asked_for_since(settings: Settings, rows: Rows) -> None:
    async def fail(_payload: dict[str, Any]) -> None:
        await ask(rows, "fail", key="same")
        raise ValueError

    first = await ask(rows, "fail", key="same")
    async with worker_of(settings, {"fail": fail}) as worker:
        await worker._do(await worker._claimed("quick"))  # type: ignore[arg-type]
    assert await job(rows, first) == {}
    assert await count(rows) == 1


async def test_no_job_is_done_twice_by_many_workers(settings: Settings, rows: Rows) -> None:
    done: list[int] = []

    async def note(payload: dict[str, Any]) -> None:
        done.append(payload["n"])

    await rows.execute(
        "insert into jobs (kind, payload) select 'note', jsonb_build_object('n', n) from generate_series(1, 300) n"
    )
    async with (
        worker_of(settings, {"note": note}, quick=3) as one,
        worker_of(settings, {"note": note}, quick=3) as other,
    ):
        await asyncio.gather(one.run_once(), other.run_once())
    assert sorted(done) == list(range(1, 301))
    assert await count(rows) == 0


@pytest.mark.own_database
async def test_taking_a_job_reads_an_index_however_many_wait(rows: Rows) -> None:
    await rows.execute(
        "insert into jobs (kind, lane, run_at) select 'n', case n % 2 when 0 then 'media' else 'quick' end, "
        "now() + interval '1 h' * (n % 3 - 1) from generate_series(1, 20000) n"
    )
    await rows.execute("analyze jobs")
    plan = await rows.fetch(f"explain {QUERIES['claim']}", "media", "0" * 32, 1.0)
    lines = [row[0] for row in plan]
    assert any("jobs_due" in line for line in lines), lines
    assert not any("Seq Scan" in line or "Sort" in line for line in lines), lines


async def test_an_outage_of_the_database_is_waited_out_and_told_once(
    settings: Settings, rows: Rows, work: Work, postgres_server_url: str
) -> None:
    work.go.set()
    name = await rows.fetchval("select current_database()")
    async with worker_of(settings, {"work": work}, quick=2) as worker, connected(postgres_server_url) as operator:
        with capture_logs() as lines:
            async with working(worker):
                await eventually(lambda: connections(rows))
                await operator.execute(f'alter database "{name}" allow_connections false')
                cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'drive-%'"
                await operator.execute(f"{cut} and datname = $1", name)
                await eventually(lambda: [line for line in lines if line["event"] == "Worker waits"])
                await operator.execute(f'alter database "{name}" allow_connections true')
                await ask(rows, "work")
                await eventually(lambda: none_left(rows))
    assert len(work.ended) == 1
    assert len([line for line in lines if line["event"] == "Worker waits"]) <= 2


async def connections(rows: Rows) -> bool:
    ours = "datname = current_database() and application_name like 'drive-%'"
    return bool(await rows.fetchval(f"select count(*) from pg_stat_activity where {ours}"))
