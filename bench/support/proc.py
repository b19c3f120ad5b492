"""What Linux tells of a process and of connections."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ESTABLISHED: Final = "01"


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process has in memory."""

    rss_mib: float
    """All of it."""
    pss_mib: float
    """What it shares with other processes divided by their number."""
    private_dirty_mib: float
    """What it has written itself, and no other process has."""


def memory(pid: int) -> Memory:
    """Read a process's memory.

    Raises:
        RuntimeError: on other systems than Linux.

    """
    if sys.platform != "linux":
        raise RuntimeError("The memory of processes is read from /proc, which only Linux has.")
    fields = {
        name: float(rest.split()[0]) / 1024
        for name, _, rest in (
            line.partition(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()[1:]
        )
    }
    return Memory(fields["Rss"], fields["Pss"], fields["Private_Dirty"])


def connections_at(port: int) -> int:
    """Count the open TCP connections that a server on this machine holds at a port."""
    tables = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
    lines = (line.split() for table in tables if table.exists() for line in table.read_text("ascii").splitlines()[1:])
    # By their two ends: Linux can list one twice where others are opened and closed while it is read.
    open_ = {(local, remote) for _, local, remote, state, *_ in lines if state == _ESTABLISHED}
    return sum(int(local.rpartition(":")[2], 16) == port for local, _ in open_)
