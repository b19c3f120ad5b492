"""What a PostgreSQL that was killed leaves to the system, which its restart would wait for or trip over."""

import ctypes
import time
from pathlib import Path

_IPC_RMID = 0
_DETACH_TIMEOUT_S = 5.0
_POLL_INTERVAL_S = 0.002


def child_pids(pid: int) -> list[int]:
    """Return the children of a process with one thread; none where the system does not tell."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in children.read_text().split()] if children.exists() else []


def remove_shared_memory(segment: int) -> None:
    """Remove a System V segment, and wait until the processes that were killed have let go of it.

    Until then a new server refuses the data as in use.
    """
    ctypes.CDLL(None).shmctl(segment, _IPC_RMID, None)
    deadline = time.monotonic() + _DETACH_TIMEOUT_S
    while _is_attached(segment) and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL_S)


def _is_attached(segment: int) -> bool:
    table = Path("/proc/sysvipc/shm")
    return table.exists() and any(line.split()[1] == str(segment) for line in table.read_text().splitlines())
