"""SIGTERM and Ctrl-C end `drive serve` quickly and in order, whatever it is doing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import aiohttp
import asyncpg
import pytest
from support.process import Serve, serving, until

from drive.peers import Fault, Peers
from drive.settings import Settings

MIB = 1024 * 1024
MOST_S = 6.0  # two seconds are promised; the rest is for a machine that does other things meanwhile
SIGNALS = [signal.SIGTERM, signal.SIGINT]

Situation: TypeAlias = Callable[[Serve, Settings, Peers], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def idle_connection(serve: Serve, settings: Settings, peers: Peers) -> AsyncIterator[None]:
    """Somebody has asked something, and keeps the connection open for later."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(serve.url.rpartition(":")[2]))
    writer.write(b"GET /alive HTTP/1.1\r\nHost: drive\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    yield
    writer.close()


@asynccontextmanager
async def slow_download(serve: Serve, settings: Settings, peers: Peers) -> AsyncIterator[None]:
    """Somebody downloads a file, and has stopped reading in its midst."""
    file = (await serve.api.upload_direct(os.urandom(16 * MIB))).json
    reader, writer = await asyncio.open_connection("127.0.0.1", int(serve.url.rpartition(":")[2]), limit=1024)
    writer.write(f"GET /api/files/{file['id']} HTTP/1.1\r\nHost: drive\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    yield
    writer.close()


@asynccontextmanager
async def slow_pass(serve: Serve, settings: Settings, peers: Peers) -> AsyncIterator[None]:
    """A request waits for pass."""
    calls = peers.world.calls["AuthService.Authenticate"]
    peers.world.faults["AuthService.Authenticate"] = Fault(delay_s=60)
    async with under_way(serve.api.signed_in_as("admin").get("/api/files/me")):
        await until(lambda: peers.world.calls["AuthService.Authenticate"] > calls, "pass was asked")
        yield


@asynccontextmanager
async def slow_ring(serve: Serve, settings: Settings, peers: Peers) -> AsyncIterator[None]:
    """A packet waits for ring, and others wait behind it."""
    last = "task.completed"
    await until(lambda: any(it.type == last for it in peers.world.packets), "ring was told of all of the first upload")
    peers.world.faults["RingService.PushWebSocketPacket"] = Fault(delay_s=60)
    for content in (b"one", b"two", b"three"):
        await serve.api.upload(content)
    yield


@asynccontextmanager
async def slow_database(serve: Serve, settings: Settings, peers: Peers) -> AsyncIterator[None]:
    """A request waits for a lock in the database."""
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    locking, watching = [await asyncpg.connect(settings.database_url) for _ in range(2)]
    async with locking.transaction():
        await locking.execute("lock table files")
        async with under_way(serve.api.get("/api/files/me")):
            while await watching.fetchval(waiting) == 0:
                pass
            yield
    await locking.close()
    await watching.close()


@asynccontextmanager
async def slow_upload(serve: Serve, settings: Settings, peers: Peers) -> AsyncIterator[None]:
    """Somebody sends a chunk, and has stopped in its midst."""
    content = os.urandom(4 * MIB)
    task = (await serve.api.create(content, chunk_size=len(content))).json

    async def body() -> AsyncIterator[bytes]:
        yield content[: 3 * MIB]
        await asyncio.Event().wait()

    async with under_way(serve.api.post(f"/api/files/upload/chunk/{task['task_id']}/0", data=body())):
        staging = settings.storage_path / "staging"
        await until(lambda: any(one.stat().st_size for one in staging.glob("*")), "some of it has arrived")
        yield


@asynccontextmanager
async def under_way(request: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run a request that gets no answer."""
    asking = asyncio.create_task(request)
    yield
    with pytest.raises(aiohttp.ClientError):
        await asking


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    "situation", [idle_connection, slow_download, slow_pass, slow_ring, slow_database, slow_upload]
)
async def test_a_signal_ends_a_serve_that_is_in_use_within_two_seconds(
    settings: Settings, peers: Peers, situation: Situation, number: signal.Signals
) -> None:
    """It exits with 0 and closes both channels, and no failure is logged: to be stopped is none."""
    async with serving(settings, DRIVE_GRPC_DEADLINE_S="60") as serve:
        await serve.api.upload(b"content")
        async with situation(serve, settings, peers):
            assert await serve.stop(number) < MOST_S
        closed = [(line["endpoint"], line["reason"]) for line in serve.lines("Closing gRPC channel")]
        assert sorted(closed) == sorted([(peers.pass_url, "shutdown"), (peers.ring_url, "shutdown")])
        assert serve.lines("Stopping")
        assert {line["level"] for line in serve.service.lines} == {"info"}


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_ends_a_serve_that_nobody_uses(settings: Settings, number: signal.Signals) -> None:
    async with serving(settings) as serve:
        assert await serve.stop(number) < MOST_S
        assert [line["event"] for line in serve.service.lines] == ["Listening", "Stopping"]


async def test_a_request_that_is_nearly_done_is_answered(settings: Settings, peers: Peers) -> None:
    """What takes a moment only is not cut off."""
    async with serving(settings) as serve:
        await serve.api.upload(b"content")
        peers.world.faults["AuthService.Authenticate"] = Fault(delay_s=0.1)
        calls = peers.world.calls["AuthService.Authenticate"]
        asking = asyncio.create_task(serve.api.signed_in_as("admin").get("/api/files/me"))
        await until(lambda: peers.world.calls["AuthService.Authenticate"] > calls, "pass was asked")
        await serve.stop()
        assert (await asking).status == 200


async def test_an_upload_that_a_signal_has_cut_off_is_resumed(settings: Settings, peers: Peers) -> None:
    """The chunk that was being received is lost, those before it are not."""
    content = os.urandom(3 * MIB)
    half_sent = asyncio.Event()

    async def half_a_chunk() -> AsyncIterator[bytes]:
        yield content[2 * MIB : 2 * MIB + MIB // 2]
        half_sent.set()
        await asyncio.Event().wait()

    async with serving(settings) as serve:
        task = (await serve.api.create(content, chunk_size=MIB)).json
        task_id = task["task_id"]
        for index in (0, 1):
            await serve.api.send_chunk(task_id, index, content[index * MIB : (index + 1) * MIB])
        async with under_way(serve.api.post(f"/api/files/upload/chunk/{task_id}/2", data=half_a_chunk())):
            await half_sent.wait()
            await serve.stop()

    async with serving(settings) as serve:
        progress = (await serve.api.get(f"/api/files/upload/resume/{task_id}")).json
        assert progress["uploaded_chunks"] == [0, 1]
        assert (await serve.api.send_chunk(task_id, 2, content[2 * MIB :])).status == 200
        file = (await serve.api.complete(task_id)).json
        assert (await serve.api.get(f"/api/files/{file['id']}")).body == content
