"""Drive measured from outside: that what is counted is there."""

import json
import mmap
import os
import socket
from typing import Any

import pytest

from bench.__main__ import main
from bench.support.npm import NotInstalledError, installed
from bench.support.proc import connections_at, memory


def test_connections_are_counted_at_the_servers_port_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert connections_at(port) == 0
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        held = [server.accept()[0] for _ in clients]
        assert connections_at(port) == 3
        for one in (*clients, *held):
            one.close()
    assert connections_at(port) == 0


def test_memory_that_is_written_is_seen_in_all_three_figures() -> None:
    size_bytes = 32 * 1024 * 1024
    before = memory(os.getpid())
    with mmap.mmap(
        -1, size_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    ) as written:  # new, which a bytearray may not be
        written.write(b"w" * size_bytes)
        after = memory(os.getpid())
    for name in ("rss_mib", "pss_mib", "private_dirty_mib"):
        assert getattr(after, name) - getattr(before, name) > 24, name
    assert after.private_dirty_mib <= after.pss_mib <= after.rss_mib


def test_what_npm_cannot_install_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    (tmp_path / "server").mkdir()
    with pytest.raises(NotInstalledError, match="apt-get install npm"):
        installed(tmp_path / "server")


def test_memory_and_connections_of_drive_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is held while nothing is used; the original's profile holds a channel for each client."""
    assert main(["memory", "--quick", "--rounds", "1", "--seconds", "0.2", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    medians = {
        table["title"]: {row["name"]: row["value"]["median"] for row in table["rows"]} for table in result["tables"]
    }
    held = medians["Connections held"]
    assert {name: held[f"idle: {name}"] for name in ("PostgreSQL", "Redis", "pass", "ring")} == {
        "PostgreSQL": 0, "Redis": 0, "pass": 0, "ring": 0,
    }  # fmt: skip
    assert (held["original profile, at start: pass"], held["original profile, at start: ring"]) == (9, 1)
    assert (held["used, at most: pass"], held["used, at most: ring"]) == (1, 1)
    assert all(value > 0 for value in medians["Memory as parts are used (resident)"].values())


def test_the_time_of_a_start_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--quick", "--rounds", "1", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in result["tables"][0]["rows"]] == [
        "bare aiohttp application",
        "drive serve",
        "drive serve, original profile",
    ]
