"""What `DRIVE_OPEN_AT_START` does. Imported only where it is set."""

import os
import time
from collections.abc import Awaitable, Callable, Iterator

import structlog

from drive.containers import Container
from drive.errors import DriveError
from drive.lazy import warm

log = structlog.get_logger()

_PATIENCE_S = 5.0
# What the worker opens as soon as it needs it; and Redis, which the cache opens below, where one is configured.
_OPENED_ELSEWHERE = {"nats", "media_work", "redis"}


async def open_all(container: Container) -> None:
    """Open and connect what is otherwise opened at its first use: the clients, the database, Redis, the HTTP session.

    What cannot be reached now is opened at its first use after all, and a line of the log says so.
    """
    began_s = time.monotonic()
    try:
        await warm(container, timeout_s=_PATIENCE_S, skip=_OPENED_ELSEWHERE)
    except ExceptionGroup as failures:
        for failure in _leaves(failures):
            log.warning("Not opened at start", error=" ".join([str(failure), *getattr(failure, "__notes__", ())]))
    await _asked(container.database().ping)
    await _asked(container.cache().ping)
    log.info("Opened at start", took_s=round(time.monotonic() - began_s, 3), pid=os.getpid())


async def _asked(ping: Callable[[], Awaitable[None]]) -> None:
    """Let a pool connect, which does so only when it is asked something."""
    try:
        await ping()
    except DriveError as error:
        log.warning("Not opened at start", error=error.message)


def _leaves(failures: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for failure in failures.exceptions:
        if isinstance(failure, ExceptionGroup):
            yield from _leaves(failure)
        else:
            yield failure
