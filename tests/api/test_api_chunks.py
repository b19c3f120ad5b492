"""Chunks: too many, too short, too long, again, at the same time, in any order."""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from support.api import Api
from support.raw import multipart
from support.waiting import eventually

from drive.containers import Container
from drive.settings import Settings
from drive.storage import local

CONTENT = b"0123456789"
CHUNK = random.Random(1).randbytes(1_300_000)  # more than the store writes at a time
LARGE = CHUNK + CHUNK[::-1] + CHUNK[:1000]
ALREADY = {"message": "Chunk already uploaded"}

Serve = Callable[[Container], Awaitable[Api]]


async def begin(api: Api, content: bytes = CONTENT, chunk_size: int = 4) -> str:
    created = await api.create(content, chunk_size=chunk_size)
    assert created.status == 200, created
    return str(created.json["task_id"])


async def bytes_of(api: Api, task_id: str) -> bytes:
    """Complete the upload and return what is served."""
    completed = await api.complete(task_id)
    assert completed.status == 200, completed
    return (await api.get(f"/api/files/{completed.json['id']}")).body


@pytest.mark.parametrize(
    ("index", "status"), [("3", 400), ("999999999", 400), ("-1", 404), ("9999999999", 404), ("x", 404)]
)
async def test_a_chunk_beyond_the_last_is_refused(api: Api, index: str, status: int) -> None:
    task_id = await begin(api)
    answer = await api.post(f"/api/files/upload/chunk/{task_id}/{index}", data=b"0123")
    assert answer.status == status
    assert (await api.progress(task_id)).json["chunks_uploaded"] == 0


async def test_an_empty_file_has_no_chunk(api: Api) -> None:
    task_id = await begin(api, b"")
    assert (await api.send_chunk(task_id, 0, b"")).status == 400
    assert await bytes_of(api, task_id) == b""


@pytest.mark.parametrize(
    ("index", "data", "status"),
    [
        (0, b"", 400),
        (0, b"012", 400),
        (0, b"01234", 413),
        (0, CHUNK, 413),
        (2, b"8", 400),
        (2, b"89ab", 413),
    ],
)
async def test_a_chunk_of_the_wrong_size_does_not_count(api: Api, index: int, data: bytes, status: int) -> None:
    """The answer says how many bytes it must have, and the right ones are taken afterwards."""
    task_id = await begin(api)
    refused = await api.send_chunk(task_id, index, data)
    assert refused.status == status, refused
    assert refused.code == {400: "VALIDATION_ERROR", 413: "TOO_LARGE"}[status]
    assert f"must have {[4, 4, 2][index]} bytes" in refused.json["message"]
    assert (await api.progress(task_id)).json["uploaded_chunks"] == []

    for right, start in enumerate(range(0, 10, 4)):
        assert (await api.send_chunk(task_id, right, CONTENT[start : start + 4])).status == 200
    assert await bytes_of(api, task_id) == CONTENT


async def test_a_chunk_that_is_too_long_leaves_its_neighbour_alone(api: Api) -> None:
    task_id = await begin(api)
    await api.send_chunk(task_id, 1, b"4567")
    await api.send_chunk(task_id, 2, b"89")
    assert (await api.send_chunk(task_id, 0, b"0123xxxxxx")).status == 413
    await api.send_chunk(task_id, 0, b"0123")
    assert await bytes_of(api, task_id) == CONTENT


@pytest.mark.parametrize("again", [b"0123", b"xxxx", b"x", b"xxxxxxxx"])
async def test_of_a_chunk_sent_twice_the_first_wins(api: Api, again: bytes) -> None:
    task_id = await begin(api)
    first = await api.send_chunk(task_id, 0, b"0123")
    assert (first.status, first.body) == (200, b"")
    second = await api.send_chunk(task_id, 0, again)
    assert (second.status, second.json) == (200, ALREADY)
    await api.send_chunk(task_id, 1, b"4567")
    await api.send_chunk(task_id, 2, b"89")
    assert await bytes_of(api, task_id) == CONTENT


@pytest.mark.local_store
async def test_one_chunk_from_many_requests_at_once_is_taken_once(settings: Settings, serve_app: Serve) -> None:
    """Whichever wins, on whichever replica: its bytes are there whole, and the others are told."""
    replicas = [await serve_app(Container(settings=settings)) for _ in range(2)]
    created = await replicas[0].create(LARGE, chunk_size=len(CHUNK), hash="unknown")
    task_id = created.json["task_id"]
    sent = [bytes([n]) * len(CHUNK) for n in range(16)]
    answers = await asyncio.gather(
        *(replicas[n % 2].send_chunk(task_id, 0, data) for n, data in enumerate(sent)),
    )
    told = Counter((it.status, it.body == b"") for it in answers)
    assert told.keys() <= {(200, True), (200, False), (409, False)}
    assert told[200, True] == 1
    assert all(it.headers["Retry-After"] for it in answers if it.status == 409)

    winner = next(data for data, it in zip(sent, answers, strict=True) if it.body == b"")
    assert (await replicas[0].send_chunk(task_id, 0, CHUNK)).json == ALREADY
    await replicas[1].send_chunk(task_id, 1, CHUNK[::-1])
    await replicas[0].send_chunk(task_id, 2, CHUNK[:1000])
    assert await bytes_of(replicas[1], task_id) == winner + CHUNK[::-1] + CHUNK[:1000]


