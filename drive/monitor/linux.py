"""What Linux tells of processes, below `/proc`."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]
"""IP address and port. IPv4 is written as such, also where a socket of IPv6 carries it."""

ROLES = ("serve", "worker")
"""The commands whose processes are looked at."""

_PROC = Path("/proc")
_KIB = 1024
_ESTABLISHED = "01"
_GONE = (FileNotFoundError, ProcessLookupError)  # what /proc says of a process that has ended meanwhile
_WORD_BYTES = 4
_IPV4_DIGITS = 8

# Of the fields of /proc/PID/stat, those after the name, which may hold anything.
_PARENT, _TICKS_USED, _STARTED = 1, slice(11, 13), 19


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process has in memory."""

    resident_bytes: int
    """RSS: all pages, also those that it shares."""
    pss_bytes: int
    """The same, with each shared page divided among those who share it."""
    private_bytes: int
    """What would be free if it ended."""


@dataclass(frozen=True, slots=True)
class Running:
    """A `drive serve` or `drive worker` on this machine."""

    pid: int
    role: str


def is_here() -> bool:
    """Whether this system has what this module reads."""
    return _PROC.joinpath("self/stat").exists()


def memory(pid: int) -> Memory:
    """Return what a process has in memory.

    Raises:
        PermissionError: the process is another user's.
        ProcessLookupError, FileNotFoundError: it has ended.

    """
    sizes: dict[str, int] = {}
    for line in _PROC.joinpath(str(pid), "smaps_rollup").read_text().splitlines()[1:]:
        name, size_kib, _ = line.split()
        sizes[name] = int(size_kib) * _KIB
    if not sizes:
        raise ProcessLookupError(f"process {pid} has ended, and nobody has asked yet how")
    return Memory(sizes["Rss:"], sizes["Pss:"], sizes["Private_Clean:"] + sizes["Private_Dirty:"])


def cpu_s(pid: int) -> float:
    """Return how much processor time a process has used. Raises as `memory`, but never for want of permission."""
    return sum(map(int, _stat(pid)[_TICKS_USED])) / os.sysconf("SC_CLK_TCK")


def started_at_s(pid: int) -> float:
    """Return when a process was started, in seconds since 1970. Raises as `cpu_s`."""
    lines = _PROC.joinpath("stat").read_text().splitlines()
    booted_at_s = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    return booted_at_s + int(_stat(pid)[_STARTED]) / os.sysconf("SC_CLK_TCK")


def drive_processes() -> list[Running]:
    """Return the `drive serve` and `drive worker` of this machine, without the children that they fork."""
    roles = {pid: role for pid in _pids() if (role := _role(pid)) is not None}
    return [Running(pid, role) for pid, role in sorted(roles.items()) if _parent(pid) not in roles]


def tcp_peers(pid: int) -> Counter[Address]:
    """Return to whom a process has TCP connections that are established, and how many. Raises as `memory`."""
    inodes = set(_socket_inodes(pid))
    rows = {}  # by inode: a table that changes while it is read can have a socket twice
    for table in ("tcp", "tcp6"):
        for line in _lines(_PROC.joinpath(str(pid), "net", table)):
            columns = line.split()
            if columns[3] == _ESTABLISHED and columns[9] in inodes:
                rows[columns[9]] = columns[2]
    return Counter(map(_address, rows.values()))


def _socket_inodes(pid: int) -> Iterator[str]:
    for descriptor in os.scandir(_PROC / str(pid) / "fd"):
        try:
            target = os.readlink(descriptor)  # noqa: PTH115 - there may be tens of thousands
        except _GONE:  # it was closed meanwhile
            continue
        if target.startswith("socket:["):
            yield target[len("socket:[") : -1]


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text().splitlines()[1:]
    except FileNotFoundError:  # a system without IPv6
        return []


def _address(text: str) -> Address:
    """Read `0100007F:1389`: words in the order of the machine's bytes, and a port."""
    host, _, port = text.partition(":")
    raw = bytes.fromhex(host)
    words = (raw[start : start + _WORD_BYTES] for start in range(0, len(raw), _WORD_BYTES))
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    if len(host) == _IPV4_DIGITS:
        return str(IPv4Address(packed)), int(port, 16)
    return str(IPv6Address(packed).ipv4_mapped or IPv6Address(packed)), int(port, 16)


def _pids() -> list[int]:
    return [int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdecimal()]


def _role(pid: int) -> str | None:
    try:
        return role_of(_PROC.joinpath(str(pid), "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1])
    except (*_GONE, PermissionError):
        return None


def role_of(command: list[str]) -> str | None:
    """Return what a command line runs: `drive serve`, `python -X dev /usr/bin/drive serve`, `python -m drive serve`."""
    at = next((index for index, part in enumerate(command) if _name(part) == "drive"), None)
    if at is None or at + 1 >= len(command) or command[at + 1] not in ROLES:
        return None
    is_program = at == 0 or (_name(command[0]).startswith("python") and _are_options(command[1:at]))
    return command[at + 1] if is_program else None


def _are_options(arguments: list[str]) -> bool:
    """Tell whether these are the interpreter's own, so that what follows is what it runs."""
    pairs = zip(["", *arguments], arguments, strict=False)
    return all((one.startswith("-") and one != "-c") or before in {"-X", "-W"} for before, one in pairs)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _parent(pid: int) -> int | None:
    try:
        return int(_stat(pid)[_PARENT])
    except _GONE:
        return None


def _stat(pid: int) -> list[str]:
    return _PROC.joinpath(str(pid), "stat").read_text(errors="replace").rpartition(")")[2].split()
