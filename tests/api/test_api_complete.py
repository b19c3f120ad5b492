"""Completing: with chunks missing, with a hash that lies, again, at once, against a cancel."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs
from support.api import Api
from support.rows import Rows, reserved_bytes, task_status, used_bytes, wrong_counts
from support.storage import objects, staged
from support.waiting import eventually

from drive.containers import Container
from drive.jobs.worker import Worker
from drive.peers import Peers
from drive.settings import Settings
from drive.storage.local import LocalStore

CONTENT = b"0123456789"
WRONG_HASH = hashlib.sha256(b"something else").hexdigest()

Serve = Callable[[Container], Awaitable[Api]]


async def sent(api: Api, content: bytes = CONTENT, **fields: object) -> str:
    """Begin an upload and send all of its chunks."""
    created = await api.create(content, **{"chunk_size": 4} | fields)
    await api.send_chunks(created.json, content)
    return str(created.json["task_id"])


async def test_chunks_must_all_be_there(api: Api) -> None:
    task_id = (await api.create(CONTENT, chunk_size=1)).json["task_id"]
    await api.send_chunk(task_id, 3, b"3")
    answer = await api.complete(task_id)
    assert (answer.status, answer.code) == (409, "CONFLICT")
    assert answer.json["message"] == "9 chunks are missing, beginning with 0, 1, 2, 4, 5, 6, 7, 8, 9. Send them first."
    for index in (0, 1, 2, 4, 5, 6, 7, 8, 9):
        await api.send_chunk(task_id, index, CONTENT[index : index + 1])
    assert (await api.complete(task_id)).status == 200


async def test_completing_again_returns_the_same_file(api: Api) -> None:
    task_id = await sent(api)
    first, second = await api.complete(task_id), await api.complete(task_id)
    assert first.json == second.json
    assert (await api.get("/api/files/me")).headers["X-Total"] == "1"


async def test_a_completed_file_that_was_deleted_does_not_come_back(api: Api) -> None:
    task_id = await sent(api)
    file = (await api.complete(task_id)).json
    await api.delete(f"/api/files/{file['id']}")
    assert (await api.complete(task_id)).status == 404


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)], ids=["hashed on the way", "hashed at the end"])
async def test_a_hash_that_lies_fails_the_upload_and_leaves_nothing(
    api: Api, rows: Rows, settings: Settings, worker: Worker, order: tuple[int, ...]
) -> None:
    task_id = (await api.create(CONTENT, chunk_size=4, hash=WRONG_HASH)).json["task_id"]
    for index in order:
        await api.send_chunk(task_id, index, CONTENT[index * 4 : index * 4 + 4])
    answer = await api.complete(task_id)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert answer.json["errors"] == {"hash": ["is not the SHA-256 of what was sent"]}

    assert await task_status(rows, task_id) == 4
    assert await reserved_bytes(rows) == await used_bytes(rows) == 0
    assert staged(settings) == objects(settings) == set()
    assert (await api.get("/api/files/me")).json == []
    await worker.run_once()
    assert await rows.fetchval("select count(*) from jobs") == 0


async def test_a_hash_that_lies_does_not_give_what_has_that_hash(api: Api) -> None:
    """Knowing the hash of somebody's file is not having the file; not even of one's own, if the bytes are others."""
    theirs = await api.signed_in_as("subscriber").upload(b"theirs!!!!")
    created = await api.create(CONTENT, hash=theirs["hash"])
    assert created.json["file_exists"] is False
    await api.send_chunk(created.json["task_id"], 0, CONTENT)
    assert (await api.complete(created.json["task_id"])).status == 400


async def test_two_at_once_make_one_file(settings: Settings, serve_app: Serve, rows: Rows, peers: Peers) -> None:
    """Each is told of the file, or to come back shortly. The devices are told once."""
    replicas = [await serve_app(Container(settings=settings)) for _ in range(2)]
    files = set()
    for n in range(10):
        task_id = await sent(replicas[0], CONTENT + bytes([n]))
        answers = await asyncio.gather(*(replicas[n % 2].complete(task_id) for n in range(4)))
        assert {it.status for it in answers} <= {200, 409}
        assert all(it.headers["Retry-After"] == "1" for it in answers if it.status == 409)
        made = {it.json["id"] for it in answers if it.status == 200}
        assert len(made) == 1
        files |= made
    assert await rows.fetchval("select count(*) from files") == len(files) == 10
    assert await wrong_counts(rows) == []
    await eventually(lambda: packets(peers).count("upload.completed") >= 10)
    assert packets(peers).count("upload.completed") == 10


def packets(peers: Peers) -> list[str]:
    return [packet.type for packet in peers.world.packets]


@pytest.mark.local_store
async def test_against_a_cancel_one_of_both_wins(
    settings: Settings, serve_app: Serve, rows: Rows, worker: Worker
) -> None:
    """And what the loser did is undone: no file and no bytes without the other, nothing reserved."""
    replicas = [await serve_app(Container(settings=settings)) for _ in range(2)]
    outcomes = set()
    for n in range(30):
        task_id = await sent(replicas[0], CONTENT + bytes([n]))
        completing = asyncio.create_task(replicas[0].complete(task_id))
        for _ in range(n % 6):  # turns of the loop, so that sometimes this one wins
            await asyncio.sleep(0)
        cancelled, completed = await replicas[1].cancel(task_id), await completing
        outcomes.add((completed.status, cancelled.status))
        assert await task_status(rows, task_id) == (3 if completed.status == 200 else 5)
    assert outcomes <= {(200, 409), (409, 200)}
    await worker.run_once()
    assert objects(settings) == {row["id"] for row in await rows.fetch("select id from objects")}
    assert staged(settings) == set()
    assert await reserved_bytes(rows) == 0


@pytest.mark.local_store
@pytest.mark.parametrize("then", ["cancel", "complete"])
async def test_a_complete_that_was_overtaken_says_what_happened(
    api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """It had found all chunks, but when it looks for the bytes the other request has taken them."""
    task_id = await sent(api)
    waits, go = asyncio.Event(), asyncio.Event()
    promote = LocalStore.promote

    async def promote_late(*args: object, **named: object) -> object:
        if not waits.is_set():
            waits.set()
            await go.wait()
        return await promote(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalStore, "promote", promote_late)
    late = asyncio.create_task(api.complete(task_id))
    await waits.wait()
    first = await (api.cancel(task_id) if then == "cancel" else api.complete(task_id))
    assert first.status == 200
    go.set()
    answer = await late
    assert (answer.status, answer.code) == ((409, "CONFLICT") if then == "cancel" else (200, None))
    if then == "complete":
        assert answer.json == first.json
    assert len(objects(settings)) == (then == "complete")


@pytest.mark.local_store
@pytest.mark.parametrize("lost_bytes", [10, 1])
async def test_an_upload_whose_bytes_are_lost_fails(api: Api, rows: Rows, settings: Settings, lost_bytes: int) -> None:
    """The client is told to begin again, rather than to try for ever; the operator is told that a disk forgets."""
    task_id = await sent(api)
    file = settings.storage_path / "staging" / staged(settings).pop()
    file.unlink() if lost_bytes == 10 else file.write_bytes(CONTENT[:-1])
    with capture_logs() as lines:
        answer = await api.complete(task_id)
    assert (answer.status, answer.code) == (409, "CONFLICT")
    assert {"event": "Staged bytes missing", "task_id": task_id} in [
        {name: line.get(name) for name in ("event", "task_id")} for line in lines
    ]
    assert await task_status(rows, task_id) == 4
    assert staged(settings) == objects(settings) == set()
