"""Wait for a condition, never for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_POLL_INTERVAL_S = 0.01


async def eventually(condition: Callable[[], Awaitable[object] | object], timeout_s: float = 10.0) -> None:
    """Return once the condition, which may be a coroutine function, is true."""
    deadline_s = time.monotonic() + timeout_s
    while not await _is_true(condition):
        assert time.monotonic() < deadline_s, f"not so within {timeout_s} s"
        await asyncio.sleep(_POLL_INTERVAL_S)


async def _is_true(condition: Callable[[], Awaitable[object] | object]) -> bool:
    found = condition()
    return bool(await found if isinstance(found, Awaitable) else found)
