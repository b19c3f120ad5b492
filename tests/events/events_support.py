"""A real NATS server, and what the tests of events ask it."""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import nats
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from structlog.testing import capture_logs
from support.rows import Rows
from support.waiting import eventually

NATS_SERVER = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_START_S = 10.0


class NatsServer:
    """A nats-server with JetStream on loopback, which can go and come back at the same address."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start, and return once it answers."""
        assert NATS_SERVER
        self._process = await asyncio.create_subprocess_exec(
            *(NATS_SERVER, "-js", "-sd", str(self._folder), "-a", "127.0.0.1", "-p", str(self.port)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await eventually(self._answers, _START_S)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, and keep its data."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(number)
            await process.wait()

    async def lose_data(self) -> None:
        """End it, and remove all streams and consumers."""
        await self.stop()
        shutil.rmtree(self._folder)

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, "nats-server has ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


@asynccontextmanager
async def connected_to(server: NatsServer) -> AsyncIterator[JetStreamContext]:
    """Give JetStream by a connection that is none of Drive's."""
    client = await nats.connect(server.url)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def messages(jetstream: JetStreamContext, stream: str) -> list[Any]:
    """Return all messages of a stream, in order; none where there is no such stream."""
    try:
        state = (await jetstream.stream_info(stream)).state
    except NotFoundError:
        return []
    return [await jetstream.get_msg(stream, number) for number in range(max(state.first_seq, 1), state.last_seq + 1)]


async def file_ids(jetstream: JetStreamContext) -> list[str]:
    """Return which files the stream tells of, in order."""
    return [msgspec.json.decode(one.data)["file_id"] for one in await messages(jetstream, "file_events")]


async def add_events(rows: Rows, names: list[str]) -> None:
    """Ask for events as an upload does."""
    await rows.executemany(
        "insert into events (subject, message_id, payload) values ('file_uploaded', 'file_uploaded:' || $1, $2)",
        [(name, {"file_id": name}) for name in names],
    )


async def events_left(rows: Rows) -> int:
    return int(await rows.fetchval("select count(*) from events"))


@asynccontextmanager
async def hold_back_deletion(rows: Rows, *, ends_what_waits: bool = True) -> AsyncIterator[None]:
    """Let whoever deletes events wait until the block ends; what waits then goes on, or ends as if it were killed."""
    await rows.execute(
        "create function wait_a_little() returns trigger language plpgsql as "
        "$$ begin perform pg_advisory_xact_lock(1); return old; end $$"
    )
    await rows.execute("create trigger slow before delete on events for each row execute function wait_a_little()")
    await rows.execute("select pg_advisory_lock(1)")
    try:
        yield
    finally:
        if ends_what_waits:
            waiting = "select pid from pg_stat_activity where datname = current_database() and wait_event = 'advisory'"
            for row in await rows.fetch(waiting):
                await rows.execute("select pg_terminate_backend($1, 10000)", row["pid"])
        await rows.execute("select pg_advisory_unlock(1)")
        await rows.execute("drop function wait_a_little() cascade")


async def has_stream(jetstream: JetStreamContext, name: str) -> bool:
    """Whether the stream is there."""
    try:
        await jetstream.stream_info(name)
    except NotFoundError:
        return False
    return True


@asynccontextmanager
async def at_work(*work: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run coroutines beside a block, and cancel them at its end; one that ends by itself has failed."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield tasks
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@asynccontextmanager
async def logging() -> AsyncIterator[Callable[[str], list[Any]]]:
    """Give a function that returns the lines of an event that were logged in the block, up to now."""
    with capture_logs() as logs:
        yield lambda event: [line for line in logs if line["event"] == event]
