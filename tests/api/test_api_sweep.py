"""What the worker removes, and what it leaves alone."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.api import Api
from support.rows import Rows, expire, reserved_bytes, staged_as, task_status
from support.storage import object_file, objects, staged
from support.waiting import eventually

from drive.jobs.worker import Worker
from drive.lazy import lifespan
from drive.settings import Settings
from drive.worker_container import WorkerContainer

CONTENT = b"0123456789"


async def begun(api: Api, **fields: object) -> str:
    """Begin an upload and send two of its three chunks."""
    task_id = str((await api.create(CONTENT, **{"chunk_size": 4} | fields)).json["task_id"])
    for index in (0, 1):
        await api.send_chunk(task_id, index, CONTENT[index * 4 : index * 4 + 4])
    return task_id


async def test_an_upload_that_nobody_touched_for_its_lifetime_ends(
    api: Api, rows: Rows, settings: Settings, worker: Worker
) -> None:
    old, active = await begun(api), await begun(api, hash="other")
    await expire(rows, old)
    with capture_logs() as lines:
        await worker.run_once()
    assert {"event": "Swept uploads", "log_level": "info", "expired": 1, "removed": 1} in lines
    assert await task_status(rows, old) == 6
    assert await reserved_bytes(rows) == len(CONTENT)
    assert staged(settings) == {await staged_as(rows, active)}
    refused = await api.send_chunk(old, 2, b"89")
    assert (refused.status, refused.code) == (409, "CONFLICT")

    assert (await api.progress(active)).json["uploaded_chunks"] == [0, 1]
    await api.send_chunk(active, 2, b"89")
    file = (await api.complete(active)).json
    assert (await api.get(f"/api/files/{file['id']}")).body == CONTENT


async def test_a_chunk_gives_an_upload_another_lifetime(api: Api, rows: Rows, worker: Worker) -> None:
    task_id = await begun(api)
    await expire(rows, task_id)
    await api.send_chunk(task_id, 2, b"89")
    await worker.run_once()
    assert await task_status(rows, task_id) == 1


async def test_what_was_promoted_but_never_completed_goes_with_its_upload(
    api: Api, rows: Rows, settings: Settings, worker: Worker
) -> None:
    """As after a crash between the two. While the upload has not expired, it can still be completed."""
    task_ids = [await begun(api, hash=name) for name in ("old", "active")]
    for task_id in task_ids:
        await api.send_chunk(task_id, 2, b"89")
        object_id = await staged_as(rows, task_id)
        (settings.storage_path / "objects" / object_id[:2]).mkdir(parents=True, exist_ok=True)
        (settings.storage_path / "staging" / object_id).rename(object_file(settings, object_id))
    await expire(rows, task_ids[0])
    await worker.run_once()
    file = (await api.complete(task_ids[1])).json
    assert objects(settings) == {file["storage_id"]}
    assert (await api.get(f"/api/files/{file['id']}")).body == CONTENT


@pytest.mark.parametrize("end", ["cancelled", "completed", "unknown"])
async def test_staged_bytes_without_an_upload_in_progress_go(
    api: Api, rows: Rows, settings: Settings, worker: Worker, end: str
) -> None:
    """As a chunk leaves them that arrives while its upload ends, or a database that was restored."""
    task_id = await begun(api)
    if end == "cancelled":
        await api.cancel(task_id)
    elif end == "completed":
        await api.send_chunk(task_id, 2, b"89")
        await api.complete(task_id)
    garbage = "unknown" if end == "unknown" else await staged_as(rows, task_id)
    (settings.storage_path / "staging" / garbage).write_bytes(b"rubbish")
    await worker.run_once()
    assert staged(settings) == ({await staged_as(rows, task_id)} if end == "unknown" else set())


async def test_very_many_leftovers_go_in_one_sweep(api: Api, settings: Settings, worker: Worker, rows: Rows) -> None:
    active = await begun(api)
    for n in range(600):
        (settings.storage_path / "staging" / f"leftover-{n}").touch()
    await rows.execute(
        "insert into upload_tasks (id, account_id, file_id, object_id, file_name, content_type, size_bytes, "
        "chunk_size_bytes, chunks_count, pool_id, expires_at) select n, gen_random_uuid(), n, n, 'a', 'a/b', 1, 1, 1, "
        "(select id from pools limit 1), now() from generate_series(1, 600) n"
    )
    await worker.run_once()
    assert staged(settings) == {await staged_as(rows, active)}
    assert await rows.fetchval("select count(*) from upload_tasks where status = 1") == 1
    assert await rows.fetchval("select count(*) from jobs") == 0


async def test_sweeping_before_anything_was_uploaded_does_nothing(worker: Worker, settings: Settings) -> None:
    await worker.run_once()
    assert not settings.storage_path.exists()


async def test_two_workers_sweep_at_once(api: Api, rows: Rows, settings: Settings, worker: Worker) -> None:
    task_ids = [await begun(api, hash=f"{n}") for n in range(20)]
    for task_id in task_ids:
        await expire(rows, task_id)
    other = WorkerContainer(settings=settings)
    async with lifespan(other):
        await asyncio.gather(worker.run_once(), other.worker().run_once())
    assert staged(settings) == set()
    assert await reserved_bytes(rows) == 0
    assert await rows.fetchval("select count(*) from jobs") == 0


async def test_a_job_that_fails_is_kept_and_tried_again(
    api: Api, rows: Rows, settings: Settings, worker: Worker
) -> None:
    """A folder stands where the object was: it cannot be removed until somebody has looked."""
    file = await api.upload(CONTENT)
    place = object_file(settings, file["storage_id"])
    place.unlink()
    (place / "in the way").mkdir(parents=True)
    await api.delete(f"/api/files/{file['id']}")
    with capture_logs() as lines:
        await worker.run_once()
    assert [(line["kind"], line["attempts"], line["status"]) for line in lines if line["event"] == "Job failed"] == [
        ("delete_object", 1, "pending")
    ]
    due = "select attempts, status, run_at > now() as is_later from jobs"
    assert dict(await rows.fetchrow(due) or {}) == {"attempts": 1, "status": "pending", "is_later": True}

    (place / "in the way").rmdir()
    place.rmdir()
    await rows.execute("update jobs set run_at = now()")
    await worker.run_once()
    assert await rows.fetchval("select count(*) from jobs") == 0


async def test_a_sweep_that_cannot_do_its_work_does_not_keep_jobs_from_being_done(
    api: Api, rows: Rows, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await api.upload(CONTENT)
    await api.delete(f"/api/files/{file['id']}")

    def unreadable(_folder: Path) -> None:
        raise PermissionError("staging cannot be read")

    monkeypatch.setattr(os, "scandir", unreadable)
    container = WorkerContainer(settings=replace(settings, worker_poll_interval_s=0.05))
    with capture_logs() as lines:
        async with lifespan(container):
            working = asyncio.create_task(container.worker().run())
            await eventually(lambda: only_deleted(rows))
            working.cancel()
            await asyncio.wait([working])
    assert "sweep" in {line["kind"] for line in lines if line["event"] == "Job failed"}
    monkeypatch.undo()
    assert objects(settings) == set()


async def only_deleted(rows: Rows) -> bool:
    """Tell whether the object was deleted, and the sweep has failed."""
    errors = {row["kind"]: row["error_message"] for row in await rows.fetch("select kind, error_message from jobs")}
    return "delete_object" not in errors and errors.get("sweep") is not None
