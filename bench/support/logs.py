"""A log as a running Drive writes it, of any size, in a moment."""

import json
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

_LINES_A_MINUTE: Final = 10_000
_PROCESSES: Final = 6
_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_MINUTE: Final = b"2026-01-01T00:00"
"""In the lines that come again each minute, what stands for it."""
_ENDPOINTS: Final = ("http://127.0.0.1:5001", "http://127.0.0.1:5002")
_TRACEBACK: Final = (
    '  File "/app/drive/files/service.py", line 118, in readable\n    return await self._catalog.get(file_id)\n'
)
_AGENTS: Final = ("Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0", "okhttp/4.12.0")
_WEIGHTS: Final = {"request": 80, "packet": 6, "trail": 5, "deleted": 5, "job": 3, "failed": 1}


def write_log(file: Path, size_bytes: int) -> Path:
    """Write lines of several processes up to a size; the last one is cut there."""
    others, written = _others(random.Random(7)), 0  # noqa: S311 - the same log each time
    with file.open("wb") as log:
        for minute in count():
            at = _BEGAN + timedelta(minutes=minute)
            written += log.write(_lines(_of_channels(minute, at)))
            written += log.write(others.replace(_MINUTE, at.isoformat()[: len(_MINUTE)].encode()))
            if written >= size_bytes:
                break
        log.truncate(size_bytes)
    return file


def _of_channels(minute: int, at: datetime) -> Iterator[dict[str, Any]]:
    """Yield what one process tells in a minute: that it starts; later that it closes a channel, or opens it again."""
    turn, process = divmod(minute, _PROCESSES)
    pid = 4200 + process
    opened = {"service": "AuthService", "max_connections": 2, "pid": pid, "request_id": f"{minute:032x}"}
    if turn == 0:
        yield _line("Listening", at, url=f"http://0.0.0.0:{8000 + process}", pid=pid, started_at=_moment(at))
        for endpoint in _ENDPOINTS:
            yield _line("Creating gRPC channel", at, endpoint=endpoint, **opened)
    elif turn % 2:
        yield _line("Closing gRPC channel", at, endpoint=_ENDPOINTS[1], reason="idle", pid=pid)
    else:
        yield _line("Reopening gRPC channel", at, endpoint=_ENDPOINTS[1], **opened)


def _others(chance: random.Random) -> bytes:
    """Return a minute's other lines."""
    times_s = sorted(chance.random() * 60 for _ in range(_LINES_A_MINUTE))
    kinds = chance.choices([*_WEIGHTS], [*_WEIGHTS.values()], k=_LINES_A_MINUTE)
    return _lines(
        _other(kind, chance, _BEGAN + timedelta(seconds=at_s)) for kind, at_s in zip(kinds, times_s, strict=True)
    )


def _other(kind: str, chance: random.Random, at: datetime) -> dict[str, Any]:
    request, file, account = (f"{chance.getrandbits(128):032x}" for _ in range(3))
    path = chance.choice(
        (f"/api/files/{file}", f"/api/files/{file}/info", "/api/files/me?take=20", "/api/index/browse")
    )
    asked = {"method": "GET", "path": path, "request_id": request}
    if kind == "request":
        answered = {"status": chance.choice((200, 200, 200, 206, 304, 404)), "bytes": chance.randrange(10**6)}
        return _line("Request", at, agent=chance.choice(_AGENTS), took_ms=chance.randrange(1, 400), **answered, **asked)
    if kind == "packet":
        return _line("Packet dropped", at, packet="upload.progress", reason="UNAVAILABLE", request_id=request)
    if kind == "trail":
        noted = {"account_id": account, "action": "files.delete", "meta": {"file_ids": [file]}, "request_id": request}
        return _line("Action log entry dropped", at, reason="DEADLINE_EXCEEDED", **noted)
    if kind == "deleted":
        return _line("File deleted", at, file_id=file, caller="posts", request_id=request)
    if kind == "job":
        job = {"job": chance.randrange(10**6), "kind": "process_object", "attempts": 2, "status": "pending"}
        return _line("Job failed", at, error=f"StoreUnavailableError: {file} could not be fetched", **job)
    return _line("Request failed", at, exception=f"Traceback (most recent call last):\n{_TRACEBACK * 6}", **asked)


def _line(event: str, at: datetime, **fields: Any) -> dict[str, Any]:
    return {**fields, "event": event, "level": "info", "timestamp": _moment(at)}


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _lines(records: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(f"{json.dumps(record, separators=(',', ':'))}\n".encode() for record in records)
