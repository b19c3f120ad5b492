"""Where an embedded server's files are, and the account that must reach them."""

import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# macOS; Linux allows 107. The longest name that a server puts in the folder is PostgreSQL's.
_SOCKET_PATH_LIMIT_BYTES = 103
_LONGEST_SOCKET_NAME = ".s.PGSQL.5432"


class EmbeddedServerError(RuntimeError):
    """An embedded server is not installed, did not start or could not be cleaned up; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user and the group that a server runs as, where they are not this process's own."""

    uid: int
    gid: int

    def popen_options(self) -> dict[str, Any]:
        """Return the arguments of `subprocess.Popen` that start a process as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def unprivileged_account() -> Account | None:
    """Return `nobody` where this process is root, which PostgreSQL refuses to run as, otherwise None."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and there is no user `nobody` to run it as: add one, or use a normal user"
        ) from error
    return Account(entry.pw_uid, entry.pw_gid)


def can_reach(account: Account | None, *paths: Path) -> bool:
    """Tell whether the account may search each of these folders or run each of these files."""
    if account is None:
        return all(os.access(path, os.X_OK) for path in paths)
    # Asked as that account, the kernel answers for the parents, access lists and security modules too.
    script = 'for path; do test -x "$path" || exit 1; done'
    command = ["/bin/sh", "-c", script, "sh", *map(str, paths)]
    try:
        return subprocess.call(command, cwd="/", **account.popen_options()) == 0  # noqa: S603 - fixed command
    except PermissionError as error:
        raise EmbeddedServerError(
            "This process is root, yet may not start another as `nobody`, as PostgreSQL needs: use a normal user"
        ) from error


def new_folder_path(account: Account | None) -> Path:
    """Choose a path for a private folder that the account can reach and whose sockets have a legal length.

    It is under TMPDIR, unless that is too long or closed to the account.

    Raises:
        EmbeddedServerError: If no temporary folder will do.
    """
    name = f"drive-{secrets.token_hex(8)}"
    # Not tempfile.gettempdir(): it tries the folder with a file, which stays where this process is killed meanwhile.
    bases = [Path(os.environ.get("TMPDIR") or "/tmp"), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - the name is random, its folder private
    for base in bases:
        if _fits(base / name) and can_reach(account, base):
            return base / name
    raise EmbeddedServerError(f"No folder for a server's socket in {', '.join(map(str, bases))}: set TMPDIR to another")


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / _LONGEST_SOCKET_NAME)) <= _SOCKET_PATH_LIMIT_BYTES


def wheel_file(package: str, path: str) -> Path:
    """Find a file of an installed package without importing it, as importing may run more than we want.

    Raises:
        EmbeddedServerError: If the package is not installed, or has no such file.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(f"The package {package} is not installed: run pip install 'drive[embedded]'")
    file = Path(spec.origin).parent / path
    if not file.exists():
        raise EmbeddedServerError(
            f"There is no {file}, so {package} does not fit: run pip install -U 'drive[embedded]'"
        )
    return file


def copy_tree(source: Path, target: Path) -> None:
    """Copy a file or a folder, without what only compilers read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("pgxs"), copy_function=shutil.copy)
    else:
        shutil.copy(source, target)


def give(account: Account | None, folder: Path) -> None:
    """Make the account the owner of a folder and of all in it; None leaves the owner."""
    if account is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account.uid, account.gid)
