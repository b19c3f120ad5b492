"""
What asking for an async value costs that is open already, beside the other frameworks.

`await container.pool()()` of a `Once`, and of an async generator that dependency-injector's Resource, dishka, that-depends and wireup hold. A `Once` checks at each call that the value is of this event loop; theirs is that of whichever loop opened it. Whoever uses one often holds it: `await pool()`.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Any, Final

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Resource

from bench.lazy.graph import Pool, close_pool, open_pool, pool_resource
from bench.lazy.peers import is_installed
from bench.measure import Effort, by_name, in_child, interleaved_awaiting
from bench.tables import Table, compared
from drive.lazy import Once

_ONCE: Final = "await container.pool()(), a Once"
_HELD: Final = "await pool(), the Once being held"
_RESOURCE: Final = "dependency-injector's async Resource"
_RESOURCE_NOTE: Final = "makes whoever depends on it async for good"

Batch = Callable[[int], Awaitable[None]]
"""Asks so many times."""


class Container(DeclarativeContainer):
    """Has an async value in both ways."""

    pool: "Once[Pool]" = Once(open_pool, close=close_pool)
    resource = Resource(pool_resource)


def tables(effort: Effort) -> list[Table]:
    """Measure all ways in each round, in small batches that take turns."""
    rounds = [in_child(one_round, effort.count(100), effort.count(1000)) for _ in range(effort.rounds)]
    about = f"Time of one resolution, awaited; the ratio is to: {_ONCE}."
    rows = compared(by_name(rounds), _ONCE, "ns", notes={_RESOURCE: _RESOURCE_NOTE})
    return [Table("Asking for an async value that is open already", about, rows)]


def one_round(turns: int, batch: int) -> dict[str, float]:
    """Return the nanoseconds of each way."""
    return asyncio.run(_round(turns, batch))


async def _round(turns: int, batch: int) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        ways = {_ONCE: _once(stack), _HELD: _held(stack), _RESOURCE: _resource(stack)}
        ways |= {peer: make(stack) for peer, make in _PEERS.items() if is_installed(peer)}
        for ask in ways.values():
            await ask(1)  # opens
        return await interleaved_awaiting({name: _timed(ask, batch) for name, ask in ways.items()}, turns)


def _timed(ask: Batch, batch: int) -> Callable[[], Awaitable[float]]:
    async def timed() -> float:
        started = perf_counter()
        await ask(batch)
        return (perf_counter() - started) / batch * 1e9

    return timed


def _once(stack: AsyncExitStack) -> Batch:
    container = Container()
    stack.push_async_callback(container.pool().aclose)

    async def ask(times: int) -> None:
        for _ in range(times):
            await container.pool()()

    return ask


def _held(stack: AsyncExitStack) -> Batch:
    pool = Container().pool()
    stack.push_async_callback(pool.aclose)

    async def ask(times: int) -> None:
        for _ in range(times):
            await pool()

    return ask


def _resource(stack: AsyncExitStack) -> Batch:
    container: Any = Container()  # the Resource is typed as if it were not async
    stack.push_async_callback(container.resource.shutdown)

    async def ask(times: int) -> None:
        for _ in range(times):
            await container.resource()

    return ask


def _dishka(stack: AsyncExitStack) -> Batch:
    from dishka import Provider, Scope, make_async_container  # type: ignore[import-not-found] # only in .venv-bench

    provider = Provider(scope=Scope.APP)
    provider.provide(pool_resource)
    container = make_async_container(provider)
    stack.push_async_callback(container.close)

    async def ask(times: int) -> None:
        for _ in range(times):
            await container.get(Pool)

    return ask


def _that_depends(stack: AsyncExitStack) -> Batch:
    from that_depends import BaseContainer, providers  # type: ignore[import-not-found] # only in .venv-bench

    class Peer(BaseContainer):  # type: ignore[misc] # its type is not known here
        pool = providers.Resource(pool_resource)

    stack.push_async_callback(Peer.pool.tear_down)

    async def ask(times: int) -> None:
        for _ in range(times):
            await Peer.pool.resolve()

    return ask


def _wireup(stack: AsyncExitStack) -> Batch:
    from wireup import create_async_container, injectable  # type: ignore[import-not-found] # only in .venv-bench

    container = create_async_container(injectables=[injectable(pool_resource)])
    stack.push_async_callback(container.close)

    async def ask(times: int) -> None:
        for _ in range(times):
            await container.get(Pool)

    return ask


_PEERS: Final = {"dishka": _dishka, "that-depends": _that_depends, "wireup": _wireup}
