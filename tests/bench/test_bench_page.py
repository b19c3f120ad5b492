import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import page, svg
from bench.goals import AIMS, goal
from bench.measure import ROOT, summary
from bench.results import Result, read, write
from bench.subjects import SUBJECTS
from bench.tables import Goal, Plot, Row, Table

NOT_THERE = pytest.mark.xfail(reason="no subject measures it yet", strict=True)


def result(subject: str, *tables: Table, plots: tuple[Plot, ...] = ()) -> Result:
    return Result(
        subject=subject,
        date="2026-01-01",
        command=f"scripts/bench {subject}",
        rounds=3,
        took_s=12.0,
        machine={"cores": "2"},
        tables=tables,
        plots=plots,
    )


def table_of(*rows: Row, is_pictured: bool = False) -> Table:
    return Table("Some figures", "About them.", rows, is_pictured=is_pictured)


def summary_lines(results: Mapping[str, Result]) -> list[str]:
    """Return the lines of the table of what must be reached, without its head."""
    _, _, section = page.rendered(results).partition("## What it must reach")
    return [line for line in section.partition("## Results")[0].splitlines() if line.startswith("| ")][1:]


class TestGoals:
    @pytest.mark.parametrize(
        "key", [pytest.param(key, marks=NOT_THERE if aim.subject not in SUBJECTS else ()) for key, aim in AIMS.items()]
    )
    def test_each_has_a_limit_and_a_subject_that_gives_it_to_a_row(self, key: str) -> None:
        aim = AIMS[key]
        assert aim.goal.key == key
        assert (aim.goal.at_most, aim.goal.at_least) != (None, None)
        assert aim.subject in SUBJECTS
        source = ROOT.joinpath("bench", *aim.subject.split(".")).with_suffix(".py").read_text("utf-8")
        assert f'goal("{key}")' in source

    def test_the_page_begins_with_a_line_for_each_measured_or_not(self) -> None:
        lines = summary_lines({})
        assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == [aim.what for aim in AIMS.values()]
        assert all("not measured" in line and "`scripts/bench " in line for line in lines)

    def test_a_line_has_the_figure_its_spread_and_the_verdict(self) -> None:
        row = Row("Drive, idle", summary([44.0]), "MiB", summary([1.1, 1.2, 1.3]), goal("idle"))
        (line, *_) = summary_lines({"memory": result("memory", table_of(row))})
        assert line.endswith("| at most 1.15 | 1.200 | 1.150 to 1.250 | **missed** | 2026-01-01, [memory](#memory) |")

    def test_where_several_rows_are_about_one_each_has_its_line_and_its_name(self) -> None:
        rows = [Row(name, summary([3.0]), "ms", goal=goal("stall-grpc")) for name in ("alone", "200 at once")]
        lines = [
            line for line in summary_lines({"lazy.stall": result("lazy.stall", table_of(*rows))}) if "| met |" in line
        ]
        assert [("(Some figures: alone)" in line, "(Some figures: 200 at once)" in line) for line in lines] == [
            (True, False),
            (False, True),
        ]
        assert all("[lazy.stall](#lazystall)" in line for line in lines)

    def test_results_are_judged_by_the_goal_of_today(self, tmp_path: Path) -> None:
        row = Row("Drive, idle", summary([44.0]), "MiB", summary([1.2]), Goal(9.0, "ratio", key="idle"))
        write(result("memory", table_of(row)), tmp_path)
        (kept,) = read(["memory"], tmp_path)["memory"].tables
        assert kept.rows[0].goal == goal("idle")
        assert kept.rows[0].is_met is False


