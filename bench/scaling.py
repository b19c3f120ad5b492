"""
How many calls at once a channel carries, over how many connections, at caps of 1, 2 and 5.

2 000 calls begin at once, each of which takes the server 20 ms; a figure is the median of five times that. The server allows 100 streams on a connection, so that over one connection 100 calls are under way at a time and the others wait for their turn. gRPC opens another connection when those that there are have all their streams in use, up to the cap (`DRIVE_GRPC_MAX_CONNECTIONS`). Connections are counted at the server's port while the calls are under way; the one that is opened first was open before.

The servers are grpc-js, and grpcio in two settings. **Patient** lets calls that exceed its limit wait. **Protected** is what a server of grpcio does unless it is told otherwise: it sheds load by refusing streams of a client that exceeds the limit before it has heard of it. A refused call was never processed, so that a lazy stub sends it again; a generated stub passes the failure on, which its rows show.

Client and server share the machine's cores: where the client's or the server's processor is the limit, more connections help no further.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit

from bench.goals import goal
from bench.measure import ROOT, Effort, by_name, child_environment, in_child, paired_ratios, summary
from bench.support.npm import NotInstalledError, installed
from bench.tables import Row, Table

_CALLS: Final = 2000
_CAPS: Final = (1, 2, 5)
_GRPC_JS: Final = "grpc-js"
_SERVERS: Final = (_GRPC_JS, "grpcio, patient", "grpcio, protected")
_KINDS: Final = ("lazy stub", "generated stub")
_LOOK_EVERY_S: Final = 0.005
_LOADS: Final = 5

Load = dict[str, float]
Key = tuple[str, str, int]
"""Server, kind of stub and cap."""


def tables(effort: Effort) -> list[Table]:
    """Load each server at each cap in each round, taking turns."""
    left_out: list[str] = []
    with ExitStack() as stack:
        urls = _started(stack, left_out)
        keys = [(server, kind, cap) for server in urls for kind in _KINDS for cap in _CAPS if _is_shown(server, kind)]
        rounds = [
            {key: in_child(load, urls[key[0]], key[1], key[2], effort.count(_CALLS)) for key in keys}
            for _ in range(effort.rounds)
        ]
    return [_speed(rounds, keys, left_out), _counts(rounds, keys)]


def _started(stack: ExitStack, left_out: list[str]) -> dict[str, str]:
    urls = {}
    for server in _SERVERS:
        try:
            urls[server] = stack.enter_context(_serving(server))
        except NotInstalledError as error:
            left_out.append(f"{server}: {error}")
    return urls


def _is_shown(server: str, kind: str) -> bool:
    """Tell whether it is measured: both kinds do the same where nothing is refused."""
    return kind == "lazy stub" or "protected" in server


@contextmanager
def _serving(server: str) -> Iterator[str]:
    """Start a server, and give its address."""
    if server == _GRPC_JS:
        command, folder = ["node", "server.js"], installed(ROOT / "tests/lazy/grpc_js")
    else:
        command, folder = [sys.executable, "-m", "bench.support.streams", server.rpartition(" ")[2]], ROOT
    with subprocess.Popen(
        command, cwd=folder, env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            port = "" if process.stdout is None else process.stdout.readline().strip()
            if not port:
                raise RuntimeError(f"{server} did not start; what it printed stands above.")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def load(url: str, kind: str, max_connections: int, calls: int) -> Load:
    """Make all calls at once, some times; return how many a second were answered, how many failed, and connections."""
    return asyncio.run(_load(url, kind, max_connections, calls))


async def _load(url: str, kind: str, max_connections: int, calls: int) -> Load:
    from drive.lazy import Channels, Endpoint, lifespan

    port = urlsplit(url).port or 0
    await _none_left(port)
    async with lifespan(_container(url, max_connections)) as container:
        stub = container.streams()
        await stub.Echo(b"hello")
        if kind == "generated stub":
            from bench.support.streams import StreamsStub

            channels: Channels = container.channels()
            stub = StreamsStub(channels.open(Endpoint.parse(url), "bench").grpc_channel)
        counts: list[int] = []
        looking = asyncio.create_task(_look(port, counts))
        loads = [await _at_once(stub, calls) for _ in range(_LOADS + 1)][1:]  # the first one warms up
        looking.cancel()
        per_s, failed = (median(one) for one in zip(*loads, strict=True))
        return {"per_s": per_s, "failed": failed, "connections": max(counts)}


async def _at_once(stub: Any, calls: int) -> tuple[float, float]:
    """Return how many calls were answered a second, and how many failed."""
    began = perf_counter()
    answers = await asyncio.gather(*(stub.Echo(b"hello", timeout=60.0) for _ in range(calls)), return_exceptions=True)
    took_s = perf_counter() - began
    failed = sum(answer != b"HELLO" for answer in answers)
    return (calls - failed) / took_s, failed


async def _none_left(port: int) -> None:
    """Wait until the server has closed the connections of the process before."""
    from bench.support.proc import connections_at

    while connections_at(port):  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(_LOOK_EVERY_S)


async def _look(port: int, counts: list[int]) -> None:
    from bench.support.proc import connections_at

    while True:
        counts.append(connections_at(port))
        await asyncio.sleep(_LOOK_EVERY_S)


def _container(url: str, max_connections: int) -> Any:
    from dependency_injector.containers import DeclarativeContainer
    from dependency_injector.providers import Singleton

    from drive.lazy import Channels, Stub

    class Container(DeclarativeContainer):
        channels = Singleton(Channels, max_connections=max_connections)
        streams: "Stub[Any]" = Stub("bench.support.streams:StreamsStub", channels, endpoint=url, timeout_s=60.0)

    return Container()


def _named(key: Key) -> str:
    server, kind, cap = key
    return f"{server}, {kind}, cap {cap}"


def _speed(rounds: Sequence[dict[Key, Load]], keys: Sequence[Key], left_out: Sequence[str]) -> Table:
    def row(key: Key) -> Row:
        server, kind, cap = key
        per_s = _of(rounds, key, "per_s")
        base = None if cap == 1 else paired_ratios(per_s, _of(rounds, (server, kind, 1), "per_s"))
        ratio = None if base is None else summary(base)
        return Row(_named(key), summary(per_s), "calls/s", ratio, goal("scaling-speed") if _is_aim(key) else None)

    return Table(
        "Calls per second, 2 000 at once",
        "The ratio is to the same with cap 1.",
        [row(key) for key in keys],
        left_out,
        is_pictured=True,
    )


def _counts(rounds: Sequence[dict[Key, Load]], keys: Sequence[Key]) -> Table:
    rows = []
    for what, aim in (("connections", goal("scaling-connections")), ("failed", goal("scaling-failures"))):
        rows += [
            Row(f"{what}: {_named(key)}", summary(_of(rounds, key, what)), "", goal=aim if _is_aim(key) else None)
            for key in keys
        ]
    return Table("Connections held, and calls that failed", "From the same loads.", rows)


def _is_aim(key: Key) -> bool:
    """Tell whether the project's goals are about it: a server that queues, and Drive's cap."""
    server, _, cap = key
    return server == _GRPC_JS and cap == 2  # noqa: PLR2004 - Drive's default


def _of(rounds: Sequence[dict[Key, Load]], key: Key, what: str) -> list[float]:
    return by_name([one[key] for one in rounds])[what]
