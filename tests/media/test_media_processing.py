"""What an upload of a picture leads to, and what is left of it when it is gone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from media_support import PLACE, encoded, picture, with_place
from structlog.testing import capture_logs
from support.api import Api
from support.rows import POOL_ID, Rows, add_pool
from support.storage import object_file, objects
from support.waiting import eventually

from drive.jobs.interfaces import PermanentError
from drive.lazy import lifespan
from drive.media.children import ChildLimits
from drive.media.interfaces import VARIANTS
from drive.media.making import Made, Making, Task
from drive.media.processing import Processing
from drive.peers import Peers
from drive.settings import Settings
from drive.storage.interfaces import Store
from drive.storage.memory import MemoryStore
from drive.worker_container import WorkerContainer

LARGE = encoded(picture(1200, 900), "JPEG")


@pytest_asyncio.fixture
async def container(settings: Settings) -> AsyncIterator[WorkerContainer]:
    """Give the container of another process than the one that answers."""
    container = WorkerContainer(settings=settings)
    async with lifespan(container):
        yield container


async def upload(api: Api, content: bytes, content_type: str = "image/jpeg", **fields: object) -> Any:
    return await api.upload(content, file_name="picture", content_type=content_type, **fields)


async def object_row(rows: Rows, object_id: str) -> dict[str, Any]:
    return dict(await rows.fetchrow("select file_meta, variants from objects where id = $1", object_id) or {})


async def media_jobs(rows: Rows) -> int:
    return int(await rows.fetchval("select count(*) from jobs where kind = 'process_object'"))


def work_left(settings: Settings) -> list[Path]:
    """Return all files but the lock of the folder that is in use."""
    files = (settings.storage_path / "work").rglob("*")
    return [one for one in files if one.is_file() and one.suffix != ".lock"]


async def test_a_picture_gets_its_variants_and_its_description(
    api: Api, rows: Rows, settings: Settings, container: WorkerContainer
) -> None:
    file = await upload(api, with_place(picture(1200, 900)))
    assert (file["file_meta"], file["has_compression"], file["has_thumbnail"]) == (None, False, False)
    await container.worker().run_once()
    info = (await api.get(f"/api/files/{file['id']}/info")).json
    assert (info["has_compression"], info["has_thumbnail"], info["mime_type"]) == (True, False, "image/jpeg")
    assert (info["file_meta"]["width"], info["file_meta"]["height"]) == (1200, 900)
    assert PLACE not in repr(info)
    object_id = file["storage_id"]
    recorded = (await object_row(rows, object_id))["variants"]
    for name in ("webp", "compressed"):
        size_bytes = object_file(settings, f"{object_id}.{name}").stat().st_size
        assert recorded[name] == {"size_bytes": size_bytes, "mime_type": "image/webp"}
    assert objects(settings) == {object_id, f"{object_id}.webp", f"{object_id}.compressed"}
    assert object_file(settings, object_id).read_bytes() == with_place(picture(1200, 900))
    assert work_left(settings) == []
    assert await rows.fetchval("select count(*) from jobs") == 0


async def test_what_is_deleted_leaves_no_variant(
    api: Api, rows: Rows, settings: Settings, container: WorkerContainer
) -> None:
    """Also none that a crash kept from being recorded."""
    file = await upload(api, LARGE)
    await container.worker().run_once()
    await rows.execute("update objects set variants = '{}'")
    object_file(settings, f"{file['storage_id']}.thumbnail").write_bytes(b"x")
    await api.delete(f"/api/files/{file['id']}")
    await container.worker().run_once()
    assert objects(settings) == set()


async def test_the_same_content_is_processed_once(api: Api, rows: Rows, container: WorkerContainer) -> None:
    """Neither a second upload of it, nor a copy that nobody asked for, is made anything of."""
    first = await upload(api, LARGE)
    await container.worker().run_once()
    second = (await api.upload_direct(LARGE, "copy", "image/jpeg")).json
    assert second["storage_id"] == first["storage_id"]
    assert second["id"] != first["id"]
    assert await media_jobs(rows) == 0
    assert second["has_compression"]


@pytest.mark.parametrize(
    ("content_type", "policy", "expected"),
    [
        ("text/plain", {}, 0),
        ("application/x-image", {}, 0),
        ("IMAGE/png", {}, 1),
        ("audio/ogg", {}, 1),
        ("video/mp4", {"no_optimization": True}, 1),
        ("image/png", {"no_metadata": True}, 1),
        ("image/png", {"no_metadata": True, "no_optimization": True}, 0),
        ("image/png", {"no_metadata": "yes", "no_optimization": None}, 1),
    ],
)
async def test_which_uploads_are_processed(
    api: Api, rows: Rows, content_type: str, policy: dict[str, Any], expected: int
) -> None:
    pool_id = await add_pool(rows, **({} if policy.get("no_metadata") == "yes" else policy))
    await upload(api, b"content", content_type, pool_id=pool_id)
    assert await media_jobs(rows) == expected


@pytest.mark.parametrize(
    ("policy", "is_described", "variants"),
    [({"no_metadata": True}, False, {"webp", "compressed"}), ({"no_optimization": True}, True, set())],
)
async def test_a_pool_that_wants_only_one_of_both(
    api: Api, rows: Rows, container: WorkerContainer, policy: dict[str, Any], is_described: bool, variants: set[str]
) -> None:
    file = await upload(api, LARGE, pool_id=await add_pool(rows, **policy))
    await container.worker().run_once()
    row = await object_row(rows, file["storage_id"])
    assert (row["file_meta"] is not None) == is_described
    assert set(row["variants"]) == variants


async def told(container: WorkerContainer, peers: Peers) -> list[tuple[str, Any]]:
    """Return the packets of the tasks that have ended, when all are out: which task, and its results."""
    await container.outbox().drain(timeout_s=10)
    packets = [msgspec.json.decode(it.data) for it in peers.world.packets if it.type == "task.completed"]
    return [(packet["task_id"], packet["results"]) for packet in packets]


async def test_its_account_is_told_when_a_picture_has_been_processed(
    api: Api, container: WorkerContainer, peers: Peers
) -> None:
    task = (await api.create(LARGE, content_type="image/jpeg")).json
    await api.send_chunks(task, LARGE)
    file = (await api.complete(task["task_id"])).json
    await eventually(lambda: "upload.completed" in {it.type for it in peers.world.packets})
    assert await told(container, peers) == []
    await container.worker().run_once()
    ((task_id, results),) = await told(container, peers)
    assert task_id == task["task_id"]
    assert (results["FileId"], results["HasCompression"], results["HasThumbnail"]) == (file["id"], True, False)
    assert results["FileInfo"] == (await api.get(f"/api/files/{file['id']}/info")).json


async def test_nobody_is_told_of_a_file_that_was_deleted_before_it_was_processed(
    api: Api, container: WorkerContainer, peers: Peers
) -> None:
    file = await upload(api, LARGE)
    await api.delete(f"/api/files/{file['id']}")
    await container.worker().run_once()
    assert await told(container, peers) == []


async def test_a_file_that_cannot_be_processed_has_ended_all_the_same(
    api: Api, settings: Settings, peers: Peers
) -> None:
    strict = WorkerContainer(settings=replace(settings, media_timeout_s=0.001))
    async with lifespan(strict):
        file = await upload(api, LARGE)
        await strict.worker().run_once()
        ((_, results),) = await told(strict, peers)
    assert (results["FileId"], results["HasCompression"]) == (file["id"], False)


async def test_what_is_no_picture_is_tried_once(api: Api, rows: Rows, container: WorkerContainer) -> None:
    file = await upload(api, b"no picture at all")
    with capture_logs() as lines:
        await container.worker().run_once()
    assert await object_row(rows, file["storage_id"]) == {"file_meta": {}, "variants": {}}
    assert await rows.fetchval("select count(*) from jobs") == 0
    assert "Object not processed" in {line["event"] for line in lines}


class OneStore:
    """A `Stores` of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, _pool_id: UUID) -> Store:
        return self._store