class TestResults:
    def test_what_is_read_is_what_was_written(self, tmp_path: Path) -> None:
        rows = [
            Row("a", summary([1.0]), "ms"),
            Row("b", summary([1.0, 2.0]), "ms", summary([2.0, 3.0]), Goal(9.0), "!"),
        ]
        table = Table("Some", "About.", rows, ["c: it is not installed"], is_pictured=True)
        plot = Plot("Line", "About.", "s", "MiB", {"serve": [[0.0, 1.0], [1.0, 2.0]]})  # type: ignore[list-item] # as JSON has pairs
        written = result("memory", table, plots=(plot,))
        write(written, tmp_path)
        kept = read(["memory"], tmp_path)["memory"]
        assert (kept.tables, kept.plots) == ([table], [plot])
        assert kept.plain() == read(["memory"], tmp_path)["memory"].plain()

    def test_writing_one_leaves_the_others(self, tmp_path: Path) -> None:
        for subject in ("memory", "start", "memory"):
            write(result(subject), tmp_path)
        assert list(read(SUBJECTS, tmp_path)) == ["memory", "start"]


class TestPage:
    def test_the_committed_page_is_what_the_results_and_the_subjects_say(self) -> None:
        """Where this fails, run `scripts/bench --page`."""
        assert page.PAGE.read_text("utf-8") == page.rendered(read(SUBJECTS))

    def test_the_readme_has_what_matters_most_with_a_picture_that_is_there(self) -> None:
        readme = page.README.read_text("utf-8")
        assert readme == page.with_highlights(readme, read(SUBJECTS))
        assert readme.count("](docs/benchmarks.md#") == 3
        (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
        assert ROOT.joinpath(picture).is_file()

    def test_each_subject_has_a_section_with_how_to_read_it(self) -> None:
        text = page.rendered({})
        assert [line for line in text.splitlines() if line.startswith("### ")] == [f"### {name}" for name in SUBJECTS]

    def test_pictures_are_written_and_those_that_are_no_longer_shown_removed(self, tmp_path: Path) -> None:
        pictures = tmp_path / "pictures"
        pictures.mkdir()
        (pictures / "memory-9.svg").touch()
        table = table_of(Row("Drive", summary([1.0]), "MiB"), is_pictured=True)
        plot = Plot("Line", "What it shows.", "s", "MiB", {"serve": [(0.0, 1.0), (1.0, 2.0)]})
        write(result("memory", table, plots=(plot,)), tmp_path / "results")
        readme = tmp_path / "README.md"
        readme.write_text(f"Before.\n{''.join(page._AROUND_HIGHLIGHTS)}\nAfter.\n")
        page.write(tmp_path / "page.md", pictures, tmp_path / "results", readme)
        assert re.fullmatch(r"Before\.\n.*\| not measured \|.*\nAfter\.\n", readme.read_text("utf-8"), re.DOTALL)
        assert sorted(file.name for file in pictures.iterdir()) == ["memory-1.svg", "memory-2.svg"]
        text = (tmp_path / "page.md").read_text("utf-8")
        assert "![memory-2](benchmarks/memory-2.svg)" in text
        assert "Line: What it shows." in text


figures = st.floats(0.0, 1e9, allow_subnormal=False)


class TestPictures:
    @given(st.lists(st.tuples(st.text("abc<&\"'", min_size=1), figures), min_size=1))
    def test_every_row_has_a_bar_whatever_its_name_and_figure(self, rows: list[tuple[str, float]]) -> None:
        picture = svg.bars(table_of(*(Row(name, summary([value]), "<b>") for name, value in rows)))
        assert len(ET.fromstring(picture).findall("{*}rect")) == len(rows)

    @given(st.dictionaries(st.text("abc<&", min_size=1), st.lists(st.tuples(figures, figures)), min_size=0, max_size=9))
    def test_every_line_is_drawn_within_the_picture(self, lines: dict[str, list[tuple[float, float]]]) -> None:
        root = ET.fromstring(svg.lines(Plot("Line", "", "s", "MiB", lines)))
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        drawn = root.findall("{*}polyline")
        assert len(drawn) == len(lines)
        for line in drawn:
            for x, y in (point.split(",") for point in line.attrib["points"].split()):
                assert 0 <= float(x) <= width
                assert 0 <= float(y) <= height
