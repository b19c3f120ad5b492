"""Tables of figures, for people in a terminal and for machines."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from bench.measure import Samples, Summary, paired_ratios, summary

_WIDTH: Final = 120
_HEAD: Final = ("", "median", "middle half", "ratio", "middle half", "goal", "")
_LEFT_ALIGNED: Final = (0, 5, 6)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row's median, or that of its ratio, should not exceed, should reach, or both.

    `key` names it where it is one of those that the project has set itself: see `bench.goals`.
    """

    at_most: float | None = None
    of: Literal["value", "ratio"] = "value"
    at_least: float | None = None
    key: str = ""

    def is_met_by(self, median: float) -> bool:
        """Tell whether a median is within it."""
        is_low_enough = self.at_most is None or median <= self.at_most
        return is_low_enough and (self.at_least is None or median >= self.at_least)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what was measured, and how it compares."""

    name: str
    value: Summary
    unit: str
    ratio: Summary | None = None
    goal: Goal | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        return self.judged is not None and self.goal.is_met_by(self.judged.median)

    @property
    def judged(self) -> Summary | None:
        """What the goal is about: the ratio or the value."""
        return self.ratio if self.goal is not None and self.goal.of == "ratio" else self.value


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that belong together.

    `about` says what was done, and what the ratios are to; `left_out` what could not be measured here, and why.
    Where `is_pictured`, the page has a picture of the values as well, which must be of one unit then.
    """

    title: str
    about: str
    rows: Sequence[Row]
    left_out: Sequence[str] = ()
    is_pictured: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """Values over something that goes on, such as time: a picture of lines. A line of 300 points is fine enough.

    `x` and `y` are what the axes say, units included; the points of a line are in order of their first figure.
    """

    title: str
    about: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


def compared(
    samples: Samples,
    base: str,
    unit: str,
    *,
    goals: dict[str, Goal] | None = None,
    notes: dict[str, str] | None = None,
) -> list[Row]:
    """Make one row of each name's rounds, with its ratio to those of `base`."""
    goals, notes = goals or {}, notes or {}
    return [
        Row(
            name,
            summary(values),
            unit,
            None if name == base else summary(paired_ratios(values, samples[base])),
            goals.get(name),
            notes.get(name, ""),
        )
        for name, values in samples.items()
    ]


def number(value: float) -> str:
    """Write a figure with about three digits, and thousands apart."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2  # noqa: PLR2004 - digits of a decimal number
    return f"{value:,.{digits}f}".replace(",", " ")


def text(table: Table) -> str:
    """Write a table as aligned lines."""
    lines = [_HEAD, *(_cells(row) for row in table.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    aligned = ("  ".join(_aligned(cells, widths)).rstrip() for cells in lines)
    left_out = (f"Left out: {what}" for what in table.left_out)
    return "\n".join([table.title, *textwrap.wrap(table.about, _WIDTH), *aligned, *left_out])


def without_goals(table: Table) -> Table:
    """Return a table whose figures are worth nothing, and so are held against nothing."""
    return replace(table, rows=[replace(row, goal=None) for row in table.rows])


def _cells(row: Row) -> tuple[str, ...]:
    ratio, ratio_spread = "", ""
    if row.ratio is not None:
        ratio, ratio_spread = f"{row.ratio.median:.3f}", f"{row.ratio.low:.3f} to {row.ratio.high:.3f}"
    value = f"{number(row.value.median)} {row.unit}".strip()
    spread = f"{number(row.value.low)} to {number(row.value.high)}"
    return row.name, value, spread, ratio, ratio_spread, _verdict(row), row.note


def _verdict(row: Row) -> str:
    return "" if row.goal is None else f"{limit(row.goal, row.unit)}: {'met' if row.is_met else 'missed'}"


def limit(goal: Goal, unit: str) -> str:
    """Write what a goal asks for."""

    def written(figure: float) -> str:
        return f"{figure:.2f}" if goal.of == "ratio" else f"{number(figure)} {unit}".strip()

    if goal.at_least is not None and goal.at_least == goal.at_most:
        return f"exactly {written(goal.at_least)}"
    bounds = (("at least", goal.at_least), ("at most", goal.at_most))
    return ", ".join(f"{which} {written(figure)}" for which, figure in bounds if figure is not None)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if column in _LEFT_ALIGNED else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
