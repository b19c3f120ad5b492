"""Files in one request."""

import gzip
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from support.api import Api
from support.raw import BOUNDARY, RawRequest, multipart
from support.rows import Rows, reserved_bytes, task_status, used_bytes
from support.storage import objects, staged

from drive.containers import Container
from drive.settings import Settings

DIRECT = "/api/files/upload/direct"

Serve = Callable[[Container], Awaitable[Api]]


async def nothing_is_left(rows: Rows, settings: Settings) -> bool:
    used = await reserved_bytes(rows), await used_bytes(rows)
    return (*used, staged(settings), objects(settings)) == (0, 0, set(), set())


@pytest.mark.parametrize("size", [1000, 1001])
async def test_a_direct_upload_has_a_largest_size(settings: Settings, rows: Rows, serve_app: Serve, size: int) -> None:
    """The answer names the other way to upload; quota is given back."""
    api = await serve_app(Container(settings=replace(settings, upload_direct_max_bytes=1000)))
    answer = await api.upload_direct(b"x" * size)
    if size == 1000:
        assert (answer.status, answer.json["size"]) == (200, 1000)
        return
    assert (answer.status, answer.code) == (413, "TOO_LARGE")
    assert "/api/files/upload/create" in answer.json["message"]
    assert await nothing_is_left(rows, settings)


@pytest.mark.leaks("task")  # aiohttp goes on reading what was refused, also while its server stops
async def test_a_large_body_is_refused_before_all_of_it_is_there(
    settings: Settings, rows: Rows, serve_app: Serve
) -> None:
    api = await serve_app(Container(settings=replace(settings, upload_direct_max_bytes=1000)))
    body = multipart("file", b"x" * 3_000_000)
    async with RawRequest.begin_form(api, DIRECT, body) as request:
        await request.send(body[:1_500_000])
        assert b" 413 " in await request.answer()
    assert await nothing_is_left(rows, settings)


async def test_a_direct_upload_takes_what_it_has_of_the_quota(api: Api, rows: Rows) -> None:
    """Its length announces the form around it, too."""
    assert (await api.upload_direct(b"12345")).json["size"] == 5
    assert (await reserved_bytes(rows), await used_bytes(rows)) == (0, 5)


async def test_a_body_without_a_length_is_taken(api: Api, rows: Rows) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 1000

    answer = await api.post(DIRECT, data=body(), params={"fileName": "a"})
    assert (answer.status, answer.json["size"]) == (200, 5000), answer
    assert await reserved_bytes(rows) == 0


async def test_a_compressed_body_is_stored_as_what_it_is(api: Api) -> None:
    content = b"x" * 100_000
    answer = await api.post(
        DIRECT,
        data=io.BytesIO(gzip.compress(content)),
        params={"fileName": "a"},
        headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"},
    )
    assert answer.status == 200, answer
    assert (answer.json["size"], answer.json["hash"]) == (100_000, hashlib.sha256(content).hexdigest())
    assert (await api.get(f"/api/files/{answer.json['id']}")).body == content


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (multipart("chunk", b"x"), "file"),
        (f"--{BOUNDARY}--\r\n".encode(), "file"),
        (multipart("file", b"x").replace(b'; filename="file.bin"', b""), "file_name"),
        (multipart("file", b"x").replace(b"file.bin", b""), "file_name"),
        (multipart("file", b"x", head="Content-Type: nonsense\r\n"), "content_type"),
    ],
)
async def test_a_form_without_its_file_or_its_name_is_refused(
    api: Api, rows: Rows, settings: Settings, body: bytes, named: str
) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = await api.post(DIRECT, data=body, headers=headers)
    assert (answer.status, answer.code, list(answer.json["errors"])) == (400, "VALIDATION_ERROR", [named])
    assert await nothing_is_left(rows, settings)


@pytest.mark.parametrize(
    ("parameter", "value"), [("poolId", "local"), ("path", "/a/../b"), ("path", "x%00"), ("path", "x" * 1025)]
)
async def test_a_wrong_parameter_is_named(api: Api, rows: Rows, parameter: str, value: str) -> None:
    answer = await api.post(f"{DIRECT}?fileName=a&{parameter}={value}", data=b"x")
    assert (answer.status, list(answer.json["errors"])) == (400, [parameter])
    assert await rows.fetchval("select count(*) from upload_tasks") == 0


async def test_a_form_that_breaks_off_in_its_length_leaves_nothing(api: Api, rows: Rows, settings: Settings) -> None:
    """All bytes that were announced came, but the form in them has no end."""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = await api.post(DIRECT, data=multipart("file", b"x" * 100)[:-30], headers=headers)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert await nothing_is_left(rows, settings)
    assert await task_status(rows, await rows.fetchval("select id from upload_tasks")) == 4


async def test_a_direct_upload_can_lie_in_a_folder(api: Api, rows: Rows) -> None:
    file = (await api.upload_direct(b"x", path="/a/b")).json
    assert await rows.fetchval("select path from file_indexes where file_id = $1", file["id"]) == "/a/b/"


async def test_an_empty_file_is_a_file(api: Api) -> None:
    file = (await api.upload_direct(b"")).json
    assert (file["size"], (await api.get(f"/api/files/{file['id']}")).body) == (0, b"")
