"""Lines as Drive logs them, in the formats that they come in, and the audit of files that have them."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from drive.audit.auditing import Report, make_report
from drive.audit.inputs import find_inputs
from drive.audit.progress import Progress
from drive.audit.reader import Intake, read_all
from drive.audit.rules import rules_of
from drive.audit.store import Store
from drive.settings import Settings

PASS, RING = "http://127.0.0.1:5001", "http://127.0.0.1:5002"
BEGIN = datetime(2026, 11, 24, 3, 58, 5, 57740, tzinfo=UTC)

Record: TypeAlias = dict[str, Any]
Format: TypeAlias = Callable[[Record], str]


def moment(after_s: float) -> str:
    return (BEGIN + timedelta(seconds=after_s)).isoformat().replace("+00:00", "Z")


def line(event: str, pid: int, after_s: float | None = 0.0, **fields: Any) -> Record:
    at = {} if after_s is None else {"timestamp": moment(after_s)}
    return {**fields, "pid": pid, "event": event, "level": "info", **at}


def listening(pid: int, after_s: float, *, started_s: float | None = None) -> Record:
    began = {} if started_s is None else {"started_at": moment(started_s)}
    return line("Listening", pid, after_s, url="http://127.0.0.1:6000", **began)


def working(pid: int, after_s: float, *, started_s: float | None = None) -> Record:
    return line("Working", pid, after_s, **({} if started_s is None else {"started_at": moment(started_s)}))


def creating(
    pid: int, after_s: float | None, endpoint: str = PASS, *, max_connections: int = 2, is_asked: bool = True
) -> Record:
    asked = {"request_id": "6d50edafaa3749b8b0b456591ae29277"} if is_asked else {}
    fields = {"endpoint": endpoint, "service": "AuthService", "max_connections": max_connections}
    return line("Creating gRPC channel", pid, after_s, **fields, **asked)


def reopening(pid: int, after_s: float, endpoint: str = PASS) -> Record:
    return creating(pid, after_s, endpoint) | {"event": "Reopening gRPC channel"}


def closing(pid: int, after_s: float, endpoint: str = PASS, reason: str = "idle") -> Record:
    return line("Closing gRPC channel", pid, after_s, endpoint=endpoint, reason=reason)


def stopping(pid: int, after_s: float) -> Record:
    return line("Stopping", pid, after_s)


def as_json(record: Record) -> str:
    return json.dumps(record, separators=(",", ":"))


def as_spaced_json(record: Record) -> str:
    return json.dumps(dict(sorted(record.items())))


def as_console(record: Record) -> str:
    return _console(record, colors=False)


def as_coloured_console(record: Record) -> str:
    return _console(record, colors=True)


def _console(record: Record, *, colors: bool) -> str:
    text = structlog.dev.ConsoleRenderer(colors=colors)(None, "info", dict(record))
    assert isinstance(text, str)
    return text


def as_logfmt(record: Record) -> str:
    text = structlog.processors.LogfmtRenderer()(None, "info", dict(record))
    assert isinstance(text, str)
    return text


def as_demo(record: Record) -> str:
    """As `drive demo` shows it, without a timestamp."""
    fields = " ".join(f"{key}={value}" for key, value in record.items() if key not in {"event", "level", "timestamp"})
    return f" serve │ {record['event']}  {fields}"


def as_smoke(record: Record) -> str:
    """As `drive demo --smoke` shows it."""
    return f"  event={record['event']} " + " ".join(f"{key}={value}" for key, value in record.items() if key != "event")


FORMATS: Mapping[str, Format] = {
    "JSON": as_json,
    "spaced JSON": as_spaced_json,
    "console": as_console,
    "coloured console": as_coloured_console,
    "logfmt": as_logfmt,
}
"""Those that have all of a line."""

PREFIXES: Mapping[str, Callable[[str], str]] = {
    "none": lambda text: text,
    "docker compose": lambda text: f"serve-1  | {text}",
    "coloured docker compose": lambda text: f"\x1b[36mserve-1  |\x1b[0m {text}",
    "docker json-file": lambda text: json.dumps({"log": f"{text}\n", "stream": "stdout", "time": f"{moment(0)}"}),
    "Kubernetes": lambda text: f"2026-11-24T03:58:05.057740123Z stdout F {text}",
    "kubectl --prefix": lambda text: f"[pod/drive-7d9/serve] {text}",
    "kubectl --timestamps": lambda text: f"2026-11-24T03:58:05.057740123Z {text}",
    "syslog": lambda text: f"Nov 24 03:58:05 host-1 drive[77]: {text}",
    "journalctl -o json": lambda text: json.dumps({"MESSAGE": text, "_PID": "77", "PRIORITY": "6"}),
    "fluentd": lambda text: json.dumps({"log": text, "container_name": "/serve-1", "source": "stdout"}),
}


def write(file: Path, records: Sequence[Record], form: Format = as_json) -> Path:
    file.write_text("".join(f"{form(record)}\n" for record in records))
    return file


def audited(*files: Path, since_us: int | None = None, expected: Mapping[str, int] | None = None) -> Report:
    """Audit files by the default settings."""
    inputs, problems = find_inputs([str(file) for file in files])
    store = Store()
    try:
        intake = Intake(store)
        intake.problems += problems
        read_all(inputs, store, intake, Progress(0, is_shown=False))
        return make_report(store, intake, rules_of(Settings(), expected or {}), since_us=since_us)
    finally:
        store.close()


def found(report: Report) -> list[tuple[str, str]]:
    """Return the kind and the `file:line` of each finding, with the file's bare name."""
    return [(one.kind.name, report.lines.name(one.place).rpartition("/")[2]) for one in report.findings]
