"""docs/benchmarks.md and its pictures, written from the last results of all subjects."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import bench
from bench import svg
from bench.goals import AIMS, Aim
from bench.measure import ROOT
from bench.results import FOLDER, Result, read
from bench.subjects import SUBJECTS, module
from bench.tables import Row, Table, limit, number, text

PAGE: Final = ROOT / "docs/benchmarks.md"
_PICTURES: Final = ROOT / "docs/benchmarks"
README: Final = ROOT / "README.md"
_HIGHLIGHTS: Final = ("idle", "scaling-connections", "upload")
"""The aims that the README tells of."""
_AROUND_HIGHLIGHTS: Final = ("<!-- by scripts/bench -->\n", "<!-- end -->")
_NOT_MEASURED: Final = "not measured"


def write(page: Path = PAGE, pictures: Path = _PICTURES, results: Path = FOLDER, readme: Path = README) -> None:
    """Write the page, its pictures and its part of the README; pictures that it no longer shows are removed."""
    measured = read(SUBJECTS, results)
    drawn = {f"{name}.svg": picture for result in measured.values() for name, picture in pictures_of(result).items()}
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.svg"):
        if old.name not in drawn:
            old.unlink()
    for name, picture in drawn.items():
        (pictures / name).write_text(picture, "utf-8")
    page.write_text(rendered(measured), "utf-8")
    readme.write_text(with_highlights(readme.read_text("utf-8"), measured), "utf-8")


def rendered(results: Mapping[str, Result]) -> str:
    """Return the page."""
    sections = ("\n".join(_section(subject, results.get(subject))) for subject in SUBJECTS)
    head = textwrap.dedent(bench.__doc__ or "").strip()
    summary = "\n".join(["## What it must reach", "", *_summary(results)])
    return "\n\n".join([f"# Benchmarks\n\n{head}", summary, "## Results", *sections]) + "\n"


def with_highlights(readme: str, results: Mapping[str, Result]) -> str:
    """Return the README with what came out of the aims that matter most."""
    begin, end = _AROUND_HIGHLIGHTS
    before, _, rest = readme.partition(begin)
    lines = [line.replace("](#", "](docs/benchmarks.md#") for line in _summary(results, _HIGHLIGHTS)]
    return "\n".join([f"{before}{begin.rstrip()}", *lines, f"{end}{rest.partition(end)[2]}"])


def pictures_of(result: Result) -> dict[str, str]:
    """Return a subject's pictures by name."""
    pictured = [svg.bars(table) for table in result.tables if table.is_pictured]
    plotted = [svg.lines(plot) for plot in result.plots]
    return {f"{result.subject}-{place}": one for place, one in enumerate([*pictured, *plotted], 1)}


def _summary(results: Mapping[str, Result], keys: Iterable[str] = AIMS) -> Iterator[str]:
    yield "| | goal | came out | middle half | | measured |"
    yield "|---|---|---|---|---|---|"
    for key in keys:
        aim = AIMS[key]
        result = results.get(aim.subject)
        rows = [] if result is None else [(table, row) for table in result.tables for row in _rows_of(table, key)]
        if result is None or not rows:
            yield _cells(aim.what, limit(aim.goal, ""), _NOT_MEASURED, "", "", f"`scripts/bench {aim.subject}`")
        else:
            yield from (_line(aim, table, row, result, is_alone=len(rows) == 1) for table, row in rows)


def _rows_of(table: Table, key: str) -> list[Row]:
    return [row for row in table.rows if row.goal is not None and row.goal.key == key]


def _line(aim: Aim, table: Table, row: Row, result: Result, *, is_alone: bool) -> str:
    what = aim.what if is_alone else f"{aim.what} ({table.title}: {row.name})"
    write_ = (lambda figure: f"{figure:.3f}") if aim.goal.of == "ratio" else number
    seen = row.judged
    figure, spread = ("", "") if seen is None else (write_(seen.median), f"{write_(seen.low)} to {write_(seen.high)}")
    verdict = "met" if row.is_met else "**missed**"
    return _cells(
        what,
        limit(aim.goal, ""),
        figure,
        spread,
        verdict,
        f"{result.date}, [{result.subject}](#{_anchor(result.subject)})",
    )


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _anchor(subject: str) -> str:
    return subject.replace(".", "")


def _section(subject: str, result: Result | None) -> Iterator[str]:
    heading, _, reading = (module(subject).__doc__ or "").strip().partition("\n")
    yield f"### {subject}"
    yield ""
    yield "\n\n".join(part for part in (heading, reading.strip()) if part)
    yield ""
    if result is None:
        yield f"Not measured yet: `scripts/bench {subject}`."
        return
    yield f"Measured on {result.date} with `{result.command}`, rounds: {result.rounds}, in {result.took_s:.0f} s, on:"
    yield f"{', '.join(f'{name} {value}' for name, value in result.machine.items())}."
    for table in result.tables:
        yield ""
        yield textwrap.indent(text(table), "    ", lambda _line: True)
    for name in pictures_of(result):
        yield ""
        yield f"![{name}](benchmarks/{name}.svg)"
    for plot in result.plots:
        yield ""
        yield f"{plot.title}: {plot.about}"
