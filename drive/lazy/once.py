"""An async value that is made at first use."""

import asyncio
import inspect
import itertools
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, overload

from dependency_injector import providers

T = TypeVar("T")

# Counts openings of everything in this process, so that `lifespan` can close in reverse order.
opening_order = itertools.count(1)


# Everything that is open on any loop of this process, for who looks for what was forgotten: see `drive.testing`.
open_values: "set[Lazy[Any]]" = set()


# Which opening a task waits for: an opening that waits for itself, by way of others, would wait for ever.
_waits_for: "dict[asyncio.Task[Any] | None, asyncio.Task[Any]]" = {}


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running event loop, None outside of any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Lazy(Generic[T]):
    """A value that the first `await value()` opens and all later ones return.

    However many wait, it is opened once. Cancelling one waiter leaves the others waiting. When opening fails, all who
    wait get the error and the next call tries again. Each event loop has its own value, since what is opened (sockets,
    locks) belongs to the loop that opened it.
    """

    def __init__(
        self, open_: Callable[[], Awaitable[T]], *, close: Callable[[T], Awaitable[object]] | None, name: str = ""
    ) -> None:
        self._open = open_
        self._close = close  # None where closing is for others to do
        self.name = name or getattr(open_, "__name__", repr(open_))
        self._openings: dict[asyncio.AbstractEventLoop, _Opening[T]] = {}

    def __repr__(self) -> str:
        return f"<Lazy {self.name}: {'open' if self.peek() is not None else 'not opened'}>"

    async def __call__(self) -> T:
        """Return the value, opened if it is not yet.

        Raises:
            RuntimeError: `aclose` was called meanwhile.

        """
        loop = asyncio.get_running_loop()
        opening = self._openings.get(loop)
        if opening is None or opening.failed():
            opening = self._begin(loop)
        task = opening.task
        if not task.done():
            await self._ended(task)
        if task.cancelled():  # passed on as it is, it would look as if whoever waits was cancelled
            raise RuntimeError(f"{self.name} was closed while it was being opened.")
        return task.result()

    def peek(self) -> T | None:
        """Return the running loop's value if it is open, without opening it."""
        opening = self._opening()
        return opening.task.result() if opening is not None and opening.succeeded() else None

    @property
    def opened_as(self) -> int | None:
        """The place of this opening among all openings of the process; None while nothing was opened on this loop."""
        opening = self._opening()
        return None if opening is None else opening.order

    def loops(self) -> set[asyncio.AbstractEventLoop]:
        """Return the event loops on which it is open, or being opened."""
        return set(self._openings)

    async def aclose(self) -> None:
        """Close the value if this loop opened it; the next call opens a new one. An opening under way is abandoned."""
        loop = asyncio.get_running_loop()
        opening = self._openings.pop(loop, None)
        if opening is None:
            return
        if not opening.task.done():
            opening.task.cancel()
            try:
                await asyncio.wait([opening.task])
            except asyncio.CancelledError:
                self._openings.setdefault(loop, opening)  # it may end well in spite of that, and must be closed then
                raise
        if opening.succeeded():
            self._forget_if_closed()
            if self._close is not None:
                await _awaitable(
                    self._close(opening.task.result()), getattr(self._close, "__name__", repr(self._close))
                )

    def _begin(self, loop: asyncio.AbstractEventLoop) -> "_Opening[T]":
        for ended in [other for other in list(self._openings) if other.is_closed()]:
            self._openings.pop(ended, None)
        self._forget_if_closed()
        opening = _Opening(loop.create_task(self._opened(), name=f"open {self.name}"))
        self._openings[loop] = opening
        opening.task.add_done_callback(lambda _task: self._opening_ended(loop, opening))
        return opening

    async def _ended(self, opening: asyncio.Task[T]) -> None:
        here = asyncio.current_task()
        after: asyncio.Task[Any] | None = opening
        while after is not None and after is not here:
            after = _waits_for.get(after)
        if after is not None:
            raise RuntimeError(f"{self.name} needs itself to be opened: it would wait for ever.")
        if here is not None:
            _waits_for[here] = opening
        try:
            await asyncio.wait([opening])  # unlike awaiting it, cancelling this leaves it at work for the others
        finally:
            _waits_for.pop(here, None)

    async def _opened(self) -> T:
        value: T = await _awaitable(self._open(), self.name)
        return value

    def _opening_ended(self, loop: asyncio.AbstractEventLoop, opening: "_Opening[T]") -> None:
        if opening.succeeded():
            opening.order = next(opening_order)
            if self._close is not None and self._openings.get(loop) is opening:  # not closed in the same turn
                open_values.add(self)
        elif self._openings.get(loop) is opening:
            del self._openings[loop]

    def _forget_if_closed(self) -> None:
        if not any(opening.succeeded() for opening in list(self._openings.values())):
            open_values.discard(self)

    def _opening(self) -> "_Opening[T] | None":
        loop = running_loop()
        return None if loop is None else self._openings.get(loop)


