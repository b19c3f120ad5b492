"""Everything that clients do, for a while: that it is answered, counted, and told."""

import json

import pytest

from bench.__main__ import main
from bench.support.trend import thinned, trend


def test_a_soak_tells_of_memory_connections_answers_and_logs(capsys: pytest.CaptureFixture[str]) -> None:
    """Two seconds are enough for each scenario to begin; nothing of it is answered otherwise than it should be."""
    assert main(["soak", "--quick", "--rounds", "1", "--seconds", "2", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    memory, connections, answers = (
        {row["name"]: row["value"]["median"] for row in table["rows"]} for table in result["tables"]
    )
    assert {"serve, resident: slope", "worker, private dirty: its standard error"} < memory.keys()
    assert min(value for name, value in memory.items() if "in the middle" in name) > 10
    for role in ("serve", "worker"):
        caps = {"PostgreSQL": 5, "Redis": 10, "pass": 2, "ring": 2}
        assert all(connections[f"{role}: {server}"] <= cap for server, cap in caps.items()), connections
    assert min(connections[f"serve: {server}"] for server in ("PostgreSQL", "Redis", "pass", "ring")) > 0
    notes = [row["note"] for row in result["tables"][2]["rows"]]
    assert answers["not answered as they should be"] == 0, notes
    assert answers["warnings and errors in the logs"] == 0, notes
    assert (answers["drive audit: exit code"], answers["drive audit: findings"]) == (0, 0), notes
    assert min(answers[f"answered {kind}xx"] for kind in (2, 4)) > 0
    for plot in result["plots"]:
        assert all(1 < len(line) <= 300 for line in plot["lines"].values()), plot["title"]
    assert "serve, resident" in result["plots"][0]["lines"]


def test_a_line_that_rises_is_told_from_one_that_wavers() -> None:
    """The slope is as sure as its standard error says, also where each point is near the one before."""
    wavers = [(x / 100, 50 + (x // 20 % 2)) for x in range(1000)]
    rises = [(x, y + 3 * x) for x, y in wavers]
    flat, steep = trend(wavers), trend(rises)
    assert abs(flat.slope.median) < 2 * flat.standard_error
    assert steep.slope.median == pytest.approx(flat.slope.median + 3)
    assert steep.slope.low < steep.slope.median < steep.slope.high
    assert steep.slope.median > 2 * steep.standard_error
    assert steep.scatter == pytest.approx(0.5, rel=0.05)


def test_a_line_of_many_points_keeps_its_peaks() -> None:
    points = [(float(x), 7.0 if x == 333 else 1.0) for x in range(1000)]
    few = thinned(points, 300)
    assert len(few) == 250
    assert (333.0, 7.0) in few
    assert thinned(points[:200], 300) == points[:200]
