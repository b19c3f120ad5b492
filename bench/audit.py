"""
`drive audit` over logs of any size, beside `grep -c`, which only counts the lines that it finds.

Both read the same file, which is in the system's cache, and are timed from outside, from the start of the process to its end: that of `drive audit` with Python's start and its imports, which is most of it where the log is small. In a round they take turns, each as often first. The ratio is that of bytes per second: 0.5 is half as fast. `grep -cF` is told that the pattern has no signs of its own, which GNU's grep finds out by itself.

The log is what a proxy and the `drive serve` behind it write as JSON, lines of 270 bytes on average, six processes among each other: eight in ten lines are about requests, the others are events of [logs.md](logs.md): packets and entries that were dropped, deleted files, failed jobs, one in a hundred with a traceback. One in ten thousand is about a channel: each process starts and creates two, and from then on, once a minute, one of them closes a channel as idle or opens it again. All is as it should be, so that `drive audit` finds nothing. The 10 000 lines of a minute come again in the next one with other times; they are more than gzip and zstd look back.

`LC_ALL` is C.UTF-8: users have a locale of UTF-8, and so have most images of containers. For letters of ASCII alone GNU's grep is as fast in it as in C.

**Packed** is the log of 1 GiB, by gzip and by zstd; what it is compared with is the program that unpacks, piped into `grep -c`. Bytes are those of the text.

**Peak memory** is `ru_maxrss`, the most that `drive audit` ever had, or the program that unpacks for it. It does not grow with the log: what is found is put aside on disk.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from bench.goals import goal
from bench.measure import Effort, in_child, interleaved, paired_ratios, summary
from bench.support.logs import write_log
from bench.support.outside import ran
from bench.support.services import environment_of
from bench.tables import Row, Table

_MIB: Final = 1024 * 1024
_SIZES_MIB: Final = (1, 32, 1024, 4096)
_QUICK_SIZES_MIB: Final = (1, 2)
_GOAL_MIB: Final = 1024
"""Of the log that the goal is about, and that is packed."""
_AUDIT: Final = "drive audit"
_GREP: Final = "grep -c"
_FIXED: Final = "grep -cF"
_NEEDLE: Final = "gRPC channel"
_PACKERS: Final = {"gzip": ".gz", "zstd": ".zst"}


@dataclass(frozen=True, slots=True)
class _Log:
    """A log, what reads it, the first of which the others are compared with, and what was seen in each round."""

    name: str
    size_mib: int
    commands: Mapping[str, Sequence[str]]
    speeds: list[Mapping[str, float]] = field(default_factory=list)
    peaks_mib: list[float] = field(default_factory=list)


def tables(effort: Effort) -> list[Table]:
    """Read each log with each program in each round, taking turns."""
    sizes_mib = _QUICK_SIZES_MIB if effort.is_quick else _SIZES_MIB
    with tempfile.TemporaryDirectory() as folder:
        plain, too_large = _plain(Path(folder), sizes_mib)
        packed, missing = _packed(Path(folder), _GOAL_MIB if _GOAL_MIB in sizes_mib else sizes_mib[-1])
        for log in (*plain, *packed):
            _measure(log, 1)  # has it in the system's cache, and compiles what is not compiled
            log.speeds.clear()
            log.peaks_mib.clear()
        for _ in range(effort.rounds):
            for log in (*plain, *packed):
                _measure(log, 1 if effort.is_quick else len(log.commands))
    return [
        _speeds("Speed", f"The ratio is to: {_GREP} 'gRPC channel'.", plain, too_large),
        _speeds(
            "Speed over packed logs", "The ratio is to the program that unpacks, piped into grep -c.", packed, missing
        ),
        _memory([*plain, *packed]),
    ]


def _plain(folder: Path, sizes_mib: Sequence[int]) -> tuple[list[_Log], list[str]]:
    """Write the logs that this machine can have in its memory, and on its disk."""
    logs, left_out = [], []
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for size_mib in sizes_mib:
        name, file = f"{size_mib} MiB", folder / f"{size_mib}.log"
        if memory_bytes < 2 * size_mib * _MIB or shutil.disk_usage(folder).free < 2 * size_mib * _MIB:
            left_out.append(f"{name}: memory, and the disk of temporary files, must have twice as much")
            continue
        write_log(file, size_mib * _MIB)
        greps = {_GREP: ("grep", "-c", _NEEDLE, str(file)), _FIXED: ("grep", "-cF", _NEEDLE, str(file))}
        logs.append(_Log(name, size_mib, greps | {_AUDIT: _audit(file)}))
    return logs, left_out


def _packed(folder: Path, size_mib: int) -> tuple[list[_Log], list[str]]:
    """Pack the log of one size, if it is there, with each packer that is."""
    logs, left_out = [], []
    source = folder / f"{size_mib}.log"
    for packer, suffix in _PACKERS.items():
        name, file = f"{size_mib} MiB by {packer}", folder / f"{source.name}{suffix}"
        if shutil.which(packer) is None or not source.exists():
            left_out.append(f"{name}: {packer} is not installed, or the log is left out")
            continue
        subprocess.run((packer, "-qk", source), check=True)
        piped = ("sh", "-c", f"{packer} -dcq \"$0\" | grep -c '{_NEEDLE}'", str(file))
        logs.append(_Log(name, size_mib, {f"{packer} -dc | {_GREP}": piped, _AUDIT: _audit(file)}))
    return logs, left_out


def _audit(file: Path) -> Sequence[str]:
    return (sys.executable, "-m", "drive", "audit", str(file))


def _measure(log: _Log, turns: int) -> None:
    peaks_mib: list[float] = []
    sides = {name: partial(_speed, log, command, peaks_mib) for name, command in log.commands.items()}
    log.speeds.append(interleaved(sides, turns))
    log.peaks_mib.append(median(peaks_mib))


def _speed(log: _Log, command: Sequence[str], peaks_mib: list[float]) -> float:
    """Return the MiB of text that a command reads in a second.

    Raises:
        RuntimeError: it failed, or found no channel, or something wrong.

    """
    seen = in_child(ran, list(command), environment_of({"LC_ALL": "C.UTF-8"}))
    is_audit = command == log.commands[_AUDIT]
    if seen["status"] != 0 or (is_audit and "created, 0 findings" not in seen["output"]):
        raise RuntimeError(f"{' '.join(command)} ended with {seen['status']}:\n{seen['output']}")
    if is_audit:
        peaks_mib.append(seen["peak_mib"])
    return log.size_mib / float(seen["took_s"])


def _speeds(title: str, about: str, logs: Sequence[_Log], left_out: Sequence[str]) -> Table:
    rows = [_row(log, name) for log in logs for name in log.commands]
    return Table(title, f"MiB of text per second. {about}", rows, left_out, is_pictured=bool(rows))


def _row(log: _Log, name: str) -> Row:
    base, *_ = log.commands
    values, of = ([one[side] for one in log.speeds] for side in (name, base))
    is_goal = (log.size_mib, base, name) == (_GOAL_MIB, _GREP, _AUDIT)
    return Row(
        f"{name}, {log.name}",
        summary(values),
        "MiB/s",
        None if name == base else summary(paired_ratios(values, of)),
        goal("audit") if is_goal else None,
    )


def _memory(logs: Sequence[_Log]) -> Table:
    least, *_ = logs
    rows = [
        Row(
            log.name,
            summary(log.peaks_mib),
            "MiB",
            None if log is least else summary(paired_ratios(log.peaks_mib, least.peaks_mib)),
        )
        for log in logs
    ]
    return Table(
        f"Peak memory of {_AUDIT}", f"In the same runs. The ratio is to: {least.name}.", rows, is_pictured=True
    )
