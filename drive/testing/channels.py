"""What drive.lazy logs about channels, held against what a test expects."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from structlog.typing import EventDict, WrappedLogger

from drive.lazy.endpoint import Endpoint, EndpointError

_OPENED: Final = ("Creating gRPC channel", "Reopening gRPC channel")
_EVENTS: Final = (*_OPENED, "Closing gRPC channel")


class ChannelLog:
    """The lines about channels that were logged since it began."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        """All of them in order, each with its fields: event, endpoint, service, pid, …"""

    def assert_opened_once(self, which: str | None = None) -> None:
        """Fail unless one channel was opened, and was opened once.

        Args:
            which: its endpoint in any spelling that settings may have, or the service whose call opened it; None
                where it does not matter, but there must be no other.

        """
        if sum(_is(line, which) for line in self._opened) != 1:
            raise AssertionError(f"Not opened once: {which or 'one channel'}.\n{self}")

    def assert_nothing_opened(self) -> None:
        """Fail if any channel was opened."""
        if self._opened:
            raise AssertionError(f"A channel was opened.\n{self}")

    def __str__(self) -> str:
        lines = [f"  {line['event']}: {_fields(line)}" for line in self.lines]
        return "\n".join(["Logged about channels:", *(lines or ["  nothing"])])

    @property
    def _opened(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] in _OPENED]

    def _note(self, _logger: WrappedLogger, level: str, line: EventDict) -> EventDict:
        if line.get("event") in _EVENTS:
            self.lines.append({**line, "level": level})
        return line


@contextmanager
def channel_log() -> Iterator[ChannelLog]:
    """Record what is logged about channels; it is still logged. Where the level hides info lines, none is recorded."""
    log = ChannelLog()
    processors = structlog.get_config()["processors"]  # the list that loggers hold: another would not reach them
    processors.insert(0, log._note)  # noqa: SLF001 - its own
    try:
        yield log
    finally:
        if log._note in processors:  # noqa: SLF001 - as above
            processors.remove(log._note)  # noqa: SLF001 - as above


def _is(line: dict[str, Any], which: str | None) -> bool:
    return which is None or which == line.get("service") or _spelled(which) == line["endpoint"]


def _spelled(endpoint: str) -> str:
    try:
        return str(Endpoint.parse(endpoint))
    except EndpointError:  # it is a service's name
        return endpoint


def _fields(line: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in line.items() if name not in {"event", "level"})