class SlowMaking(Making):
    """Makes a variant once it is let."""

    def __init__(self, made: Made) -> None:
        super().__init__(ChildLimits(256, 1.0), max_pixels=1)
        self._made = made
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def of(self, _kind: str, task: Task) -> Made:
        self.begun.set()
        await self.go.wait()
        for name in self._made.variants:
            (task.folder / name).write_bytes(b"made")
        return self._made


def processing(container: WorkerContainer, making: Making, store: Store, *, fetch_max_bytes: int = 10**9) -> Processing:
    return Processing(
        container.database(), OneStore(store), container.media_work(), making, nobody, fetch_max_bytes=fetch_max_bytes
    )


async def nobody(_task_id: str | None) -> None:
    """Tell nobody of the end."""


@pytest.mark.parametrize("when", ["before", "while"])
async def test_an_object_that_is_deleted_meanwhile_leaves_nothing(
    api: Api, settings: Settings, container: WorkerContainer, when: str
) -> None:
    file = await upload(api, LARGE)
    payload = {"object_id": file["storage_id"], "pool_id": POOL_ID}
    making = SlowMaking(Made({"width": 1}, {"webp": "image/webp"}))
    job = asyncio.create_task(processing(container, making, container.local_store())(payload))
    if when == "while":
        await making.begun.wait()
    else:
        job.cancel()
        await asyncio.wait([job])
    await api.delete(f"/api/files/{file['id']}")
    await container.worker().run_once()
    making.go.set()
    if when == "before":
        object_file(settings, f"{file['storage_id']}.webp").write_bytes(b"of an attempt that was killed")
        await processing(container, making, container.local_store())(payload)
    else:
        await job
    assert objects(settings) == set()
    assert work_left(settings) == []


