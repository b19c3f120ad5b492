"""`drive jobs`: what an operator sees, and does."""

import json
from typing import Any

import pytest
from jobs_support import ask, job
from support.process import Finished, drive, environment
from support.rows import Rows

from drive.settings import Settings

SECRET = "payload-secret"


async def failed(rows: Rows, kind: str, error: str = "ValueError('no')", age: str = "3 hours") -> int:
    """Add a job that has failed."""
    return int(
        await rows.fetchval(
            "insert into jobs (kind, payload, status, attempts, error_message, created_at) "
            "values ($1, $2, 'failed', 10, $3, now() - $4::text::interval) returning id",
            kind,
            {"secret": SECRET},
            error,
            age,
        )
    )


async def run(settings: Settings, *arguments: str) -> Finished:
    return await drive("jobs", *arguments, env=environment(settings))


async def shown(settings: Settings, *arguments: str) -> Any:
    finished = await run(settings, "--json", *arguments)
    assert (finished.status, finished.stderr) == (0, "")
    assert SECRET not in finished.stdout
    return json.loads(finished.stdout)


async def test_jobs_are_counted_and_the_failed_ones_listed(settings: Settings, rows: Rows) -> None:
    """Never with what they were asked to do, and with nothing that a terminal would obey."""
    job_id = await failed(rows, "delete_object", error="broken\x1b[31m\nat last")
    for _ in range(2):
        await ask(rows, "process_object", {"secret": SECRET}, lane="media")
    finished = await run(settings)
    assert (finished.status, finished.stderr) == (0, "")
    lines = [line.split() for line in finished.stdout.splitlines()]
    assert lines[:3] == [
        ["KIND", "PENDING", "RUNNING", "FAILED"],
        ["delete_object", "0", "0", "1"],
        ["process_object", "2", "0", "0"],
    ]
    assert lines[-1] == [str(job_id), "delete_object", "10", "3", "h", "broken", "[31m", "at", "last"]
    assert SECRET not in finished.stdout
    assert "\x1b" not in finished.stdout


async def test_the_list_is_bounded_and_can_be_narrowed(settings: Settings, rows: Rows) -> None:
    ids = [await failed(rows, kind) for kind in ["a"] * 3 + ["b"] * 20]
    waiting = await ask(rows, "a")
    everything = await shown(settings)
    assert [one["id"] for one in everything["jobs"]] == ids[::-1][:20]
    assert everything["counts"] == [
        {"kind": "a", "status": "failed", "count": 3},
        {"kind": "a", "status": "pending", "count": 1},
        {"kind": "b", "status": "failed", "count": 20},
    ]
    assert [one["id"] for one in (await shown(settings, "--kind", "a"))["jobs"]] == ids[2::-1]
    assert [one["id"] for one in (await shown(settings, "--limit", "2"))["jobs"]] == ids[:-3:-1]
    (one,) = (await shown(settings, "--status", "pending"))["jobs"]
    assert (one["id"], one["status"], one["attempts"], one["error"]) == (waiting, "pending", 0, None)
    assert 0 <= one["age_s"] < 60


async def test_without_jobs_it_says_so(settings: Settings) -> None:
    assert (await run(settings)).stdout == "There are no such jobs.\n"
    assert await shown(settings) == {"counts": [], "jobs": []}


async def test_failed_jobs_are_tried_again(settings: Settings, rows: Rows) -> None:
    """By id, by kind or all; what has not failed is refused, and the others are done all the same."""
    first, second, other = [await failed(rows, kind) for kind in ("a", "a", "b")]
    waiting = await ask(rows, "a")
    refused = await run(settings, "retry", str(first), str(waiting), "999999")
    assert (refused.status, refused.stdout) == (1, "1 job will be tried again.\n")
    assert f"{waiting}, 999999" in refused.stderr
    row = await job(rows, first)
    assert (row["status"], row["attempts"], row["is_later"]) == ("pending", 0, False)

    assert (await run(settings, "retry", "--all", "--kind", "a")).stdout == "1 job will be tried again.\n"
    assert (await job(rows, second))["status"] == "pending"
    assert (await job(rows, other))["status"] == "failed"
    assert (await run(settings, "retry", "--all")).stdout == "1 job will be tried again.\n"
    assert await rows.fetchval("select count(*) from jobs where status = 'failed'") == 0


async def test_the_same_that_failed_twice_can_be_tried_again(settings: Settings, rows: Rows) -> None:
    for _ in range(2):
        await rows.execute("update jobs set unique_key = 'same' where id = $1", await failed(rows, "a"))
    assert (await run(settings, "retry", "--all")).stdout == "2 jobs will be tried again.\n"


async def test_failed_jobs_are_forgotten(settings: Settings, rows: Rows) -> None:
    first, second, waiting = await failed(rows, "a"), await failed(rows, "a"), await ask(rows, "a")
    finished = await run(settings, "forget", str(first), str(waiting))
    assert (finished.status, finished.stdout) == (1, "1 job forgotten.\n")
    assert [row["id"] for row in await rows.fetch("select id from jobs order by id")] == [second, waiting]


@pytest.mark.parametrize("arguments", [["retry"], ["retry", "1", "--all"], ["retry", "1", "--kind", "a"]])
async def test_what_to_try_again_must_be_said_clearly(settings: Settings, rows: Rows, arguments: list[str]) -> None:
    job_id = await failed(rows, "a")
    finished = await run(settings, *arguments)
    assert finished.status == 1
    assert "--all" in finished.stderr
    assert (await job(rows, job_id))["status"] == "failed"


@pytest.mark.parametrize(
    "arguments", [["--limit", "0"], ["--limit", "1001"], ["--status", "lost"], ["retry", "x"], ["forget"], ["fly"]]
)
async def test_wrong_arguments_exit_with_2(settings: Settings, arguments: list[str]) -> None:
    finished = await run(settings, *arguments)
    assert finished.status == 2
    assert finished.stderr.startswith("usage: drive jobs")


async def test_schedules_are_shown_and_run_by_hand(settings: Settings, rows: Rows) -> None:
    """One that is unknown is refused with the names that there are."""
    before = json.loads((await run(settings, "schedules", "--json")).stdout)
    assert [one["name"] for one in before] == ["sweep", "expire", "fold", "recycle", "purge", "check_objects"]
    assert {one["last_run_at"] for one in before} == {None}

    await failed(rows, "a", age="31 days")
    finished = await run(settings, "run", "purge")
    assert (finished.status, finished.stderr) == (0, "")
    assert finished.stdout.splitlines()[-1] == "purge is done."
    assert await rows.fetchval("select count(*) from jobs") == 0

    assert (await drive("worker", "--once", env=environment(settings))).status == 0
    after = json.loads((await run(settings, "schedules", "--json")).stdout)
    assert all(one["last_run_at"] and one["next_run_at"] for one in after)
    table = (await run(settings, "schedules")).stdout.splitlines()
    assert table[0].split() == ["NAME", "EVERY", "LAST", "RUN", "NEXT", "RUN"]
    assert table[1].split()[:3] == ["sweep", "1", "min"]

    refused = await run(settings, "run", "fly")
    assert refused.status == 1
    assert "check_objects" in refused.stderr


@pytest.mark.parametrize("action", ["retry", "forget", "run", "schedules"])
async def test_each_action_has_a_help_with_an_example(action: str) -> None:
    finished = await drive("jobs", action, "--help")
    assert (finished.status, finished.stderr) == (0, "")
    assert f"Example: drive jobs {action}" in finished.stdout
