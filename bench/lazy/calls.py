"""
What a call through a lazy stub costs on top of the generated stub, once the channel is open.

A unary call with a small message and a deadline of 30 s, to a server in another process on this machine, which answers at once. All go over one channel, opened before: the lazy stub's own, on which a generated stub is made as well. **One after another** is the latency of a call while nothing else happens. **20 at once** is the time of `gather` over 20 calls, for each of them; the client's processor is the limit there, so an overhead shows more. `another generated stub` is a second instance of what the ratio is to: where it is not 1, the rest is no better known than that.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, Final

from bench.goals import goal
from bench.lazy.server import answering
from bench.measure import Effort, by_name, in_child, interleaved_awaiting
from bench.tables import Table, compared

_GENERATED: Final = "generated stub"
_AGAIN: Final = "another generated stub"
_LAZY: Final = "lazy stub"
_AT_ONCE: Final = 20

Call = Callable[[], Awaitable[Any]]


def tables(effort: Effort) -> list[Table]:
    """Measure calls one after another, and many at once."""
    one_by_one, at_once = [], []
    with answering() as url:
        for _ in range(effort.rounds):
            one, many = in_child(one_round, url, effort.count(2000), effort.count(300))
            one_by_one.append(one)
            at_once.append(many)
    about = f"Time of one unary call with a deadline. All on one channel; the ratio is to: {_GENERATED}."
    notes = {_AGAIN: "what two equal stubs differ by: the noise"}
    return [
        Table(title, about, compared(by_name(rounds), _GENERATED, "µs", goals={_LAZY: goal("call")}, notes=notes))
        for title, rounds in (
            ("Calls, one after another", one_by_one),
            (f"Calls, {_AT_ONCE} at once", at_once),
        )
    ]


def one_round(url: str, calls: int, crowds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the microseconds of a call through each stub, when made alone and when made beside others."""
    return asyncio.run(_round(url, calls, crowds))


async def _round(url: str, calls: int, crowds: int) -> tuple[dict[str, float], dict[str, float]]:
    from drive.lazy import Endpoint, lifespan
    from drive.proto.account_pb2 import GetAccountRequest
    from drive.proto.account_pb2_grpc import AccountServiceStub

    request = GetAccountRequest(id="6a1b2c3d")
    async with lifespan(container_of(url)) as container:
        lazy = container.accounts()
        await lazy.GetAccount(request)  # opens the channel
        channel = container.channels().open(Endpoint.parse(url), "bench").grpc_channel
        generated, again = AccountServiceStub(channel), AccountServiceStub(channel)
        sides: dict[str, Call] = {
            _GENERATED: lambda: generated.GetAccount(request, timeout=30.0),
            _AGAIN: lambda: again.GetAccount(request, timeout=30.0),
            _LAZY: lambda: lazy.GetAccount(request),
        }
        alone = {name: _alone(call) for name, call in sides.items()}
        crowd = {name: _crowd(call) for name, call in sides.items()}
        await interleaved_awaiting(crowd, 5)  # warms up
        return await interleaved_awaiting(alone, calls), await interleaved_awaiting(crowd, crowds)


def container_of(url: str) -> Any:
    """Return a container with one lazy stub."""
    from dependency_injector.containers import DeclarativeContainer
    from dependency_injector.providers import Singleton

    from drive.lazy import Channels, Stub

    class Container(DeclarativeContainer):
        channels = Singleton(Channels)
        accounts: "Stub[Any]" = Stub(
            "drive.proto.account_pb2_grpc:AccountServiceStub", channels, endpoint=url, timeout_s=30.0
        )

    return Container()


def _alone(call: Call) -> Callable[[], Awaitable[float]]:
    async def timed() -> float:
        started = perf_counter()
        await call()
        return (perf_counter() - started) * 1e6

    return timed


def _crowd(call: Call) -> Callable[[], Awaitable[float]]:
    async def timed() -> float:
        started = perf_counter()
        await asyncio.gather(*(call() for _ in range(_AT_ONCE)))
        return (perf_counter() - started) / _AT_ONCE * 1e6

    return timed
