"""The last results of each subject: JSON files, so that measuring one loses nothing of the others."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.goals import AIMS
from bench.measure import ROOT, Summary
from bench.tables import Goal, Plot, Row, Table

FOLDER: Final = ROOT / "docs/benchmarks/results"


@dataclass(frozen=True, slots=True)
class Result:
    """What measuring a subject came to, and how, when and on what it was measured."""

    subject: str
    date: str
    command: str
    rounds: int
    took_s: float
    machine: Mapping[str, str]
    tables: Sequence[Table]
    plots: Sequence[Plot]

    def plain(self) -> dict[str, Any]:
        """Return it as what JSON knows."""
        return asdict(self)

    @classmethod
    def parsed(cls, plain: dict[str, Any]) -> "Result":
        """Return what `plain` was made of."""
        tables = [_table(one) for one in plain["tables"]]
        plots = [Plot(**one) for one in plain["plots"]]
        return cls(**{**plain, "tables": tables, "plots": plots})


def write(result: Result, folder: Path = FOLDER) -> None:
    """Take a subject's new results in the place of its last ones."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result.subject}.json").write_text(json.dumps(result.plain(), indent=1) + "\n", "utf-8")


def read(subjects: Sequence[str], folder: Path = FOLDER) -> dict[str, Result]:
    """Return the last results of those subjects that were measured, in the same order."""
    files = {subject: folder / f"{subject}.json" for subject in subjects}
    return {name: Result.parsed(json.loads(file.read_text("utf-8"))) for name, file in files.items() if file.exists()}


def _table(plain: dict[str, Any]) -> Table:
    return Table(**{**plain, "rows": [_row(one) for one in plain["rows"]]})


def _row(plain: dict[str, Any]) -> Row:
    ratio = None if plain["ratio"] is None else Summary(**plain["ratio"])
    goal = None if plain["goal"] is None else _goal(plain["goal"])
    return Row(**{**plain, "value": Summary(**plain["value"]), "ratio": ratio, "goal": goal})


def _goal(plain: dict[str, Any]) -> Goal:
    """Return a goal as it is set today, where it is one of the project's own."""
    goal = Goal(**plain)
    return AIMS[goal.key].goal if goal.key in AIMS else goal
