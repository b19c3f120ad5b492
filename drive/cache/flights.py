"""One load per key at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")


class Flights:
    """Loads under way, which all who ask for the same key share.

    A failed load fails for all who wait for it, and the next call loads again. Cancelling one of them harms no other;
    a load that nobody waits for any more is cancelled.
    """

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[Any]] = {}

    async def join(self, key: str, load: Callable[[], Awaitable[T]], store: Callable[[T], Awaitable[object]]) -> T:
        """Return what `load` gives, from a load under way where there is one.

        The value is given to `store` first, unless the key was forgotten meanwhile.
        """
        flight: _Flight[T] = self._flights.get(key) or self._begin(key, self._fly(key, load, store))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                self.forget(key)
                flight.task.cancel()

    def forget(self, key: str) -> None:
        """Let a load under way serve only those who wait already: what it gives may be outdated."""
        self._flights.pop(key, None)

    def _begin(self, key: str, load: Coroutine[Any, Any, T]) -> "_Flight[T]":
        flight = self._flights[key] = _Flight(asyncio.create_task(load, name=f"load {key}"))
        flight.task.add_done_callback(lambda _: self._land(key, flight))
        return flight

    async def _fly(self, key: str, load: Callable[[], Awaitable[T]], store: Callable[[T], Awaitable[object]]) -> T:
        value = await load()
        flight = self._flights.get(key)
        if flight is not None and flight.task is asyncio.current_task():
            await store(value)
        return value

    def _land(self, key: str, flight: "_Flight[Any]") -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.waiters and not flight.task.cancelled() and (error := flight.task.exception()):
            log.debug("Abandoned load failed", key=key, error=type(error).__name__)


class _Flight(Generic[T]):
    """One load and how many wait for it."""

    __slots__ = ("task", "waiters")

    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.waiters = 0
