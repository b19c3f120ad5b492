"""A report, as text for a terminal."""

from collections.abc import Iterator, Sequence

from drive.monitor.linux import Memory
from drive.monitor.report import Backlog, EndpointCalls, Exceeded, Listener, Process, Report, Server

_MIB = 1024 * 1024
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_UNKNOWN = "?"
_STATUSES = ("PENDING", "RUNNING", "FAILED")


def lines(report: Report) -> Iterator[str]:
    """Give the report's lines, what is exceeded first."""
    yield f"Drive on {_printable(report.host)}, {report.at:%Y-%m-%d %H:%M:%SZ}"
    yield from (f"EXCEEDED  {_exceeded(one)}" for one in report.exceeded)
    yield ""
    yield from _processes(report)
    yield ""
    yield from _server("PostgreSQL", report.database)
    yield ""
    if report.redis is None:
        yield "Redis: none is set."
    else:
        yield from _server("Redis", report.redis)
    yield ""
    yield from _backlog(report.backlog)
    for one in report.listeners:
        yield ""
        yield from _listener(one)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Give lines whose columns stand below each other."""
    printable = [head, *([_printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in printable) for column in range(len(head))]
    for row in printable:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _processes(report: Report) -> Iterator[str]:
    if report.problem:
        yield f"Processes: {report.problem}."
        return
    if not report.processes:
        yield "No drive serve and no drive worker runs on this machine."
        return
    head = ("PID", "ROLE", "UP", "RESIDENT", "PSS", "PRIVATE", "POSTGRESQL", "REDIS")
    yield from table(head, [_process(one, report) for one in report.processes])
    yield from (f"{one.pid}: {one.problem}" for one in report.processes if one.problem)
    rows = [
        (str(one.pid), grpc.endpoint, _of_cap(grpc.connections, grpc.cap))
        for one in report.processes
        for grpc in one.grpc or ()
    ]
    if rows:
        yield ""
        yield from table(("PID", "GRPC ENDPOINT", "CONNECTIONS"), rows)


def _process(one: Process, report: Report) -> tuple[str, ...]:
    return (
        str(one.pid),
        one.role,
        _UNKNOWN if one.uptime_s is None else _duration(one.uptime_s),
        *_memory(one.memory),
        _of_cap(one.database_connections, report.database.cap),
        "-" if report.redis is None else _of_cap(one.redis_connections, report.redis.cap),
    )


def _server(name: str, server: Server) -> Iterator[str]:
    if server.problem is not None:
        yield f"{name} cannot be asked: {_printable(server.problem)}"
        return
    plural = "" if server.connections == 1 else "s"
    of_most = f" of {server.connections_max}" if server.connections_max else ""
    yield f"{name}: {server.connections} connection{plural}{of_most}"
    rows = [
        (
            one.name or "(without a name)",
            _of_cap(one.connections, server.cap) if one.is_ours else str(one.connections),
            ", ".join(f"{count} {state}" for state, count in one.states.items()),
        )
        for one in server.clients
    ]
    if rows:
        yield from table(("CLIENT", "CONNECTIONS", ""), rows)


def _backlog(backlog: Backlog) -> Iterator[str]:
    if backlog.problem is not None:
        yield f"Jobs cannot be counted: {_printable(backlog.problem)}"
        return
    waiting = "" if backlog.waiting_s is None else f"; a job waits for {_duration(backlog.waiting_s)}"
    yield f"Uploads under way: {backlog.uploads}. {'Jobs' if backlog.jobs else 'There are no jobs'}{waiting}"
    if backlog.jobs:
        rows = [(one.kind, str(one.pending), str(one.running), str(one.failed)) for one in backlog.jobs]
        yield from table(("KIND", *_STATUSES), rows)


def _listener(one: Listener) -> Iterator[str]:
    if one.problem is not None:
        yield f"{_printable(one.url)} cannot be asked: {_printable(one.problem)}"
        return
    rate = "nothing was read yet" if one.cache_hit_rate is None else f"{one.cache_hit_rate:.1%} of reads were hits"
    yield f"{one.url}: {_printable(one.role or _UNKNOWN)}; cache: {rate}"
    head = ("GRPC ENDPOINT", "CHANNELS", "CONNECTIONS", "CALLS", "IN FLIGHT", "RETRIES", "FAILURES")
    if one.endpoints:
        yield from table(head, [_calls(endpoint) for endpoint in one.endpoints])


def _calls(one: EndpointCalls) -> tuple[str, ...]:
    return (
        one.endpoint,
        str(one.channels),
        _UNKNOWN if one.connections is None else str(one.connections),
        str(one.calls),
        str(one.calls_in_flight),
        str(one.retries),
        ", ".join(f"{count} {code}" for code, count in one.failures.items()) or "0",
    )


def _exceeded(one: Exceeded) -> str:
    return _printable(f"{one.who}: {one.connections} connections to {one.what}, {one.setting} is {one.cap}")


def _of_cap(count: int | None, cap: int | None) -> str:
    return _UNKNOWN if count is None else f"{count} of {'any number' if cap is None else cap}"


def _memory(memory: Memory | None) -> list[str]:
    if memory is None:
        return [_UNKNOWN] * 3
    sizes_bytes = (memory.resident_bytes, memory.pss_bytes, memory.private_bytes)
    return [f"{size_bytes / _MIB:.1f} MiB" for size_bytes in sizes_bytes]


def _duration(seconds: float) -> str:
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= size), _UNITS[-1])
    return f"{seconds / size:.0f} {unit}"


def _printable(text: str) -> str:
    """Leave out what could move a terminal's cursor: names come from others."""
    return "".join(one if one.isprintable() else " " for one in text)
