"""Pictures of tables and plots as SVG, legible on a light and on a dark page."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from bench.tables import Plot, Row, Table, number

_WIDTH: Final = 760
_LINE: Final = 22
_LETTER: Final = 6.6  # about the width of one at this size
_COLOURS: Final = ("#2f81f7", "#d29922", "#3fb950", "#f778ba", "#a371f7", "#f85149")
_STYLE: Final = (
    "<style>text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.axis{stroke:#59636e}"
    ".grid{stroke:#59636e;stroke-opacity:.25}.spread{stroke:#59636e;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.axis,.grid,.spread{stroke:#9198a1}}</style>"
)


def bars(table: Table) -> str:
    """Draw a bar for each row's median, with a line over the middle half."""
    left = 12 + max(len(row.name) for row in table.rows) * _LETTER
    scale = (_WIDTH - left - 110) / (max(row.value.high for row in table.rows) or 1.0)
    drawn = [_bar(row, left, 34 + place * _LINE, scale) for place, row in enumerate(table.rows)]
    return _picture(table.title, 44 + len(table.rows) * _LINE, drawn)


def _bar(row: Row, left: float, top: float, scale: float) -> str:
    middle = top + 8
    low, median, high = (left + figure * scale for figure in (row.value.low, row.value.median, row.value.high))
    return (
        f'<text x="{left - 8:.1f}" y="{top + 12}" text-anchor="end">{escape(row.name)}</text>'
        f'<rect x="{left:.1f}" y="{top}" width="{median - left:.1f}" height="16" rx="2" fill="{_COLOURS[0]}"/>'
        f'<line class="spread" x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}"/>'
        f'<text x="{max(high, median) + 6:.1f}" y="{top + 12}">{number(row.value.median)} {escape(row.unit)}</text>'
    )


def lines(plot: Plot) -> str:
    """Draw each line over the same axes, both from zero."""
    points = [point for line in plot.lines.values() for point in line]
    x_max = max((x for x, _ in points), default=0.0) or 1.0
    y_max = max((y for _, y in points), default=0.0) or 1.0
    left, top, width, height = 56, 52, _WIDTH - 76, 240

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / x_max * width, top + height - y / y_max * height

    drawn = [_level(tick, place(0.0, tick)[1], left, width) for tick in _ticks(y_max)]
    drawn += [
        f'<text x="{place(tick, 0.0)[0]:.1f}" y="{top + height + 16}" text-anchor="middle">{number(tick)}</text>'
        for tick in _ticks(x_max)
    ]
    drawn.append(f'<text x="{left + width}" y="{top + height + 32}" text-anchor="end">{escape(plot.x)}</text>')
    drawn.append(f'<text x="12" y="40">{escape(plot.y)}</text>')
    drawn += _legend(list(plot.lines))
    for colour, line in zip(_cycled(len(plot.lines)), plot.lines.values(), strict=True):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return _picture(plot.title, top + height + 42, drawn)


def _level(tick: float, y: float, left: int, width: int) -> str:
    kind = "grid" if tick else "axis"
    return (
        f'<line class="{kind}" x1="{left}" y1="{y:.1f}" x2="{left + width}" y2="{y:.1f}"/>'
        f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>'
    )


def _legend(names: Sequence[str]) -> list[str]:
    drawn, x = [], 120.0
    for colour, name in zip(_cycled(len(names)), names, strict=True):
        drawn.append(f'<rect x="{x:.1f}" y="31" width="10" height="10" fill="{colour}"/>')
        drawn.append(f'<text x="{x + 14:.1f}" y="40">{escape(name)}</text>')
        x += 34 + len(name) * _LETTER
    return drawn


def _cycled(count: int) -> list[str]:
    return [_COLOURS[place % len(_COLOURS)] for place in range(count)]


def _ticks(highest: float) -> list[float]:
    """Return about five round figures from zero on."""
    rough = highest / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * place for place in range(int(highest / step + 1e-9) + 1)]


def _picture(title: str, height: int, drawn: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title, quote=True)}">{_STYLE}\n'
        f'<text class="title" x="12" y="20">{escape(title)}</text>\n' + "\n".join(drawn) + "\n</svg>\n"
    )