class _Opening(Generic[T]):
    """One opening under way or done, with its place in the process's order."""

    __slots__ = ("order", "task")

    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        # It counts from its end: what it opened meanwhile, to stand on, comes before it and is closed after it.
        self.order = sys.maxsize

    def failed(self) -> bool:
        return self.task.done() and not self.succeeded()

    def succeeded(self) -> bool:
        task = self.task
        return task.done() and not task.cancelled() and task.exception() is None  # asking marks the exception as seen


class Once(providers.Singleton[Lazy[T]]):
    """A provider of one `Lazy` per container: `pool = Once(open_pool, close=close_pool, url=…)`.

    `open_pool` gets the keyword arguments, resolved by the container, at the first `await container.pool()()`;
    `close_pool` gets what it returned. Whoever depends on the provider is given the `Lazy`, so that building it opens
    nothing.
    """

    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(
        self, open_: Callable[..., Awaitable[T]], *, close: Callable[[T], Awaitable[object]], **arguments: Any
    ) -> None: ...
    def __init__(
        self,
        open_: Callable[..., Awaitable[T]] | None = None,
        *,
        close: Callable[[T], Awaitable[object]] | None = None,
        **arguments: Any,
    ) -> None:
        if open_ is None:  # dependency-injector copies providers by building an empty one first
            super().__init__()
        elif _is_coroutine(open_):
            raise TypeError("Once is given a coroutine. Pass the function, and its arguments by keyword.")
        elif close is None:
            raise TypeError(
                f"Once({getattr(open_, '__name__', open_)}, …) lacks close=…, an async function of the value."
            )
        else:
            super().__init__(_lazy, open_, close, **arguments)

    def __deepcopy__(self, memo: dict[Any, Any] | None = None) -> Any:
        # Every container copies its providers' arguments, and a copied method would be one of a copied object.
        memo = {} if memo is None else memo
        memo.update({id(way): way for way in self.args})
        return super().__deepcopy__(memo)


def _is_coroutine(given: Any) -> bool:
    """Tell whether a coroutine was given where its function belongs. It is closed, as nobody will await it."""
    if inspect.iscoroutine(given):
        given.close()
        return True
    return False


def _awaitable(result: Any, name: str) -> Any:
    if not inspect.isawaitable(result):
        raise TypeError(f"{name} is not async: it returned {type(result).__name__}. Write `async def {name}`.")
    return result


def _lazy(open_: Callable[..., Awaitable[T]], close: Callable[[T], Awaitable[object]], **arguments: Any) -> Lazy[T]:
    return Lazy(lambda: open_(**arguments), close=close, name=getattr(open_, "__name__", ""))


# Of values that a forked child has of its parent: to let go of one would close what the parent still uses.
_inherited: list[Any] = []


def _in_child() -> None:
    """Leave to the parent what it has open: a child that goes on with its parent's event loop opens its own."""
    for lazy in open_values:
        _inherited.append(lazy._openings)  # noqa: SLF001
        lazy._openings = {}  # noqa: SLF001
    open_values.clear()


os.register_at_fork(after_in_child=_in_child)
