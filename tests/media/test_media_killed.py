"""`drive worker` as a process, ended while a child of it reads a picture."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from media_support import encoded, nobody_reads, picture, readers_of
from support.api import Api
from support.process import drive, environment
from support.rows import Rows
from support.storage import object_file, objects
from support.waiting import eventually

from drive.cli.processes import running
from drive.settings import Settings

PICTURE = encoded(picture(1200, 900), "JPEG")


async def stuck(api: Api, settings: Settings) -> tuple[Any, Path]:
    """Upload a picture, and put a pipe in its place, which nobody ever finishes to read."""
    file = await api.upload(PICTURE, content_type="image/jpeg")
    place = object_file(settings, file["storage_id"])
    place.unlink()
    os.mkfifo(place)
    return file, place


def mend(place: Path) -> None:
    place.unlink()
    place.write_bytes(PICTURE)


def work_left(settings: Settings) -> set[str]:
    return {one.name for one in (settings.storage_path / "work" / "media").iterdir()}


async def job(rows: Rows) -> dict[str, Any]:
    row = await rows.fetchrow(
        "select status, attempts, locked_until > now() as is_leased from jobs where kind = 'process_object'"
    )
    return dict(row or {})


async def test_a_killed_workers_picture_is_processed_by_another_once(api: Api, rows: Rows, settings: Settings) -> None:
    """Its child ends with it, and its folder is removed by whoever comes next."""
    settings = replace(settings, worker_lease_s=2.0)
    file, place = await stuck(api, settings)
    async with running("worker", environment(settings)) as worker:
        await eventually(lambda: readers_of(place), timeout_s=30)
        worker.process.kill()
        await worker.process.wait()
    await eventually(nobody_reads(place))
    assert await job(rows) == {"status": "running", "attempts": 1, "is_leased": True}
    assert len(work_left(settings)) == 2
    mend(place)
    async with running("worker", environment(settings)) as other:
        await other.logged("Working")

        async def is_done() -> bool:
            return await job(rows) == {}

        await eventually(is_done, timeout_s=30)
        other.process.send_signal(signal.SIGTERM)
        assert await other.process.wait() == 0
        assert [line for line in other.lines if line["event"] in {"Job failed", "Job lost"}] == []
    assert work_left(settings) == set()
    object_id = file["storage_id"]
    assert objects(settings) == {object_id, f"{object_id}.webp", f"{object_id}.compressed"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stopped_worker_gives_the_picture_back_at_once(
    api: Api, rows: Rows, settings: Settings, number: signal.Signals
) -> None:
    _, place = await stuck(api, settings)
    async with running("worker", environment(settings)) as worker:
        await eventually(lambda: readers_of(place), timeout_s=30)
        worker.process.send_signal(number)
        assert await worker.process.wait() == 0
        assert [line for line in worker.lines if line["event"] == "Job failed"] == []
    assert await job(rows) == {"status": "pending", "attempts": 0, "is_leased": None}
    assert readers_of(place) == []
    assert work_left(settings) == set()
    mend(place)
    finished = await drive("worker", "--once", env=environment(settings))
    assert (finished.status, finished.stderr) == (0, "")
    assert await job(rows) == {}
