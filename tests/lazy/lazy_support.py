"""A gRPC server with one method of each arity, a container that calls it, and what the tests wait for."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import grpc.aio
import psutil  # type: ignore[import-untyped] # its types are no dependency, for one function
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Object, Singleton
from structlog.testing import capture_logs
from structlog.typing import EventDict

from drive.lazy import Channels, Stub, lifespan, modules

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"

STREAMS = "streams_grpc:StreamsStub"


@dataclass
class Server:
    """A running server. What it is asked decides what it does: `fail`, `hold`, or answer."""

    port: int
    grpc_server: grpc.aio.Server
    requests: list[bytes] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    time_remaining_s: list[float | None] = field(default_factory=list)
    held: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where it listens, as settings write it."""
        return f"http://127.0.0.1:{self.port}"

    def connections(self) -> int:
        """Count the TCP connections to it that are open."""
        return connections_to(self.port)


class Handlers:
    """The four methods."""

    def __init__(self) -> None:
        self.server: Server

    def table(self) -> grpc.GenericRpcHandler:
        """Return the methods as grpc.aio serves them."""
        return grpc.method_handlers_generic_handler(
            "drive.tests.Streams",
            {
                "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
                "Count": grpc.unary_stream_rpc_method_handler(self.count),
                "Join": grpc.stream_unary_rpc_method_handler(self.join),
                "Talk": grpc.stream_stream_rpc_method_handler(self.talk),
            },
        )

    async def echo(self, request: bytes, context: Context) -> bytes:
        await self._begin(request, context)
        return request.upper()

    async def count(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        await self._begin(request, context)
        for character in request:
            yield bytes([character])
            if character == ord("!"):
                await self._hold()

    async def join(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        joined = b"".join([request async for request in requests])
        await self._begin(joined, context)
        return joined

    async def talk(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        await self._begin(b"", context)
        async for request in requests:
            if request == b"fail":
                await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such thing")
            yield request.upper()

    async def _begin(self, request: bytes, context: Context) -> None:
        server = self.server
        server.requests.append(request)
        server.metadata.append(dict(context.invocation_metadata() or ()))
        server.time_remaining_s.append(context.time_remaining())
        await context.send_initial_metadata((("first", "hello"),))
        context.set_trailing_metadata((("last", "bye"),))
        if request == b"fail":
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such thing")
        if request == b"hold":
            await self._hold()

    async def _hold(self) -> None:
        self.server.held += 1
        try:
            await self.server.released.wait()
        finally:
            self.server.held -= 1


@asynccontextmanager
async def serving(
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
    options: Sequence[tuple[str, int]] = (),
) -> AsyncIterator[Server]:
    """Start a server, and stop it at the end without waiting for the calls that it still holds."""
    handlers = Handlers()
    grpc_server = grpc.aio.server(handlers=[handlers.table()], options=[("grpc.so_reuseport", 0), *options])
    if credentials is None:
        port = grpc_server.add_insecure_port(address)
    else:
        port = grpc_server.add_secure_port(address, credentials)
    handlers.server = Server(port, grpc_server)
    await grpc_server.start()
    try:
        yield handlers.server
    finally:
        await grpc_server.stop(None)


def container_of(url: str, path: str = STREAMS, timeout_s: float | None = 30.0, **options: Any) -> Any:
    """Return a container with `streams`, the lazy stub of the server at `url`, and its `channels`."""

    class Container(DeclarativeContainer):
        channels = Singleton(Channels, **options)
        streams: "Stub[Any]" = Stub(path, channels, endpoint=Object(url), timeout_s=timeout_s)

    return Container()


@asynccontextmanager
async def calling(url: str, **options: Any) -> AsyncIterator[Any]:
    """Give a container as `container_of` makes it, closed at the end."""
    async with lifespan(container_of(url, **options)) as container:
        yield container


class ChannelLog:
    """The lines about channels that were logged inside of `logged_channels`."""

    def __init__(self, lines: list[EventDict]) -> None:
        self._lines = lines

    @property
    def lines(self) -> list[EventDict]:
        """All of them, with their fields."""
        return [line for line in self._lines if "gRPC channel" in line["event"]]

    @property
    def verbs(self) -> list[str]:
        """What was done, in order: Creating, Reopening, Closing."""
        return [line["event"].removesuffix(" gRPC channel") for line in self.lines]


@contextmanager
def logged_channels() -> Iterator[ChannelLog]:
    """Record what is logged about channels."""
    with capture_logs() as lines:
        yield ChannelLog(lines)


class Gate:
    """A stub's path whose module cannot be imported until `open` is called, and counts how often it is tried."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = f"{name}:StreamsStub"
        self.threads: list[str] = []
        """The threads that tried to import it."""
        self.failures: list[Exception] = []
        """What the next imports raise, once the gate is open."""
        self._opened = threading.Event()

    def open(self) -> None:
        """Let the import go on."""
        self._opened.set()

    def pass_(self) -> None:
        """Wait until it is open: the module calls this while it is imported."""
        self.threads.append(threading.current_thread().name)
        assert self._opened.wait(30), "the import waits for the event loop, and the event loop for the import"
        if self.failures:
            raise self.failures.pop(0)


gates: dict[str, Gate] = {}


def write_gated_module(folder: Path, name: str) -> Gate:
    """Write a module, with the stub of Streams in it, that is imported through a gate."""
    (folder / f"{name}.py").write_text(
        f"import lazy_support\nlazy_support.gates[{name!r}].pass_()\nfrom streams_grpc import StreamsStub\n"
    )
    gates[name] = Gate(name)
    return gates[name]


def forget_imports() -> None:
    """Make the next call a first call again, which imports in a thread."""
    modules._loaded.clear()


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait for something that another task, thread or process brings about."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not so within {timeout_s} s"
        await asyncio.sleep(0.005)


async def steps(count: int) -> None:
    """Let the event loop go round some times."""
    for _ in range(count):
        await asyncio.sleep(0)


def connections_to(port: int) -> int:
    """Count the established TCP connections to a port of this machine, at the side of who listens."""
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port
        for connection in psutil.net_connections("tcp")
    )


def run_script(text: str, *arguments: str, timeout_s: float = 60.0) -> str:
    """Run a Python script in a process of its own and return what it prints; its warnings are errors."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", text, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )
    assert ran.returncode == 0, f"exit code {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout
