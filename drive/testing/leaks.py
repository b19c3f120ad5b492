"""What a test leaves behind, found before it hurts the next one."""

import asyncio
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Self

from drive.testing.loops import Loops
from drive.testing.sockets import Connection, open_sockets

KINDS: Final = ("override", "channel", "once", "task", "connection")

# What is being closed may take a moment, some of it in gRPC's threads. Only who leaks has to wait that long.
_GRACE_S: Final = 1.0
_PAUSE_S: Final = 0.005


class LeakError(AssertionError):
    """Something was left behind."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One thing that was left behind."""

    kind: str
    """One of `KINDS`."""
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}. {self.remedy}"


class no_leaks:  # noqa: N801 - used like a function: `with no_leaks():`
    """Raise where the block leaves something open: `with no_leaks():`, `async with no_leaks():`.

    Finds overrides that are in force (and ends them), gRPC channels, values of `Once`, asyncio tasks, and where /proc
    exists, TCP and unix connections of this process. A block that fails is not masked: what it left is a note then.

    Args:
        allowed: kinds of leaks that are meant, such as "task".
        shared: event loops on which others may open something, meanwhile, and close it later.

    Raises:
        LeakError: on exit, with all of them and what to write.

    """

    def __init__(self, *allowed: str, shared: Collection[asyncio.AbstractEventLoop] = ()) -> None:
        for kind in allowed:
            if kind not in KINDS:
                raise ValueError(_unknown(kind))
        self._allowed = allowed
        self._shared = shared
        self._loops = Loops(shared)
        self._before = self._new = _State()

    def __enter__(self) -> Self:
        self._before = _State.now()
        self._loops.watch()
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        _tell(self.end(), error)

    async def __aenter__(self) -> Self:
        self.__enter__()
        self._loops.see_running()
        return self

    async def __aexit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        leaks, deadline_s = self._found(), time.monotonic() + _GRACE_S
        while leaks and time.monotonic() < deadline_s:
            await asyncio.sleep(_PAUSE_S)
            leaks = self._found()
        _tell(self._ended(leaks), error)

    @contextmanager
    def excused(self) -> Iterator[None]:
        """Accept what is open at the end of the inner block and was not before: a fixture of a module keeps it."""
        before = _State.now()
        try:
            with self._loops.excused():
                yield
        finally:
            self._before.add(_State.now().since(before))

    def end(self) -> list[Leak]:
        """Return what was left behind, after it had a moment to be closed."""
        leaks, deadline_s = self._found(), time.monotonic() + _GRACE_S
        while leaks and time.monotonic() < deadline_s:
            if not self._loops.run_for(_PAUSE_S):
                time.sleep(_PAUSE_S)
            leaks = self._found()
        return self._ended(leaks)

    def _ended(self, leaks: list[Leak]) -> list[Leak]:
        self._loops.unwatch()
        self._new.forget()
        return leaks

    def _found(self) -> list[Leak]:
        self._new = _State.now().since(self._before)
        if self._shared:
            self._new.leave_out(self._shared, with_sockets=not self._loops.ran.isdisjoint(self._shared))
        leaks = [*self._new.leaks(), *(Leak("task", one, _CANCEL) for one in self._loops.left())]
        return [leak for leak in leaks if leak.kind not in self._allowed]


class _State:
    """What is open at a moment."""

    __slots__ = ("channels", "overrides", "sockets", "values")

    def __init__(self, overrides: Any = (), channels: Any = (), values: Any = (), sockets: Any = ()) -> None:
        self.overrides = set(overrides)
        self.channels = set(channels)
        self.values = set(values)
        self.sockets = dict(sockets)

    @classmethod
    def now(cls) -> "_State":
        replaced, channel, once = _modules()
        return cls(
            replaced.in_force() if replaced else (),
            channel.open_channels if channel else (),
            once.open_values if once else (),
            open_sockets(),
        )

    def since(self, before: "_State") -> "_State":
        return _State(
            self.overrides - before.overrides,
            self.channels - before.channels,
            self.values - before.values,
            {inode: fd for inode, fd in self.sockets.items() if inode not in before.sockets},
        )

    def add(self, other: "_State") -> None:
        self.overrides |= other.overrides
        self.channels |= other.channels
        self.values |= other.values
        self.sockets |= other.sockets

    def leave_out(self, loops: Collection[asyncio.AbstractEventLoop], *, with_sockets: bool) -> None:
        """Remove what is open on other loops; nothing tells of a connection which loop it is on."""
        self.channels = {channel for channel in self.channels if channel.loop not in loops}
        self.values = {value for value in self.values if not value.loops() <= set(loops)}
        if with_sockets:
            self.sockets.clear()

    def forget(self) -> None:
        """Keep what was left behind from the tests to come, as far as that is possible from outside."""
        replaced, channel, once = _modules()
        for one in reversed(replaced.in_force() if self.overrides else []):
            if one in self.overrides:
                one.__exit__()
        if self.channels:
            channel.open_channels.difference_update(self.channels)
        if self.values:
            once.open_values.difference_update(self.values)

    def leaks(self) -> Iterator[Leak]:
        for one in self.overrides:
            yield Leak("override", f"{one} is in force", "Write `with override(…):`, or end it in a fixture's teardown")
        for channel in self.channels:
            what = f"{channel.endpoint}, opened by {channel.usage.opened_by}, is open"
            yield Leak("channel", what, _CLOSE)
        for value in self.values:
            what = f"the value of {value.name} is open"
            yield Leak("once", what, _CLOSE)
        for fd in self.sockets.values():
            connection = Connection.of(fd)
            if connection is not None:
                yield Leak("connection", f"{connection} is open", "Close what opened it")


def _modules() -> list[Any]:
    """Return what knows what is open; None for what was not imported and so has nothing open. Importing would cost."""
    return [sys.modules.get(f"drive.lazy.{name}") for name in ("replaced", "channel", "once")]


def report(leaks: list[Leak]) -> str:
    """Return all of them as text."""
    kinds = ", ".join(f'"{kind}"' for kind in dict.fromkeys(leak.kind for leak in leaks))
    lines = [f"  {leak}" for leak in leaks]
    return "\n".join(["Left behind:", *lines, f"If that is meant: @pytest.mark.leaks({kinds}) or no_leaks({kinds})."])


_CLOSE: Final = "Close its container: take the fixture `container`, or write `async with lifespan(container):`"
_CANCEL: Final = "Await it, or cancel it and await that; asyncio.TaskGroup sees to it"


def _tell(leaks: list[Leak], error: BaseException | None) -> None:
    if leaks and error is None:
        raise LeakError(report(leaks))
    if leaks and error is not None:
        error.add_note(report(leaks))


def _unknown(kind: str) -> str:
    nearest = get_close_matches(kind, KINDS, n=1)
    hint = f"Did you mean {nearest[0]!r}?" if nearest else f"There are {', '.join(KINDS)}."
    return f"There is no kind of leak {kind!r}. {hint}"
