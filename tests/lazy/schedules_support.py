"""Schedules made by a seed, and cancellation at every await: what happens rarely happens here often."""

import asyncio
import functools
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from itertools import count
from random import Random
from typing import Any, Final, TypeAlias

Scenario: TypeAlias = Callable[[Random], Coroutine[Any, Any, None]]

_HANGS_AFTER_S: Final = 10.0


class ShuffledLoop(asyncio.SelectorEventLoop):
    """Runs what is ready in an order made by a seed, and some of it a turn later.

    What one callback scheduled keeps its order, as asyncio promises: the callbacks of a future run in the order in
    which they were added, a transport reads after it has told of its connection.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)
        self._cause = 0
        self._arrived: deque[tuple[int, asyncio.Handle]] = deque()  # also from other threads
        self._queues: dict[int, deque[asyncio.Handle]] = {}

    def seed(self, seed: int) -> None:
        """Begin another schedule."""
        self._random.seed(seed)

    def call_at(  # type: ignore[override] # the same, but less exactly
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Note what a timer causes."""
        return super().call_at(when, self._caused, callback, *args, context=context)

    def _add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        return super()._add_reader(fd, self._caused, callback, *args)  # type: ignore[misc]

    def _call_soon(self, callback: Any, args: Iterable[Any], context: Any) -> asyncio.Handle:
        handle = asyncio.Handle(functools.partial(self._caused, callback), list(args), self, context)
        is_here = self._thread_id == threading.get_ident()  # type: ignore[attr-defined]
        self._arrived.append((self._cause if is_here else -threading.get_ident(), handle))
        return handle

    def _caused(self, callback: Any, *args: Any) -> None:
        self._cause += 1
        callback(*args)

    def _run_once(self) -> None:
        self._ready.extend(self._drawn())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]

    def _drawn(self) -> Iterator[asyncio.Handle]:
        while self._arrived:
            cause, handle = self._arrived.popleft()
            self._queues.setdefault(cause, deque()).append(handle)
        order = [cause for cause, queue in self._queues.items() for _ in queue]
        self._random.shuffle(order)
        if order and self._random.random() < 0.3:
            del order[self._random.randint(1, len(order)) :]
        for cause in order:
            yield self._queues[cause].popleft()
            if not self._queues[cause]:
                del self._queues[cause]


def run_shuffled(seeds: range, scenario: Scenario) -> None:
    """Run a scenario once with each seed, each time on an event loop of its own."""
    for seed in seeds:
        with told(seed), asyncio.Runner(loop_factory=functools.partial(ShuffledLoop, seed)) as runner:
            runner.run(_within_limit(scenario(Random(seed))))


def run_shuffled_beside(
    server: Callable[[], AbstractAsyncContextManager[Any]],
    seeds: range,
    scenario: Callable[[Any, Random], Coroutine[Any, Any, None]],
) -> None:
    """Run a scenario with each seed, beside a server on the same event loop; that is not made anew each time."""

    async def run() -> None:
        loop: Any = asyncio.get_running_loop()
        async with server() as running:
            for seed in seeds:
                loop.seed(seed)
                with told(seed):
                    await _within_limit(scenario(running, Random(seed)))

    with asyncio.Runner(loop_factory=functools.partial(ShuffledLoop, 0)) as runner:
        runner.run(run())


