"""A report for people, and for programs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from drive.audit.auditing import Lines, Report
from drive.audit.inputs import STDIN
from drive.audit.model import Channel, Finding, Process
from drive.audit.units import moment, shown_moment, shown_time, size

_HEAD = ("PROCESS", "ENDPOINT", "CREATED", "WHEN", "AFTER START", "BY", "REOPENED", "CLOSED", "CONNECTIONS")


def lines_of(report: Report) -> Iterator[str]:
    """Yield the lines of the report: a table of what was opened, what is wrong, and the sum."""
    is_one = len({(process.group.family, process.group.label) for process in report.processes}) <= 1
    rows = [row for process in report.processes for row in _rows(process, report, _name(process, is_one=is_one))]
    if rows:
        yield from _table(_HEAD, rows)
        yield ""
    yield from (shown(finding, report.lines) for finding in report.findings)
    if report.findings:
        yield ""
    yield from _sums(report)


def shown(finding: Finding, lines: Lines) -> str:
    """Show a finding the way compilers do."""
    return _printable(f"{lines.name(finding.place)}: {finding.kind.value}: {finding.message}")


def document(report: Report) -> dict[str, Any]:
    """Return all of it, as docs/audit.md describes it."""
    return {
        "status": report.status,
        "findings": [finding_document(finding, report.lines) for finding in report.findings],
        "processes": [_process_document(process, report) for process in report.processes],
        "unreadable_lines": report.unreadable,
        "problems": report.problems,
        "files": [one.name for one in report.files],
        "read_bytes": report.read_bytes,
    }


def finding_document(finding: Finding, lines: Lines) -> dict[str, Any]:
    """Return a finding for programs."""
    place, group = finding.place, finding.group
    return {
        "kind": finding.kind.name.lower(),
        "file": None if place is None else lines.files[place.file].name,
        "line": None if place is None else lines.number(place),
        "at": moment(finding.at_us),
        "endpoint": finding.endpoint,
        "pid": None if group is None else group.pid,
        "source": None if group is None else _source(group.family, group.label),
        "message": finding.message,
    }


def _process_document(process: Process, report: Report) -> dict[str, Any]:
    return {
        "kind": process.kind or None,
        "pid": process.group.pid,
        "source": _source(process.group.family, process.group.label),
        "started_at": moment(process.started_at_us),
        "ready_at": moment(process.ready_at_us),
        "stopped_at": moment(process.stopped_at_us),
        "last_line_at": moment(process.last_at_us),
        "has_ended": process.has_ended,
        "channels": [_channel_document(channel, process, report) for channel in process.channels.values()],
    }


def _channel_document(channel: Channel, process: Process, report: Report) -> dict[str, Any]:
    after_us = _after_start_us(channel, process)
    return {
        "endpoint": channel.endpoint,
        "settings": report.rules.endpoints.get(channel.endpoint, []),
        "created": channel.created,
        "created_at": moment(channel.created_at_us),
        "after_start_s": None if after_us is None else after_us / 1_000_000,
        "service": channel.service or None,
        "reopened": channel.reopened,
        "closed": dict(channel.closed),
        "open": len(channel.open),
        "max_connections": channel.max_connections if channel.allowed else None,
    }


def _rows(process: Process, report: Report, name: str) -> Iterator[tuple[str, ...]]:
    if not process.channels:
        yield (name, "none", *("-" for _ in _HEAD[2:]))
    for channel in process.channels.values():
        settings = report.rules.endpoints.get(channel.endpoint, ["?"])
        yield (
            name,
            f"{settings[0]} {channel.endpoint}",
            str(channel.created),
            shown_moment(channel.created_at_us),
            shown_time(_after_start_us(channel, process)),
            channel.service or "-",
            str(channel.reopened),
            _closed(channel),
            _connections(channel),
        )


def _name(process: Process, *, is_one: bool) -> str:
    group = process.group
    return process.name if is_one else f"{process.name} ({_source(group.family, group.label)})"


def _source(family: str, label: str) -> str:
    return f"{'stdin' if family == STDIN else family} {label}".strip()


def _after_start_us(channel: Channel, process: Process) -> int | None:
    if channel.created_at_us is None or process.started_at_us is None:
        return None
    return channel.created_at_us - process.started_at_us


def _closed(channel: Channel) -> str:
    parts = [f"{count} {reason}" for reason, count in channel.closed.items()]
    return ", ".join([*parts, *(["open"] if channel.open else [])]) or "-"


def _connections(channel: Channel) -> str:
    if not channel.allowed:
        return "-"
    return str(channel.max_connections or "any number")


def _sums(report: Report) -> Iterator[str]:
    if report.unreadable:
        assert report.first_unreadable is not None  # noqa: S101 - it came with the first of them
        where = report.lines.name(report.first_unreadable)
        yield f"{_counted(report.unreadable, 'line')} cut or changed, and left out; the first is {where}"
    if not report.processes:
        yield f"No line of `drive serve` or `drive worker` in {size(report.read_bytes)}."
        return
    channels = sum(channel.created for process in report.processes for channel in process.channels.values())
    kinds = Counter(finding.kind.value for finding in report.findings)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    yield (
        f"{_counted(len(report.processes), 'process', 'processes')}, {_counted(channels, 'channel')} created, "
        f"{_counted(len(report.findings), 'finding')}{f': {found}' if found else ''}. {size(report.read_bytes)} read."
    )


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    lines = [head, *([_printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _printable(text: str) -> str:
    """What stands in a log may have been written by anybody: nothing of it steers the terminal."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)
