"""The log that audits are measured with, and what is measured of them."""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.measure import in_child
from bench.support.logs import write_log
from bench.support.outside import ran

MIB = 1024 * 1024


def test_the_log_has_the_size_that_was_asked_for_and_is_json_line_by_line(tmp_path: Path) -> None:
    """The last line is cut; one in some ten thousand is about a channel."""
    file = write_log(tmp_path / "some.log", 32 * MIB)
    assert file.stat().st_size == 32 * MIB
    *whole, _ = file.read_text("utf-8").split("\n")
    records: list[dict[str, Any]] = [json.loads(line) for line in whole]
    assert [record["timestamp"] for record in records] == sorted(record["timestamp"] for record in records)
    events = Counter(record["event"] for record in records)
    assert set(events) > {"Listening", "Creating gRPC channel", "Reopening gRPC channel", "Closing gRPC channel"}
    of_channels = sum(count for event, count in events.items() if event.endswith("gRPC channel"))
    assert 1 / 20_000 < of_channels / len(records) < 1 / 5_000
    assert len({record["pid"] for record in records if "pid" in record}) == 6


def test_a_command_is_seen_from_outside() -> None:
    """How long it took, the memory of whichever of its processes had the most, how it ended and what it said."""
    child = "import sys; held = b'x' * (96 << 20); print(len(held)); sys.exit(3)"
    script = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {child!r}]))"
    seen = in_child(ran, [sys.executable, "-c", script], dict(os.environ))
    assert (seen["status"], seen["output"]) == (3, f"{96 << 20}\n")
    assert 96 < seen["peak_mib"] < 192
    assert seen["took_s"] > 0
    small = in_child(ran, ["true"], dict(os.environ))
    assert small["peak_mib"] < 32  # and not the memory of whoever measures


def test_audits_are_measured_beside_grep(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--quick", "--rounds", "1", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    speed, packed, memory = result["tables"]
    assert [row["name"] for row in speed["rows"]] == [
        f"{name}, {size_mib} MiB" for size_mib in (1, 2) for name in ("grep -c", "grep -cF", "drive audit")
    ]
    assert [row["ratio"] is None for row in speed["rows"]] == [True, False, False] * 2
    assert packed["rows"][0]["name"] == "gzip -dc | grep -c, 2 MiB by gzip"
    assert len(packed["rows"]) + 2 * len(packed["left_out"]) == 4
    assert {row["name"] for row in memory["rows"]} > {"1 MiB", "2 MiB", "2 MiB by gzip"}
    assert all(10 < row["value"]["median"] < 500 for row in memory["rows"])
