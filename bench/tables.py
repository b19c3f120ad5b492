"""Tables of figures, for people in a terminal and for machines."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from bench.measure import Samples, Summary, paired_ratios, summary

_WIDTH: Final = 120
_HEAD: Final = ("", "median", "middle half", "ratio", "middle half", "goal", "")
_LEFT_ALIGNED: Final = (0, 5, 6)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row's median, or that of its ratio, should not exceed."""

    at_most: float
    of: Literal["value", "ratio"] = "value"


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
        figure = self.ratio if self.goal.of == "ratio" else self.value
        return figure is not None and figure.median <= self.goal.at_most


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that belong together. `about` says what was done, and what the ratios are to."""

    title: str
    about: str
    rows: Sequence[Row]


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
    return "\n".join([table.title, *textwrap.wrap(table.about, _WIDTH), *aligned])


def without_goals(table: Table) -> Table:
    """Return a table whose figures are worth nothing, and so are held against nothing."""
    return replace(table, rows=[replace(row, goal=None) for row in table.rows])


def plain(table: Table) -> dict[str, Any]:
    """Return a table as what JSON knows."""
    rows = [asdict(row) | {"is_met": row.is_met} for row in table.rows]
    return {"title": table.title, "about": table.about, "rows": rows}


def _cells(row: Row) -> tuple[str, ...]:
    ratio, ratio_spread = "", ""
    if row.ratio is not None:
        ratio, ratio_spread = f"{row.ratio.median:.3f}", f"{row.ratio.low:.3f} to {row.ratio.high:.3f}"
    value = f"{number(row.value.median)} {row.unit}".strip()
    spread = f"{number(row.value.low)} to {number(row.value.high)}"
    return row.name, value, spread, ratio, ratio_spread, _verdict(row), row.note


def _verdict(row: Row) -> str:
    if row.goal is None:
        return ""
    limit = f"{row.goal.at_most:.2f}" if row.goal.of == "ratio" else f"{number(row.goal.at_most)} {row.unit}".strip()
    return f"at most {limit}: {'met' if row.is_met else 'missed'}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if column in _LEFT_ALIGNED else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
