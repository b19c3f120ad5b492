"""SIGTERM and Ctrl-C."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def until_stopped(work: Coroutine[Any, Any, T]) -> T | None:
    """Await something, and cancel it at SIGTERM or Ctrl-C; return its result, or None where it was cancelled."""
    stop = stop_signal()
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait([working])
    return None if working.cancelled() else working.result()


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM or Ctrl-C sets."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
