"""The connections of this process, from /proc."""

import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FDS: Final = "/proc/self/fd"
_HAS_PROC: Final = Path(_FDS).is_dir()


def open_sockets() -> dict[int, int]:
    """Return the file descriptors of the open sockets by their inode, which is never another socket's meanwhile."""
    found: dict[int, int] = {}
    # Before and after each test: what is twice as quick is worth more here than what reads well.
    for name in os.listdir(_FDS) if _HAS_PROC else ():  # noqa: PTH208
        fd = int(name)
        try:
            status = os.fstat(fd)
        except OSError:  # closed meanwhile, as the one that listed them
            continue
        if stat.S_ISSOCK(status.st_mode):
            found[status.st_ino] = fd
    return found


@dataclass(frozen=True, slots=True)
class Connection:
    """One end of a connection."""

    kind: str
    here: str
    there: str

    def __str__(self) -> str:
        return f"{self.kind} {self.here} - {self.there}"

    @classmethod
    def of(cls, fd: int) -> "Connection | None":
        """Describe a socket; None if it is closed by now, or is no connection to somebody else.

        What listens has no other end; a pair has no names, as an event loop makes one to wake itself.
        """
        try:
            with socket.socket(fileno=os.dup(fd)) as one:
                here, there = _name(one.getsockname()), _name(one.getpeername())
                family, is_stream = one.family, one.type == socket.SOCK_STREAM
        except OSError:
            return None
        if family == socket.AF_UNIX:
            return cls("unix", here or "client", there or "client") if here or there else None
        return cls("TCP", here, there) if is_stream and family in {socket.AF_INET, socket.AF_INET6} else None


def _name(address: object) -> str:
    if isinstance(address, tuple):
        return f"{address[0]}:{address[1]}"
    return address.decode(errors="replace") if isinstance(address, bytes) else str(address)
