"""Close what was opened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar, runtime_checkable

import structlog
from dependency_injector import containers

from drive.lazy.channels import Channels
from drive.lazy.once import Once
from drive.lazy.replaced import check_instance, left_open, looking_past, original

log = structlog.get_logger()

C = TypeVar("C", bound=containers.Container)


@runtime_checkable
class _Closeable(Protocol):
    @property
    def opened_as(self) -> int | None: ...

    async def aclose(self) -> None: ...


@asynccontextmanager
async def lifespan(container: C, *, close_timeout_s: float = 5.0) -> AsyncIterator[C]:
    """Open nothing; on exit close what the container's `Once` and `Channels` have opened on this loop.

    What overrides replaced, and what was opened under them, is closed, too.

    Closes in reverse order of opening, each within `close_timeout_s`. All are attempted, also when the exit is
    cancelled. From then on `Channels` refuse calls, also where none was made before.

    Raises:
        ExceptionGroup: on exit, with one exception for each part that failed to close or took too long. What the block
            itself raised is its context.

    """
    check_instance(container)
    try:
        yield container
    finally:
        await _undisturbed(asyncio.create_task(_close_all(container, close_timeout_s), name="close the container"))


async def _undisturbed(task: asyncio.Task[None]) -> None:
    """Wait for a task to end even if the waiter is cancelled, and only then pass the cancellation on."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()  # marks it as seen: each failure is in the log
        raise cancelled
    task.result()


async def _close_all(container: containers.Container, close_timeout_s: float) -> None:
    failures = []
    parts = [*_parts(container), *((f"{part}, under an override", part) for part in left_open(container))]
    with looking_past():
        for name, part in sorted(parts, key=lambda named: named[1].opened_as or 0, reverse=True):
            try:
                await _close(part, close_timeout_s)
            except Exception as error:
                error.add_note(f"while closing {name}")
                log.exception("Closing failed", part=name)
                failures.append(error)
    if failures:
        raise ExceptionGroup("the container was closed, but not all of it in order", failures)


async def _close(part: _Closeable, close_timeout_s: float) -> None:
    try:
        async with asyncio.timeout(close_timeout_s):
            await part.aclose()
    except asyncio.CancelledError as error:  # from within: nobody cancels the task that closes all
        raise RuntimeError("closing was cancelled") from error


def _parts(container: containers.Container) -> list[tuple[str, _Closeable]]:
    """Return everything in the container that can have opened something."""
    names = {id(provider): name for name, provider in container.providers.items()}
    parts: dict[int, tuple[str, _Closeable]] = {}
    provider: Any  # traverse() yields providers of all kinds
    for provider in container.traverse():
        if not _may_open(provider):
            continue
        try:
            part = original(provider)  # building one, where that was not done before, opens nothing
        except Exception:  # noqa: BLE001, S112 - what cannot be built was not built before, and holds nothing open
            continue
        if isinstance(part, _Closeable):
            parts[id(part)] = names.get(id(provider), repr(part)), part
    return list(parts.values())


def _may_open(provider: Any) -> bool:
    made = getattr(provider, "cls", None)
    return isinstance(provider, Once) or (isinstance(made, type) and issubclass(made, Channels))
