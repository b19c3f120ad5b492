import json
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import SUBJECTS, main


@pytest.fixture
def measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Give a function that measures one part once and returns its rows, as JSON has them."""

    def measure(part: str) -> list[dict[str, Any]]:
        file = tmp_path / "figures.json"
        assert main(["lazy", part, "--quick", "--rounds", "1", "--json", str(file)]) == 0
        printed, tables = capsys.readouterr().out, json.loads(file.read_text("utf-8"))["tables"]
        assert all(table["title"] in printed and table["about"] in printed for table in tables)
        return [row for table in tables for row in table["rows"]]

    return measure


@pytest.mark.parametrize("part", SUBJECTS["lazy"])
def test_every_part_runs_without_the_frameworks_that_it_compares_with(part: str, measured: Any) -> None:
    rows = measured(part)
    assert {row["value"]["rounds"] for row in rows} == {1}
    assert {row["name"] for row in rows if row["goal"]} == GOALS.get(part, set())


GOALS = {
    "calls": {"lazy stub"},
    "stall": {"lazy stub", "lazy stub, 200 at once"},
    "memory": {"registered: both", "registered and given", "channels opened", "modules of gRPC imported"},
}


def test_idle_stubs_open_no_channel_and_import_no_grpc(measured: Any) -> None:
    medians = {row["name"]: row["value"]["median"] for row in measured("memory")}
    assert medians["channels opened"] == 0
    assert medians["modules of gRPC imported"] == 0


def test_how_far_a_replacement_reaches_is_tried_not_claimed(measured: Any) -> None:
    notes = {row["name"]: row["note"] for row in measured("overrides")}
    assert notes["override(container, accounts=fake)"] == "reaches what is held"
    assert notes["dependency-injector's override"] == "reaches nothing that is built"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lazy", "cals"], "unknown part 'cals'; there are calls, resolve, once, stall, overrides, memory, imports"),
        (["lazy", "--rounds", "0"], "must be at least 1"),
        ([], "SUBJECT"),
    ],
)
def test_what_it_does_not_understand_it_says(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
