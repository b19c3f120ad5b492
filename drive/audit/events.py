"""What a line of a log says, in whatever format it has come."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import msgspec

_PID_DIGITS_MAX = 18
_EPOCH_MAX_S = 253_402_300_800  # the year 10000
_REASONS = frozenset({"idle", "shutdown", "event loop ended"})
_NESTED_MOST = 3
"""A line of ours may stand in a collector's JSON, which may stand in another's."""


class What(IntEnum):
    """The events that an audit is made of."""

    CREATING = 1
    REOPENING = 2
    CLOSING = 3
    LISTENING = 4
    WORKING = 5
    STOPPING = 6

    @property
    def is_start(self) -> bool:
        """Tell whether a process begins with it."""
        return self in {What.LISTENING, What.WORKING}

    @property
    def opens(self) -> bool:
        """Tell whether a channel is open after it."""
        return self in {What.CREATING, What.REOPENING}


_BY_NAME = {
    "Creating gRPC channel": What.CREATING,
    "Reopening gRPC channel": What.REOPENING,
    "Closing gRPC channel": What.CLOSING,
    "Listening": What.LISTENING,
    "Working": What.WORKING,
    "Stopping": What.STOPPING,
}
_NAMES = "|".join(_BY_NAME)

NEEDLES = (b"gRPC channel", b"Listening", b"Working", b"Stopping")
"""Each line that can be an event has one of these in it. Few and long: each costs a pass over the log."""


class UnreadableError(ValueError):
    """A line was an event once: it has been cut, or changed on its way."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line. Moments are microseconds since 1970, None where the line has none."""

    what: What
    pid: int
    label: str
    """Which container's line it is, where its prefix says so."""
    at_us: int | None
    begun_us: int | None = None
    """When the process began, which only a later line can say; None where that one has no moment of its own."""
    endpoint: str = ""
    service: str = ""
    max_connections: int = 0
    reason: str = ""
    is_asked: bool = False
    """Whether a request caused it."""


def parse(line: bytes) -> Event | None:
    """Read a line; None where it is another's, or another event.

    Raises:
        UnreadableError: it was an event, and cannot be read any more.

    """
    text = _ANSI.sub("", line.decode(errors="replace")).strip("\0\r\n\t ")
    return _parse_text(text, "", None, _NESTED_MOST)


_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_PREFIX = re.compile(
    rf"""\s*
    (?:(?P<first>{_ISO})\s+)?                              # kubectl logs --timestamps, docker logs -t, CI
    (?:\[(?P<pod>[^\s\[\]]*/[^\s\[\]]*)\]\s+)?             # kubectl logs --prefix
    (?:(?P<name>[\w./:@-]+)\s*[|│]\s?)?                    # docker compose logs, drive demo
    (?:(?P<at>{_ISO})\s+)?                                 # docker compose logs -t
    (?:(?:stdout|stderr)\s+[FP]\s+)?                       # files of Kubernetes' container runtimes
    (?:[A-Z][a-z]{{2}}\s+\d+\s\d\d:\d\d:\d\d\s)?           # syslog, journalctl
    (?:(?P<host>[\w.-]+\s[\w./@-]+\[\d+\]):\s)?\s*
    """,
    re.VERBOSE,
)
_READABLE = re.compile(rf"(?:(?P<at>{_ISO})\s+)?(?:\[\w+\s*\]\s+)?(?P<event>{_NAMES})(?:\s+(?P<fields>\w+=.*))?\s*")
_LOGFMT = re.compile(r"(?:[\w.]+=(?:\"(?:[^\"\\]|\\.)*\"|[^\s\"]*)\s+)*?event=(?:\"(?P<quoted>[^\"]*)\"|(?P<bare>.*))")
_BARE_EVENT = re.compile(rf"({_NAMES})(?=\s|$)")
_FIELD = re.compile(r"(?<!\w)(\w+)=(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\S*)")
_CHANNEL_EVENT = re.compile(r"(?:Creating|Reopening|Closing) gRPC channel\b")
_EVENT_IN_JSON = re.compile(rf'event\\*"\s*:\s*\\*"(?:{_NAMES})\\*"')


class _Record(msgspec.Struct):
    """What a JSON line may have: ours, or what a collector has put around it. The rest is skipped unread."""

    event: Any = None
    pid: Any = None
    timestamp: Any = None
    started_at: Any = None
    endpoint: Any = None
    service: Any = None
    max_connections: Any = None
    reason: Any = None
    request_id: Any = None
    url: Any = None
    protocol: Any = None
    log: Any = None  # docker's json-file, fluentd
    message: Any = None
    MESSAGE: Any = None  # journalctl -o json
    time: Any = None
    container_name: Any = None
    CONTAINER_NAME: Any = None
    kubernetes: Any = None


