import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import __main__ as command
from bench import page, results, subjects
from bench.__main__ import main
from bench.measure import Effort, summary
from bench.subjects import SUBJECTS, UnknownSubjectError, chosen
from bench.tables import Goal, Plot, Row, Table


class Measuring:
    """Stands in for a subject's module, and remembers how much it was told to do."""

    __doc__ = "What it is.\n\nHow to read it."

    def __init__(self) -> None:
        self.efforts: list[Effort] = []

    def tables(self, effort: Effort) -> Sequence[Table | Plot]:
        self.efforts.append(effort)
        rows = [Row("ours", summary([4.0]), "ms", goal=Goal(3.0))]
        return [Table("Some figures", "About them.", rows), Plot("Some line", "About it.", "s", "MiB", {})]


class Failing:
    """Stands in for a subject that cannot be measured."""

    def tables(self, _effort: Effort) -> Sequence[Table | Plot]:
        raise RuntimeError("PostgreSQL did not start")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Let two subjects be stood in for, and what is kept be kept elsewhere."""
    seen = SimpleNamespace(folder=tmp_path, measuring=Measuring(), pages=0)
    modules = {"memory": seen.measuring, "start": Failing()}
    monkeypatch.setattr(command, "module", modules.__getitem__)
    write = results.write
    monkeypatch.setattr(results, "write", lambda result: write(result, tmp_path))

    def count() -> None:
        seen.pages += 1

    monkeypatch.setattr(page, "write", count)
    return seen


def test_a_run_prints_and_keeps_its_tables_and_writes_the_page(kept: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory", "--rounds", "3", "--seconds", "5"]) == 0
    assert "at most 3.00 ms: missed" in capsys.readouterr().out
    assert kept.measuring.efforts == [Effort(3, is_quick=False, seconds=5.0)]
    assert kept.pages == 1
    (result,) = results.read(["memory", "start"], kept.folder).values()
    assert (result.subject, result.rounds, result.command) == (
        "memory",
        3,
        "scripts/bench memory --rounds 3 --seconds 5",
    )
    assert [table.rows[0].is_met for table in result.tables] == [False]
    assert [plot.title for plot in result.plots] == ["Some line"]
    assert "cores" in result.machine


def test_a_quick_run_keeps_nothing_and_judges_nothing(kept: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory", "--quick"]) == 0
    assert "missed" not in capsys.readouterr().out
    assert (list(kept.folder.iterdir()), kept.pages) == ([], 0)


def test_a_subject_that_fails_stops_no_other_and_fails_the_run(kept: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "memory"]) == 1
    printed = capsys.readouterr()
    assert "start could not be measured" in printed.err
    assert "PostgreSQL did not start" in printed.err
    assert "Some figures" in printed.out
    assert [file.name for file in kept.folder.iterdir()] == ["memory.json"]


@pytest.mark.usefixtures("kept")
def test_for_machines_stdout_has_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory", "--json"]) == 0
    (plain,) = json.loads(capsys.readouterr().out)
    assert plain["tables"][0]["rows"][0]["value"] == {"median": 4.0, "low": 4.0, "high": 4.0, "rounds": 1}


@pytest.mark.parametrize(
    ("names", "subjects_"),
    [
        (["start", "memory"], ["memory", "start"]),
        (["lazy.calls", "lazy"], [name for name in SUBJECTS if name.startswith("lazy.")]),
        ([], [*SUBJECTS]),
    ],
)
def test_names_stand_for_subjects_or_all_their_parts(names: list[str], subjects_: list[str]) -> None:
    assert chosen(names) == subjects_


@pytest.mark.parametrize("name", ["lazy.cals", "mem", "lazy."])
def test_a_name_that_stands_for_nothing_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(UnknownSubjectError, match=f"there is no '{name}'; there are memory, start, .*lazy"):
        chosen([name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lazy.cals"], "there is no 'lazy.cals'"),
        (["lazy", "--rounds", "0"], "must be at least 1"),
        (["lazy", "--seconds", "0"], "must be above 0"),
    ],
)
def test_what_it_does_not_understand_it_says(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_is_a_module_that_measures_and_says_how_to_read_it(subject: str) -> None:
    module = subjects.module(subject)
    heading, _, reading = (module.__doc__ or "").strip().partition("\n\n")
    assert heading.endswith(".")
    assert reading
    assert callable(module.tables)