async def test_a_problem_fails_the_job_and_keeps_what_was_made(
    api: Api, rows: Rows, settings: Settings, container: WorkerContainer
) -> None:
    """What an earlier attempt had made, and this one did not, goes."""
    file = await upload(api, LARGE)
    object_file(settings, f"{file['storage_id']}.webp").write_bytes(b"earlier")
    making = SlowMaking(Made({"width": 1}, {}, problem="ffmpeg took too long"))
    making.go.set()
    with pytest.raises(PermanentError, match="took too long"):
        await processing(container, making, container.local_store())(
            {"object_id": file["storage_id"], "pool_id": POOL_ID}
        )
    assert await object_row(rows, file["storage_id"]) == {"file_meta": {"width": 1}, "variants": {}}
    assert objects(settings) == {file["storage_id"]}


async def test_bytes_that_are_missing_are_an_error(api: Api, settings: Settings, container: WorkerContainer) -> None:
    file = await upload(api, LARGE)
    object_file(settings, file["storage_id"]).unlink()
    making = Making(ChildLimits(1024, 60.0), max_pixels=10**8)
    with pytest.raises(FileNotFoundError):
        await processing(container, making, container.local_store())(
            {"object_id": file["storage_id"], "pool_id": POOL_ID}
        )


@pytest.mark.parametrize("fetch_max_bytes", [len(LARGE), len(LARGE) - 1])
async def test_what_is_stored_elsewhere_is_fetched_up_to_a_size(
    api: Api, rows: Rows, settings: Settings, container: WorkerContainer, fetch_max_bytes: int
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield LARGE

    file = await upload(api, LARGE)
    object_id, store = file["storage_id"], MemoryStore()
    await store.write(object_id, body(), mime_type="image/jpeg")
    making = Making(ChildLimits(1024, 60.0), max_pixels=10**8)
    job = processing(container, making, store, fetch_max_bytes=fetch_max_bytes)
    await job({"object_id": object_id, "pool_id": POOL_ID})
    names = {one.name async for page in store.stored() for one in page}
    is_fetched = fetch_max_bytes == len(LARGE)
    assert names == {object_id, *(f"{object_id}.{name}" for name in VARIANTS[:2] if is_fetched)}
    assert set((await object_row(rows, object_id))["variants"]) == ({"webp", "compressed"} if is_fetched else set())
    assert work_left(settings) == []


async def test_it_can_be_done_again(api: Api, rows: Rows, settings: Settings, container: WorkerContainer) -> None:
    file = await upload(api, LARGE)
    await container.worker().run_once()
    before = await object_row(rows, file["storage_id"]), objects(settings)
    await container.processing()({"object_id": file["storage_id"], "pool_id": POOL_ID})
    assert (await object_row(rows, file["storage_id"]), objects(settings)) == before


async def test_deletions_are_done_while_pictures_are_read(
    api: Api, rows: Rows, settings: Settings, container: WorkerContainer
) -> None:
    """With hundreds that wait, and one that takes its time."""
    await rows.execute(
        "insert into jobs (kind, lane, payload) select 'process_object', 'media', jsonb_build_object('object_id', "
        "'none-' || n, 'pool_id', $1::text) from generate_series(1, 300) n",
        POOL_ID,
    )
    file = await api.upload(b"content")
    await api.delete(f"/api/files/{file['id']}")
    working = asyncio.create_task(container.worker().run())
    try:
        await eventually(lambda: objects(settings) == set())
    finally:
        working.cancel()
        await asyncio.wait([working])
    assert await media_jobs(rows) > 0
