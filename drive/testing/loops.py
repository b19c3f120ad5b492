"""The tasks that are left on event loops."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

Task: TypeAlias = "asyncio.Task[Any]"
Loop: TypeAlias = asyncio.AbstractEventLoop

_GRACE_S: Final = 1.0


class Loops:
    """The event loops that run while it watches, and the tasks that they had before.

    pytest-asyncio, unittest and `asyncio.run` all run what is asynchronous by `asyncio.Runner`. It cancels what is left
    when it closes, so that one has to look before.
    """

    def __init__(self, shared: Collection[Loop] = ()) -> None:
        """Begin to watch with `watch`.

        Args:
            shared: loops on which others may begin tasks, meanwhile, that are none of ours.

        """
        self._shared = shared
        self._before: dict[Loop, set[Task]] = {}
        self._left: list[str] = []
        self._runners: dict[asyncio.Runner, Loop] = {}

    def watch(self) -> None:
        """Begin."""
        if not _watching:
            _put(_run, _close)
        _watching.append(self)

    def unwatch(self) -> None:
        """End."""
        _watching.remove(self)
        if not _watching:
            _put(_run_unwatched, _close_unwatched)

    def see_running(self) -> None:
        """Look at the running loop, too."""
        loop = asyncio.get_running_loop()
        self._before.setdefault(loop, asyncio.all_tasks(loop))

    @property
    def ran(self) -> set[Loop]:
        """The loops that ran, and whose runner did not close them."""
        return set(self._before)

    def left(self) -> list[str]:
        """Describe the tasks that are not over and were not there before."""
        return [*self._left, *map(_described, self._open())]

    def run_for(self, time_s: float) -> bool:
        """Let a loop run for a moment that is open and does not run; False if there is none."""
        waiting = [loop for loop in list(self._before) if not loop.is_closed() and not loop.is_running()]
        for loop in waiting[:1]:
            loop.run_until_complete(asyncio.sleep(time_s))
        return bool(waiting)

    @contextmanager
    def excused(self) -> Iterator[None]:
        """Take the tasks that begin in the block for such that were there before."""
        known = self._open()
        try:
            yield
        finally:
            for loop in list(self._before):
                self._before[loop] |= self._left_on(loop) - known

    def begins(self, runner: asyncio.Runner) -> None:
        """Look at the loop of a runner that is about to run something."""
        loop = self._runners[runner] = runner.get_loop()
        if loop not in self._before:
            self._before[loop] = asyncio.all_tasks(loop)

    def ends(self, runner: asyncio.Runner) -> None:
        """Note what is left on the loop of a runner that is about to close it."""
        loop = self._runners.pop(runner, None)
        if loop is None or loop.is_closed() or loop.is_running():
            return
        left = self._left_on(loop)
        if left:  # what was cancelled may not have ended yet
            loop.run_until_complete(asyncio.wait(left, timeout=_GRACE_S))
        self._left += map(_described, self._left_on(loop))  # now: once it is closed, they have no place any more
        del self._before[loop]

    def _open(self) -> set[Task]:
        return {task for loop in list(self._before) for task in self._left_on(loop)}  # threads may run others

    def _left_on(self, loop: Loop) -> set[Task]:
        if loop.is_closed() or loop in self._shared:
            return set()
        here = asyncio.current_task(loop)
        return {task for task in asyncio.all_tasks(loop) - self._before.get(loop, set()) if task is not here}


def _described(task: Task) -> str:
    coroutine: Any = task.get_coro()
    frames = task.get_stack(limit=1)
    place = f" at {frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else ""
    return f"{task.get_name()} ({getattr(coroutine, '__qualname__', coroutine)}{place}) is not over"


_watching: list[Loops] = []
_run_unwatched: Callable[..., Any] = asyncio.Runner.run
_close_unwatched: Callable[..., Any] = asyncio.Runner.close


def _put(run: Callable[..., Any], close: Callable[..., Any]) -> None:
    runner: Any = asyncio.Runner
    runner.run, runner.close = run, close


def _run(runner: asyncio.Runner, *args: Any, **kwargs: Any) -> Any:
    for loops in _watching:
        loops.begins(runner)
    return _run_unwatched(runner, *args, **kwargs)


def _close(runner: asyncio.Runner) -> None:
    for loops in _watching:
        loops.ends(runner)
    _close_unwatched(runner)
