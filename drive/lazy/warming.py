"""Open everything before it is needed."""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Any

from dependency_injector import containers

from drive.lazy.graph import Graph
from drive.lazy.once import Lazy, Once
from drive.lazy.stub import LazyStub, Stub


async def warm(
    container: containers.Container, *, timeout_s: float = 10.0, skip: Collection[str] = ()
) -> dict[str, float]:
    """Open all that the container would open at first use, concurrently, each part within `timeout_s`.

    Args:
        container: whose parts.
        timeout_s: how long opening one part may take.
        skip: the names of providers that are left to be opened at their first use.

    Returns:
        The seconds that each part took, by its provider's name. Channels are connected; stubs of one endpoint share
        one, and each is told how long it waited for it.

    Raises:
        ExceptionGroup: with one exception for each part that failed or took too long. What could be opened stays open,
            for `lifespan` to close.

    """
    graph = Graph(container)
    lazy = {graph.name(provider): provider for provider in graph.providers if isinstance(provider, Once | Stub)}
    parts = {name: provider for name, provider in lazy.items() if name not in skip}
    took_s = await asyncio.gather(
        *(_opened(name, provider, timeout_s) for name, provider in parts.items()), return_exceptions=True
    )
    failures = [failure for failure in took_s if isinstance(failure, Exception)]
    if failures:
        raise ExceptionGroup("not all parts of the container could be opened", failures)
    return {name: one for name, one in zip(parts, took_s, strict=True) if isinstance(one, float)}


async def _opened(name: str, provider: Callable[[], Any], timeout_s: float) -> float | None:
    """Return how long it took to open a part; None if nothing in its place can be opened, as with a test's fake."""
    began_s = time.monotonic()
    try:
        part = provider()
        if not isinstance(part, Lazy | LazyStub):
            return None
        try:
            async with asyncio.timeout(timeout_s):
                await (part() if isinstance(part, Lazy) else part.__lazy__.connect())
        except TimeoutError as error:
            raise TimeoutError(f"{part} did not open within {timeout_s:g} s. Is what it needs running?") from error
    except Exception as error:
        error.add_note(f"while opening {name}")
        raise
    return time.monotonic() - began_s
