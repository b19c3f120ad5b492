"""Take samples side by side, and sum them up by median and spread."""

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Samples = Mapping[str, Sequence[float]]

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure: rounds, whether only to see that it works, and how long what lasts a while should last."""

    rounds: int
    is_quick: bool = False
    seconds: float | None = None

    def count(self, full: int) -> int:
        """Return how often to do what makes a good figure when done `full` times."""
        return max(2, full // 50) if self.is_quick else full

    def lasting_s(self, full: float, quick: float) -> float:
        """Return how long to do what makes a good figure when done for `full` seconds; `--seconds` overrules both."""
        return self.seconds or (quick if self.is_quick else full)


@dataclass(frozen=True, slots=True)
class Summary:
    """The median of some rounds, and the two values between which the middle half of them lies."""

    median: float
    low: float
    high: float
    rounds: int


def summary(samples: Sequence[float]) -> Summary:
    """Sum up one sample or more."""
    if len(samples) == 1:
        return Summary(samples[0], samples[0], samples[0], 1)
    low, middle, high = quantiles(samples, n=4, method="inclusive")
    return Summary(middle, low, high, len(samples))


def paired_ratios(samples: Sequence[float], base: Sequence[float]) -> list[float]:
    """Divide round by round, so that a round in which the machine was slow counts no more than the others."""
    return [one / of for one, of in zip(samples, base, strict=True)]


def by_name(rounds: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Turn the figures of each round into the rounds of each figure."""
    return {name: [one[name] for one in rounds] for name in rounds[0]}


def interleaved(sides: Mapping[str, Callable[[], float]], turns: int) -> dict[str, float]:
    """Measure each side once a turn, so that over the turns each comes first, and after each other one, as often.

    Returns:
        Each side's median.

    """
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for name in _in_turns(sides, turns):
        seen[name].append(sides[name]())
    return {name: median(samples) for name, samples in seen.items()}


async def interleaved_awaiting(sides: Mapping[str, Callable[[], Awaitable[float]]], turns: int) -> dict[str, float]:
    """Do as `interleaved` does, on the running event loop."""
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for name in _in_turns(sides, turns):
        seen[name].append(await sides[name]())
    return {name: median(samples) for name, samples in seen.items()}


def _in_turns(names: Iterable[str], turns: int) -> Iterator[str]:
    order = deque(names)
    for turn in range(1, turns + 1):
        yield from order
        order.rotate(1)
        if turn % len(order) == 0:
            order.reverse()


def in_child(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a module's function in a fresh process, and return what it returns. All of it must be known to JSON.

    Raises:
        RuntimeError: the process failed; the message is what it printed.

    """
    command = [sys.executable, "-m", "bench.child", f"{function.__module__}:{function.__name__}"]
    ran = subprocess.run(
        [*command, json.dumps([args, kwargs])],
        cwd=ROOT,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise RuntimeError(f"{function.__module__}.{function.__name__} failed in its process:\n{ran.stderr}")
    result: Any = json.loads(ran.stdout.splitlines()[-1])  # what it logs comes before
    return result  # type: ignore[no-any-return]


def child_environment() -> dict[str, str]:
    """Return the environment of processes that use gRPC beside others, and that keep what they compile.

    Compiling a module holds the interpreter; an installed service does that once, not at each start.
    """
    environment = os.environ | {"GRPC_ENABLE_FORK_SUPPORT": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment
