"""What is measured over HTTP: that it works with what is installed, and leaves out the rest."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bench.__main__ import main
from bench.http import others
from bench.http.figures import speeds
from bench.http.kept import Keeper
from bench.support.load import WRK_MISSING
from bench.support.npm import NotInstalledError
from bench.support.transfer import Client, random_file
from bench.tables import Goal

MIB = 1024 * 1024


def test_transfers_are_measured_with_what_is_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is missing is left out with the reason. npm is not asked, as its registry may be slow."""

    def missing(_source: Path) -> Path:
        raise NotInstalledError("there is no npm")

    monkeypatch.setattr(others, "installed", missing)
    assert main(["http.transfers", "--quick", "--rounds", "1", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    tables = {table["title"]: table for table in result["tables"]}

    large = tables["Downloads of 4 MiB"]
    assert {"bare aiohttp, FileResponse, 1 client", "Drive, 32 clients"} < {row["name"] for row in large["rows"]}
    assert len(large["rows"]) + 2 * len(large["left_out"]) == 6, "nginx is there, or left out"
    uploads = tables["Uploads of 8 MiB"]
    assert "Drive, tus in one PATCH, 1 client" in {row["name"] for row in uploads["rows"]}
    assert "@tus/server, one PATCH: there is no npm" in uploads["left_out"]
    assert all(row["value"]["median"] > 0 for table in tables.values() for row in table["rows"])
    for title in ("Downloads of 64 KiB", "Direct uploads of 64 KiB"):
        assert tables[title]["left_out"][:1] == ([f"all: {WRK_MISSING}"] if WRK_MISSING else [])
        assert bool(tables[title]["rows"]) == (not WRK_MISSING)


@pytest.mark.parametrize(
    ("start", "message"),
    [(others.nginx, "apt-get install nginx"), (others.copyparty, "bench"), (others.tus_server, "apt-get install npm")],
)
async def test_what_is_not_installed_says_what_to_do(
    start: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(NotInstalledError, match=message):
        async with start(tmp_path):
            pass


def test_what_was_sent_must_be_there_with_its_size_and_hash(tmp_path: Path) -> None:
    server: Any = None
    keeper = Keeper(server, tmp_path)
    (tmp_path / "some").mkdir()
    sha256 = hashlib.sha256(random_file(tmp_path / "some/file.bin", 1000).read_bytes()).hexdigest()
    keeper.check(1000, None)
    keeper.check(1000, sha256)
    for size_bytes, wanted in ((999, None), (1000, "0" * 64)):
        with pytest.raises(RuntimeError, match="there are"):
            keeper.check(size_bytes, wanted)
    keeper.empty()
    with pytest.raises(RuntimeError):
        keeper.check(1000, None)


def test_ratios_are_to_the_base_with_as_many_clients() -> None:
    """Without a base there are none, nor goals that would be held against them."""
    seen = {("ours", 1): [3.0], ("base", 1): [2.0], ("ours", 32): [1.0], ("base", 32): [4.0]}
    goals = {("ours", 1): Goal(None, "ratio", 0.9)}
    rows = {row.name: row for row in speeds("A", "B.", "MiB/s", seen, "base", goals=goals).rows}
    assert {name: row.ratio and row.ratio.median for name, row in rows.items()} == {
        "ours, 1 client": 1.5, "base, 1 client": None, "ours, 32 clients": 0.25, "base, 32 clients": None,
    }  # fmt: skip
    assert rows["ours, 1 client"].is_met
    alone = {key: values for key, values in seen.items() if key[0] == "ours"}
    assert [(row.ratio, row.goal) for row in speeds("A", "B.", "MiB/s", alone, "base", goals=goals).rows] == [
        (None, None),
        (None, None),
    ]


@pytest.fixture
def echo() -> Iterator[str]:
    """Give the address of a server that answers with what it is sent."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_bodies_go_out_and_come_in_whole_or_are_dropped(echo: str, tmp_path: Path) -> None:
    file = random_file(tmp_path / "sent.bin", 3 * MIB + 5)
    content = file.read_bytes()
    client = Client(echo)
    try:
        assert client.ask("PUT", "/", content).body == content
        assert client.ask("PUT", "/", (file, MIB, 100)).body == content[MIB : MIB + 100]
        dropped = client.ask("PUT", "/", (file, 0, len(content)), keeps=False)
        assert (dropped.status, dropped.headers["content-length"]) == (201, str(len(content)))
        assert len(dropped.body) < len(content)
        assert client.ask("PUT", "/", b"the connection still works").body == b"the connection still works"
    finally:
        client.close()
