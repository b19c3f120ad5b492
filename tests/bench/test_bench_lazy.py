import json
from typing import Any

import pytest

from bench.__main__ import main
from bench.subjects import chosen

PARTS = chosen(["lazy"])


@pytest.fixture
def measured(capsys: pytest.CaptureFixture[str]) -> Any:
    """Give a function that measures one part once and returns its rows, as JSON has them."""

    def measure(part: str) -> list[dict[str, Any]]:
        assert main([part, "--quick", "--rounds", "1", "--json"]) == 0
        printed = capsys.readouterr()
        (result,) = json.loads(printed.out)
        assert all(table["title"] in printed.err for table in result["tables"])
        return [row for table in result["tables"] for row in table["rows"]]

    return measure


@pytest.mark.parametrize("part", PARTS)
def test_every_part_runs_without_the_frameworks_that_it_compares_with(part: str, measured: Any) -> None:
    """What a quick run measures is worth nothing, and held against no goal."""
    rows = measured(part)
    assert {row["value"]["rounds"] for row in rows} == {1}
    assert [row["name"] for row in rows if row["goal"]] == []


def test_idle_stubs_open_no_channel_and_import_no_grpc(measured: Any) -> None:
    medians = {row["name"]: row["value"]["median"] for row in measured("lazy.memory")}
    assert medians["channels opened"] == 0
    assert medians["modules of gRPC imported"] == 0


def test_how_far_a_replacement_reaches_is_tried_not_claimed(measured: Any) -> None:
    notes = {row["name"]: row["note"] for row in measured("lazy.overrides")}
    assert notes["override(container, accounts=fake)"] == "reaches what is held"
    assert notes["dependency-injector's override"] == "reaches nothing that is built"