class Latecomer:
    """Keeps the first who opens a staged upload waiting until `go` is set: it has asked, but has nothing locked yet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waits = threading.Event()
        self.go = threading.Event()
        self._open = local._open_for_writing
        monkeypatch.setattr(local, "_open_for_writing", self._open_late)

    def _open_late(self, file: Path) -> int:
        fd = self._open(file)
        if not self.waits.is_set():
            self.waits.set()
            self.go.wait(10)
        return fd


@pytest.fixture
def latecomer(monkeypatch: pytest.MonkeyPatch) -> Latecomer:
    return Latecomer(monkeypatch)


@pytest.mark.local_store
@pytest.mark.parametrize("late", [b"xxxx", b"x"])
async def test_a_request_that_was_overtaken_changes_nothing(api: Api, latecomer: Latecomer, late: bytes) -> None:
    """It saw no chunk when it came, but somebody else's had been recorded before it could write."""
    task_id = await begin(api)
    sending = asyncio.create_task(api.send_chunk(task_id, 0, late))
    await eventually(latecomer.waits.is_set)
    assert (await api.send_chunk(task_id, 0, b"0123")).body == b""
    latecomer.go.set()
    assert (await sending).json == ALREADY
    await api.send_chunk(task_id, 1, b"4567")
    await api.send_chunk(task_id, 2, b"89")
    assert await bytes_of(api, task_id) == CONTENT


@pytest.mark.local_store
async def test_a_request_that_was_overtaken_by_the_end_changes_no_file(api: Api, latecomer: Latecomer) -> None:
    """What it has open is the object, which the staged upload has become meanwhile."""
    task_id = await begin(api)
    sending = asyncio.create_task(api.send_chunk(task_id, 0, b"xxxx"))
    await eventually(latecomer.waits.is_set)
    await api.send_chunks({"task_id": task_id, "chunk_size": 4, "chunks_count": 3}, CONTENT)
    file = (await api.complete(task_id)).json
    latecomer.go.set()
    assert (await sending).code == "CONFLICT"
    assert (await api.get(f"/api/files/{file['id']}")).body == CONTENT


async def test_different_chunks_come_at_once_and_in_any_order(settings: Settings, serve_app: Serve) -> None:
    replicas = [await serve_app(Container(settings=settings)) for _ in range(2)]
    content = random.Random(2).randbytes(40 * 50_000 + 7)
    task_id = await begin(replicas[0], content, 50_000)
    order = random.Random(3).sample(range(41), 41)
    answers = await asyncio.gather(
        *(replicas[n % 2].send_chunk(task_id, n, content[n * 50_000 : (n + 1) * 50_000]) for n in order)
    )
    assert {(it.status, it.body) for it in answers} == {(200, b"")}
    assert (await replicas[0].progress(task_id)).json["uploaded_chunks"] == list(range(41))
    assert await bytes_of(replicas[1], task_id) == content


async def test_a_chunk_may_be_the_plain_body(api: Api) -> None:
    task_id = await begin(api)
    for index, start in enumerate(range(0, 10, 4)):
        answer = await api.post(f"/api/files/upload/chunk/{task_id}/{index}", data=CONTENT[start : start + 4])
        assert answer.status == 200, answer
    assert await bytes_of(api, task_id) == CONTENT


FORM = {"Content-Type": "multipart/form-data; boundary=boundary-of-the-test"}
WRONG_BODIES = {
    "no field of this name": (FORM, multipart("file", b"0123"), "chunk"),
    "an empty form": (FORM, b"--boundary-of-the-test--\r\n", "chunk"),
    "no body": (FORM, b"", "multipart"),
    "no boundary": ({"Content-Type": "multipart/form-data"}, multipart("chunk", b"0123"), "multipart"),
    "another boundary": ({"Content-Type": "multipart/form-data; boundary=x"}, multipart("chunk", b"0123"), "multipart"),
    "no end": (FORM, multipart("chunk", b"0123")[:-30], "broke off"),
    "a form within the form": (
        FORM,
        multipart("x", b"--inner\r\n\r\n0123\r\n--inner--", head="Content-Type: multipart/mixed; boundary=inner\r\n"),
        "chunk",
    ),
    "no headers": (FORM, b"--boundary-of-the-test\r\n\r\n0123\r\n--boundary-of-the-test--\r\n", "chunk"),
    "not what its encoding says": ({"Content-Encoding": "gzip", "Connection": "close"}, b"0123", "broke off"),
}


async def test_a_body_that_is_no_chunk_is_refused(api: Api, subtests: pytest.Subtests) -> None:
    task_id = await begin(api)
    for name, (headers, body, message) in WRONG_BODIES.items():
        with subtests.test(name):
            answer = await api.post(f"/api/files/upload/chunk/{task_id}/0", data=body, headers=headers)
            assert (answer.status, answer.code) == (400, "VALIDATION_ERROR"), answer
            assert message in answer.json["message"]
    assert (await api.send_chunk(task_id, 0, b"0123")).body == b""


async def test_fields_around_the_chunk_are_passed_over(api: Api) -> None:
    task_id = await begin(api)
    form = aiohttp.FormData()
    form.add_field("before", "x" * 100_000)
    form.add_field("chunk", b"0123", filename="chunk")
    form.add_field("after", "y" * 100_000)
    assert (await api.post(f"/api/files/upload/chunk/{task_id}/0", data=form)).body == b""
