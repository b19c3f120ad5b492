"""Whether something grows over time, and how sure one can be."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression, pstdev, stdev
from typing import Final

from bench.measure import Summary, summary

_RESAMPLES: Final = 400
_BLOCKS: Final = 20

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Trend:
    """A line through points by least squares."""

    slope: Summary
    """Of the line, and the middle half of the slopes that came out when its residuals were drawn anew."""
    standard_error: float
    """How much these slopes differ."""
    scatter: float
    """The standard deviation of the residuals."""


def trend(points: Points) -> Trend:
    """Fit a line, and draw its residuals anew in blocks: each second of a process's memory is like the one before.

    Residuals that were drawn one by one would make the slope seem many times as sure as it is.
    """
    xs, ys = zip(*points, strict=True)
    slope, intercept = linear_regression(xs, ys)
    residuals = [y - intercept - slope * x for x, y in points]
    chance = random.Random(7)  # noqa: S311 - the same figures each time
    slopes = [slope + linear_regression(xs, _drawn(residuals, chance)).slope for _ in range(_RESAMPLES)]
    spread = summary(slopes)
    return Trend(Summary(slope, spread.low, spread.high, 1), stdev(slopes), pstdev(residuals))


def _drawn(residuals: Sequence[float], chance: random.Random) -> list[float]:
    """Return as many residuals, in blocks that follow each other in them."""
    length = max(1, len(residuals) // _BLOCKS)
    drawn: list[float] = []
    while len(drawn) < len(residuals):
        start = chance.randrange(len(residuals) - length + 1)
        drawn += residuals[start : start + length]
    return drawn[: len(residuals)]


def thinned(points: Points, most: int) -> list[tuple[float, float]]:
    """Return at most so many points: of each few neighbours the highest, so that no peak is lost."""
    step = -(-len(points) // most)
    groups = (points[start : start + step] for start in range(0, len(points), step))
    return [max(group, key=lambda point: point[1]) for group in groups]
