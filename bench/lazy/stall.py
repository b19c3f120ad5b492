"""
How long the first use stalls the event loop.

Each row is a process of its own per round. A task sleeps 1 ms again and again, and notes the longest time that this took more: that is how long a request would have stood still. Then comes the first call ever, with all that it imports (gRPC, protobuf, the generated modules), opens and connects. **Imported inline** is the same call with the import statements in the coroutine. **Nothing compiled** hides the `.pyc` files: where a service is installed without them (an image built without compiling, on a read-only disk), Python compiles each module in the thread that imports it, and does not let go of the interpreter meanwhile. **No first calls** are 200 calls of a generated stub over an open channel: what gRPC itself takes for so many at once.

The second table has the time until the calls were answered. Importing in a thread costs some of it: the loop gets its turn every few milliseconds.

The third is of Redis: the first value that Drive's cache asks Valkey for, beside a client of redis-py that is imported inline.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import asyncio
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, Final

from bench.goals import goal
from bench.lazy.calls import container_of
from bench.lazy.server import answering
from bench.measure import Effort, by_name, in_child
from bench.tables import Table, compared

_TICK_S: Final = 0.001
_QUIET_S: Final = 0.1
_AT_ONCE: Final = 200
_INLINE: Final = "imported inline"
_NOTHING: Final = "nothing called"
_UNCOMPILED: Final = "lazy stub, nothing compiled"
_CACHE: Final = "Drive's cache"
_WARM: Final = f"{_AT_ONCE} at once, no first calls"


def tables(effort: Effort) -> list[Table]:
    """Measure each kind of first use in fresh processes, taking turns."""
    return [*_of_grpc(effort), _of_redis(effort)]


def _of_grpc(effort: Effort) -> list[Table]:
    kinds = {
        _NOTHING: ("nothing", 0),
        _INLINE: ("inline", 1),
        "lazy stub": ("lazy", 1),
        _UNCOMPILED: ("uncompiled", 1),
        f"{_INLINE}, {_AT_ONCE} at once": ("inline", _AT_ONCE),
        f"lazy stub, {_AT_ONCE} at once": ("lazy", _AT_ONCE),
        _WARM: ("warm", _AT_ONCE),
    }
    with answering() as url:
        stalls, answered = _first_calls(effort, url, kinds)
    del answered[_NOTHING]
    goals = {name: goal("stall-grpc") for name, (kind, _) in kinds.items() if kind == "lazy"}
    notes = {
        _NOTHING: "the noise",
        _UNCOMPILED: "where .pyc files are not kept",
        _WARM: "generated stub, open channel",
    }
    return [
        Table(
            "Longest stall of the event loop at a first call",
            f"The longest of the gaps that a task sees which sleeps 1 ms again and again; the ratio is to: {_INLINE}.",
            compared(stalls, _INLINE, "ms", goals=goals, notes=notes),
            is_pictured=True,
        ),
        Table(
            "Time until the first calls are answered",
            f"From the same processes, imports included; the ratio is to: {_INLINE}.",
            compared(answered, _INLINE, "ms", notes=notes),
        ),
    ]


def _of_redis(effort: Effort) -> Table:
    from drive.embedded import EmbeddedValkey

    kinds = {_NOTHING: ("nothing", 0), _INLINE: ("redis inline", 1), _CACHE: ("cache", 1)}
    with EmbeddedValkey() as valkey:
        stalls, _ = _first_calls(effort, valkey.url, kinds)
    return Table(
        "Longest stall of the event loop at the first use of Redis",
        f"Seen in the same way; the ratio is to: {_INLINE}.",
        compared(stalls, _INLINE, "ms", goals={_CACHE: goal("stall-redis")}, notes={_NOTHING: "the noise"}),
    )


def _first_calls(
    effort: Effort, url: str, kinds: dict[str, tuple[str, int]]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the longest stall, and the time until all was answered, of each kind in each round."""
    for kind in kinds.values():
        in_child(first_call, url, *kind)  # compiles what is not compiled yet
    rounds = [{name: in_child(first_call, url, *kind) for name, kind in kinds.items()} for _ in range(effort.rounds)]
    stalls = by_name([{name: stall for name, (stall, _) in one.items()} for one in rounds])
    answered = by_name([{name: took for name, (_, took) in one.items()} for one in rounds])
    return stalls, answered


def first_call(url: str, kind: str, calls: int) -> tuple[float, float]:
    """Return the longest stall and the time until all calls were answered, both in milliseconds."""
    return asyncio.run(_first_call(url, kind, calls))


async def _first_call(url: str, kind: str, calls: int) -> tuple[float, float]:
    work = await _WORK[kind](url)
    gaps: list[float] = []
    ticking = asyncio.create_task(_tick(gaps))
    await asyncio.sleep(_QUIET_S)
    gaps.clear()
    started = perf_counter()
    await asyncio.gather(*(work() for _ in range(calls)))
    took_s = perf_counter() - started
    await asyncio.sleep(_QUIET_S)
    ticking.cancel()
    return max(gaps) * 1000, took_s * 1000


async def _tick(gaps: list[float]) -> None:
    last = perf_counter()
    while True:
        await asyncio.sleep(_TICK_S)
        now = perf_counter()
        gaps.append(now - last - _TICK_S)
        last = now


Work = Callable[[], Awaitable[Any]]


async def _nothing(_url: str) -> Work:
    import drive.lazy  # noqa: F401 - so that the process is the same as the others

    return lambda: asyncio.sleep(0)


async def _lazy(url: str) -> Work:
    from drive.lazy import load

    accounts = container_of(url).accounts()

    async def call() -> None:
        await load("drive.proto.account_pb2")  # the request is a message, as everywhere in Drive
        from drive.proto.account_pb2 import GetAccountRequest

        await accounts.GetAccount(GetAccountRequest(id="6a1b2c3d"))

    return call


async def _uncompiled(url: str) -> Work:
    call = await _lazy(url)
    sys.dont_write_bytecode, sys.pycache_prefix = True, "/nowhere"
    return call


async def _inline(url: str) -> Work:
    import drive.lazy  # noqa: F401 - as above

    stubs: list[Any] = []

    async def call() -> None:
        import grpc.aio

        from drive.proto.account_pb2 import GetAccountRequest
        from drive.proto.account_pb2_grpc import AccountServiceStub

        if not stubs:
            stubs.append(AccountServiceStub(grpc.aio.insecure_channel(url.removeprefix("http://"))))
        await stubs[0].GetAccount(GetAccountRequest(id="6a1b2c3d"), timeout=30.0)

    return call


async def _warm(url: str) -> Work:
    call = await _inline(url)
    await call()
    return call


async def _cache(url: str) -> Work:
    from drive.containers import Container
    from drive.settings import Settings

    cache = Container(settings=Settings(redis_url=url)).cache()
    return lambda: cache.get("some", str)


async def _inline_redis(url: str) -> Work:
    import drive.containers  # noqa: F401 - as above

    async def get() -> None:
        import redis.asyncio

        await redis.asyncio.Redis.from_url(url).get("some")

    return get


_WORK: Final = {
    "nothing": _nothing,
    "lazy": _lazy,
    "uncompiled": _uncompiled,
    "inline": _inline,
    "warm": _warm,
    "cache": _cache,
    "redis inline": _inline_redis,
}
