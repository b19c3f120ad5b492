"""Bodies stream: what a file takes of the server's memory does not grow with its size."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest
from support.api import Answer, Api
from support.process import Serve, serving

from drive.settings import Settings

MIB = 1024 * 1024
SIZE_MIB = int(os.environ.get("DRIVE_TEST_FILE_MIB", "256"))
CHUNK_MIB = 64  # the largest there is: a server that held one in memory would be caught
SENDERS = 2
LIMIT_MIB = 32

_NOISE = os.urandom(MIB)

SendChunk: TypeAlias = Callable[[Api, str, int], Any]


def piece(number: int) -> bytes:
    """Return one MiB of the file, made anew each time: the client's memory is none of the server's business."""
    return number.to_bytes(8, "big") + _NOISE[8:]


def pieces_of(chunk: int) -> range:
    return range(chunk * CHUNK_MIB, min((chunk + 1) * CHUNK_MIB, SIZE_MIB))


async def body_of(chunk: int) -> AsyncIterator[bytes]:
    for number in pieces_of(chunk):
        yield piece(number)


async def send_plain(api: Api, task_id: str, chunk: int) -> Answer:
    length = {"Content-Length": str(len(pieces_of(chunk)) * MIB)}
    return await api.post(f"/api/files/upload/chunk/{task_id}/{chunk}", data=body_of(chunk), headers=length)


async def send_form(api: Api, task_id: str, chunk: int) -> Answer:
    with aiohttp.MultipartWriter("form-data") as form:
        form.append(body_of(chunk)).set_content_disposition("form-data", name="chunk", filename="chunk")
    return await api.post(f"/api/files/upload/chunk/{task_id}/{chunk}", data=form)


async def upload(api: Api, send_chunk: SendChunk) -> str:
    """Upload the file, some chunks at the same time, and return its id."""
    sha256 = hashlib.sha256()
    for number in range(SIZE_MIB):
        sha256.update(piece(number))
    created = await api.post(
        "/api/files/upload/create",
        json={
            "hash": sha256.hexdigest(),
            "file_name": "large.bin",
            "file_size": SIZE_MIB * MIB,
            "content_type": "application/octet-stream",
            "chunk_size": CHUNK_MIB * MIB,
        },
    )
    assert created.status == 200, created
    task_id, chunks_count = created.json["task_id"], created.json["chunks_count"]
    senders = asyncio.Semaphore(SENDERS)

    async def send(chunk: int) -> None:
        async with senders:
            answer = await send_chunk(api, task_id, chunk)
            assert answer.status == 200, answer

    await asyncio.gather(*(send(chunk) for chunk in range(chunks_count)))
    completed = await api.complete(task_id)
    assert completed.status == 200, completed
    return str(completed.json["id"])


async def download(api: Api, file_id: str) -> None:
    """Download the file whole, and compare it piece by piece."""
    async with api.session.get(f"{api.url}/api/files/{file_id}") as response:
        assert (response.status, response.content_length) == (200, SIZE_MIB * MIB)
        for number in range(SIZE_MIB):
            assert await response.content.readexactly(MIB) == piece(number), number


def forget_peak(serve: Serve) -> None:
    Path(f"/proc/{serve.pid}/clear_refs").write_text("5")


def peak_mib(serve: Serve) -> float:
    """Return the most memory that the process had since `forget_peak`."""
    for line in Path(f"/proc/{serve.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


@pytest.mark.parametrize("send_chunk", [send_plain, send_form])
async def test_a_large_upload_and_its_download_hardly_move_the_peak_memory(
    settings: Settings, send_chunk: SendChunk
) -> None:
    """The server never holds a chunk, be it a plain body or a form's field, let alone a file."""
    settings = replace(settings, quota_base_mib=4 * SIZE_MIB)
    async with serving(settings) as serve:
        small = await serve.api.upload(os.urandom(3 * MIB), chunk_size=MIB)
        assert len((await serve.api.get(f"/api/files/{small['id']}")).body) == 3 * MIB
        forget_peak(serve)
        before_mib = peak_mib(serve)

        begun_s = time.monotonic()
        file_id = await upload(serve.api, send_chunk)
        uploaded_mib, uploaded_s = peak_mib(serve), time.monotonic()
        await download(serve.api, file_id)
        downloaded_mib, downloaded_s = peak_mib(serve), time.monotonic()
    print(  # noqa: T201 - shown with -s
        f"peak {before_mib:.1f} MiB, after the upload {uploaded_mib:.1f}, after the download {downloaded_mib:.1f}; "
        f"{SIZE_MIB / (uploaded_s - begun_s):.0f} MiB/s up, {SIZE_MIB / (downloaded_s - uploaded_s):.0f} MiB/s down"
    )
    assert downloaded_mib - before_mib < LIMIT_MIB