_decode_record = msgspec.json.Decoder(_Record).decode


def _parse_text(text: str, label: str, at_us: int | None, nested: int) -> Event | None:
    brace = text.find("{")
    prefix = _PREFIX.match(text if brace < 0 else text[:brace])
    assert prefix is not None  # noqa: S101 - all of it is optional
    label = f"{label} {prefix['name'] or prefix['pod'] or prefix['host'] or ''}".strip()
    at_us = _moment_us(prefix["at"] or prefix["first"]) or at_us
    if brace >= 0 and not _READABLE.match(text, prefix.end()) and not _LOGFMT.match(text, prefix.end()):
        return _parse_json(text[brace:], label, at_us, nested)
    return _parse_readable(text[prefix.end() :], label, at_us)


def _parse_json(text: str, label: str, at_us: int | None, nested: int) -> Event | None:
    try:
        record = _decode_record(text)
    except (msgspec.DecodeError, RecursionError) as error:
        if _EVENT_IN_JSON.search(text):
            raise UnreadableError(str(error)) from error
        return None
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    inner = record.log or record.message or record.MESSAGE
    if record.event is None and isinstance(inner, str) and nested:
        at_us = _moment_us(record.time) or _moment_us(record.timestamp) or at_us
        return _parse_text(_ANSI.sub("", inner).strip(), _label(record, label), at_us, nested - 1)
    what = _BY_NAME.get(record.event) if isinstance(record.event, str) else None
    return None if what is None else _event(what, fields, label, at_us)


def _label(record: _Record, label: str) -> str:
    kubernetes = record.kubernetes if isinstance(record.kubernetes, dict) else {}
    named = (record.container_name, record.CONTAINER_NAME, kubernetes.get("pod_name"), kubernetes.get("container_name"))
    return " ".join([label, *(name for name in named if isinstance(name, str))]).strip()


def _parse_readable(text: str, label: str, at_us: int | None) -> Event | None:
    """Read the console format, or logfmt."""
    if match := _READABLE.fullmatch(text):
        name, fields = match["event"], match["fields"] or ""
        at_us = _moment_us(match["at"]) or at_us
    elif match := _LOGFMT.match(text):
        bare = _BARE_EVENT.match(match["bare"] or "")
        name, fields = match["quoted"] or (bare[1] if bare else ""), text
    else:
        name, fields = "", ""
    what = _BY_NAME.get(name)
    if what is not None and (fields or what <= What.CLOSING):
        return _event(what, {key: _unquoted(value) for key, value in _FIELD.findall(fields)}, label, at_us)
    if _CHANNEL_EVENT.search(text) and not match:
        raise UnreadableError(text)
    return None


def _event(what: What, fields: dict[str, Any], label: str, at_us: int | None) -> Event | None:
    if what is What.LISTENING and (fields.get("protocol") or not fields.get("url")):
        return None  # the second line of a process that answers gRPC, too; or another program's
    endpoint, service, reason = (fields.get(name) or "" for name in ("endpoint", "service", "reason"))
    pid = _number(fields.get("pid"))
    is_whole = pid is not None and all(isinstance(one, str) for one in (endpoint, service, reason))
    connections = _number(fields.get("max_connections")) if what.opens else 0
    if what.opens:
        is_whole = is_whole and bool(endpoint and service) and connections is not None
    elif what is What.CLOSING:
        is_whole = is_whole and bool(endpoint) and reason in _REASONS
    if not is_whole or pid is None or connections is None:
        raise UnreadableError(f"{what.name} lacks a field, or has a wrong one")
    at_us = _moment_us(fields.get("timestamp")) or at_us
    return Event(
        what,
        pid,
        label,
        at_us,
        _moment_us(fields.get("started_at")) if what.is_start and at_us is not None else None,
        endpoint,
        service,
        connections,
        reason,
        is_asked=fields.get("request_id") is not None,
    )


def _number(value: Any) -> int | None:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _PID_DIGITS_MAX else None


def _moment_us(value: Any) -> int | None:
    """Read ISO 8601, or seconds since 1970. What has no zone is UTC."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value * 1_000_000) if 0 < value < _EPOCH_MAX_S else None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.replace(",", "."))
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        return None


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0] else value
