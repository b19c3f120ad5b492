"""Do something for ever, whatever goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog

from drive.errors import DriveError
from drive.lazy import load

log = structlog.get_logger()


async def keep_on(part: str, step: Callable[[], Awaitable[object]], *, pause_s: float) -> NoReturn:
    """Repeat a step until cancelled; after one that failed, `pause_s` later. Each new reason is logged once."""
    waits_for = ""
    while True:
        reason = await failure(step)
        if reason and reason != waits_for:
            log.warning("Events wait", part=part, reason=reason)
        if waits_for and not reason:
            log.info("Events go on", part=part)
        waits_for = reason
        if reason:
            await asyncio.sleep(pause_s)


async def failure(step: Callable[[], Awaitable[object]]) -> str:
    """Do a step, and return why it failed; empty where it did not."""
    await load("nats")
    from nats.errors import Error

    reason = ""
    try:
        await step()
    except DriveError as error:
        reason = error.message
    except (Error, OSError) as error:
        reason = str(error) or type(error).__name__
    except Exception as error:
        log.exception("Events failed")
        reason = repr(error)
    _pass_on_cancellation()
    return reason


def _pass_on_cancellation() -> None:
    """Raise the cancellation that the client swallows where it ends, or is answered, at the same moment."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