class told:  # noqa: N801 - used like a function: `with told(seed):`
    """Add the seed to what fails."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        """Add the seed."""
        if error is not None:
            error.add_note(f"with seed {self._seed}")


async def _within_limit(scenario: Awaitable[None]) -> None:
    async with asyncio.timeout(_HANGS_AFTER_S):
        await scenario


async def pause(random: Random, turns_max: int = 6) -> None:
    """Let the event loop go round a random number of times."""
    for _ in range(random.randint(0, turns_max)):
        await asyncio.sleep(0)


async def soon(condition: Callable[[], object]) -> None:
    """Wait for something that comes within some turns, or from another thread or process."""
    deadline_s = time.monotonic() + _HANGS_AFTER_S
    turns = 0
    while not condition():
        assert time.monotonic() < deadline_s, f"not so within {_HANGS_AFTER_S} s"
        turns += 1
        await asyncio.sleep(0 if turns < 200 else 0.001)


class Crowd:
    """Tasks that begin at random moments, some of which are cancelled at random moments."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._tasks: list[asyncio.Task[Any]] = []
        self._cancelling: list[asyncio.Task[None]] = []
        self._doomed: set[asyncio.Task[Any]] = set()

    def add(self, act: Callable[[], Awaitable[object]], *, doomed: float = 0.0) -> asyncio.Task[Any]:
        """Begin to do something, to be cancelled with the probability `doomed`."""
        task = asyncio.create_task(self._later(act))
        self._tasks.append(task)
        if self._random.random() < doomed:
            self._doomed.add(task)
            self._cancelling.append(asyncio.create_task(self._cancel(task)))
        return task

    async def ended(self) -> list[Any]:
        """Wait for all; return what became of those that nobody meant to cancel: results and exceptions."""
        await asyncio.gather(*self._cancelling, *self._tasks, return_exceptions=True)
        spared = [task for task in self._tasks if task not in self._doomed]
        return await asyncio.gather(*spared, return_exceptions=True)

    def outcomes_of_doomed(self) -> list[Any]:
        """Return what became of the others, where they were too quick to be cancelled, or failed."""
        return [task.exception() or task.result() for task in self._doomed if not task.cancelled()]

    async def _later(self, act: Callable[[], Awaitable[object]]) -> object:
        await pause(self._random)
        return await act()

    async def _cancel(self, task: asyncio.Task[Any]) -> None:
        await pause(self._random, 20)
        task.cancel()


class CancelAt:
    """Cancels a task at one of its suspensions."""

    def __init__(self, place: int, *, late: bool) -> None:
        """Prepare.

        Args:
            place: which suspension, counted from 1.
            late: when what is awaited has come, but before the task goes on; otherwise when it begins to wait.

        """
        self.place = place
        self.is_reached = False
        self._late = late
        self._suspensions = 0

    async def run(self, awaited: Awaitable[Any]) -> "asyncio.Task[Any]":
        """Run it in a task of its own, and return that when it is over: cancelled, if it was reached."""
        task = asyncio.create_task(self._watched(awaited))
        _, running = await asyncio.wait([task], timeout=_HANGS_AFTER_S)
        assert not running, f"hangs, cancelled at its suspension {self.place}"
        assert task.cancelled() == self.is_reached, f"cancelled at its suspension {self.place}: {task}"
        return task

    async def _watched(self, awaited: Awaitable[Any]) -> Any:
        return await _Steps(awaited, self._suspended)

    def _suspended(self, awaited: Any) -> None:
        self._suspensions += 1
        if self._suspensions != self.place:
            return
        self.is_reached = True
        task = asyncio.current_task()
        assert task is not None
        if not self._late:
            task.cancel()
        elif awaited is None:
            asyncio.get_running_loop().call_soon(task.cancel)
        else:
            awaited.add_done_callback(lambda _: task.cancel())


class _Steps:
    """Awaits something, and tells of each of its suspensions."""

    def __init__(self, awaited: Awaitable[Any], suspended: Callable[[Any], None]) -> None:
        self._awaited = awaited
        self._suspended = suspended

    def __await__(self) -> Generator[Any, None, Any]:
        steps: Any = self._awaited.__await__()
        error: BaseException | None = None
        while True:
            try:
                awaited = steps.send(None) if error is None else steps.throw(error)
            except StopIteration as ended:
                return ended.value
            error = None
            self._suspended(awaited)
            try:
                yield awaited
            except BaseException as thrown:  # noqa: BLE001 - it is for what is awaited
                error = thrown


def each_await(*, late: bool) -> Iterator[CancelAt]:
    """Give something that cancels at the first suspension, the second, …; at last one that is not reached."""
    for place in count(1):
        cancelling = CancelAt(place, late=late)
        yield cancelling
        if not cancelling.is_reached:
            assert place > 1, "there is no await to cancel at"
            return
