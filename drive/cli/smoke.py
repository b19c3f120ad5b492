"""`drive demo --smoke`: one whole round, each step timed and checked."""

import hashlib
import io
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from drive.cli.demo import Demo
from drive.cli.processes import Service
from drive.logs import write_line

_TOKEN = "plain-token"  # noqa: S105 - the fixed token of a development account
_CHUNK_BYTES = 1024 * 1024
_SIZE_BYTES = 3 * _CHUNK_BYTES + 12345
_KIB = 1024


class _StepError(Exception):
    """A step of the round that did not do what it should."""


async def smoke_test(demo: Demo) -> int:
    """Create, send chunks, complete, look, download a part and compare, delete. Returns 0 if all went well, else 1."""
    begun_s = time.perf_counter()
    try:
        async with aiohttp.ClientSession(demo.url, headers={"Authorization": f"Bearer {_TOKEN}"}) as session:
            await _round(session, demo)
    except (_StepError, aiohttp.ClientError, TimeoutError) as error:
        write_line(f"FAILED: {error}")
        return 1
    write_line(f"All done in {time.perf_counter() - begun_s:.2f} s.")
    return 0


async def _round(session: aiohttp.ClientSession, demo: Demo) -> None:
    content = os.urandom(_SIZE_BYTES)
    async with _step("ask whether it is alive"):
        await _json(session, "GET", "/alive")
    _expect(not _channels(demo.serve), "a gRPC channel was opened before anybody needed one")
    write_line(f"  no gRPC channel, {_memory_mib(demo.serve):.1f} MiB private memory")

    async with _step("create an upload task"):
        task = await _json(session, "POST", "/api/files/upload/create", json=_wanted(content))
    async with _step(f"send {task['chunks_count']} chunks"):
        for index in range(task["chunks_count"]):
            form = aiohttp.FormData()
            form.add_field(
                "chunk", io.BytesIO(content[index * _CHUNK_BYTES : (index + 1) * _CHUNK_BYTES]), filename="chunk"
            )
            await _request(session, "POST", f"/api/files/upload/chunk/{task['task_id']}/{index}", data=form)
    async with _step("complete it"):
        file = await _json(session, "POST", f"/api/files/upload/complete/{task['task_id']}")
    async with _step("read the file's details"):
        info = await _json(session, "GET", f"/api/files/{file['id']}/info")
    _expect(info["size"] == _SIZE_BYTES, f"its size is {info['size']}, not {_SIZE_BYTES}")
    _expect(info["hash"] == hashlib.sha256(content).hexdigest(), "its hash is not that of what was sent")
    async with _step("download it in two ranges, and compare"):
        half = _SIZE_BYTES // 2
        first = await _request(session, "GET", f"/api/files/{file['id']}", headers={"Range": f"bytes=0-{half - 1}"})
        second = await _request(session, "GET", f"/api/files/{file['id']}", headers={"Range": f"bytes={half}-"})
    _expect(first + second == content, "the bytes are not those that were sent")
    async with _step("delete it"):
        await _json(session, "DELETE", f"/api/files/{file['id']}")
    _report(demo)


def _report(demo: Demo) -> None:
    lines = _channels(demo.serve)
    write_line("Log lines of the channels:")
    for line in lines:
        shown = {key: line[key] for key in ("event", "endpoint", "service", "max_connections", "pid")}
        write_line("  " + " ".join(f"{key}={value}" for key, value in shown.items()))
    endpoints = sorted(line["endpoint"] for line in lines)
    _expect(endpoints == sorted([demo.peers.pass_url, demo.peers.ring_url]), "not one channel each for pass and ring")
    write_line(f"  {_memory_mib(demo.serve):.1f} MiB private memory of serve")


def _wanted(content: bytes) -> dict[str, Any]:
    return {
        "file_name": "smoke.bin",
        "file_size": len(content),
        "content_type": "application/octet-stream",
        "hash": hashlib.sha256(content).hexdigest(),
        "chunk_size": _CHUNK_BYTES,
    }


@asynccontextmanager
async def _step(name: str) -> AsyncIterator[None]:
    begun_s = time.perf_counter()
    yield
    write_line(f"  {1000 * (time.perf_counter() - begun_s):7.1f} ms  {name}")


async def _json(session: aiohttp.ClientSession, method: str, path: str, **options: Any) -> Any:
    async with session.request(method, path, **options) as response:
        _expect(response.ok, f"{method} {path} answered {response.status}: {await response.text()}")
        return await response.json()


async def _request(session: aiohttp.ClientSession, method: str, path: str, **options: Any) -> bytes:
    async with session.request(method, path, **options) as response:
        body = await response.read()
        _expect(response.ok, f"{method} {path} answered {response.status}: {body[:500]!r}")
        return body


def _channels(service: Service) -> list[dict[str, Any]]:
    return [line for line in service.lines if line.get("event") == "Creating gRPC channel"]


def _memory_mib(service: Service) -> float:
    """Return what the process has for itself: what would be free without it."""
    rollup = Path(f"/proc/{service.process.pid}/smaps_rollup").read_text()
    private = [int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_")]
    return sum(private) / _KIB


def _expect(truth: bool, otherwise: str) -> None:  # noqa: FBT001 - it is what it says
    if not truth:
        raise _StepError(otherwise)
