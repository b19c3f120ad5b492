"""What an audit tells: processes, their channels, and what is wrong with them."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from drive.audit.events import Event
from drive.audit.store import Group, Place


class Kind(Enum):
    """What can be wrong."""

    CREATED_TWICE = "created twice"
    NOT_LAZY = "created before the first request"
    UNKNOWN_ENDPOINT = "endpoint that no setting names"
    NEVER_CLOSED = "never closed"
    CONNECTIONS = "more connections than the cap"
    UNEXPECTED = "not created as often as expected"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and the line that shows it."""

    kind: Kind
    place: Place | None
    """None where nothing is there to show: a process, or all of them, is absent."""
    at_us: int | None
    group: Group | None
    endpoint: str
    message: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings, and the caller, say how it should be."""

    endpoints: Mapping[str, list[str]]
    """The names of the settings that lead to an endpoint, such as pass, without `_endpoint`."""
    max_connections: int
    """Of a channel; 0 for any number."""
    expected: Mapping[str, int] = field(default_factory=dict)
    """How often each process should have created the channel of an endpoint, by the setting's name."""

    def endpoint_of(self, name: str) -> str:
        """Return where a setting leads to."""
        return next(endpoint for endpoint, names in self.endpoints.items() if name in names)


@dataclass(slots=True)
class Channel:
    """All that a process did with an endpoint. Moments are microseconds since 1970."""

    endpoint: str
    created: int = 0
    reopened: int = 0
    closed: Counter[str] = field(default_factory=Counter)
    """By reason."""
    created_at_us: int | None = None
    service: str = ""
    allowed: set[int] = field(default_factory=set)
    """How many connections its lines allow; 0 for any number."""
    open: deque[tuple[Place, Event]] = field(default_factory=deque)
    """The lines of what was opened and not yet closed."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    """From when till when it was open; kept for pictures alone."""

    @property
    def max_connections(self) -> int:
        """The most that any line allows; 0 for any number."""
        return 0 if 0 in self.allowed else max(self.allowed, default=0)


@dataclass(slots=True)
class Process:
    """One process, from its start, or from where the log begins, to its end, or to where the log ends."""

    group: Group
    first: Place
    kind: str = ""
    """serve or worker; empty where its start is not in the log."""
    started_at_us: int | None = None
    ready_at_us: int | None = None
    stopped_at_us: int | None = None
    last_at_us: int | None = None
    has_ended: bool = False
    was_asked: bool = False
    """Whether a request has been seen."""
    channels: dict[str, Channel] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the report calls it."""
        return f"{self.kind or 'process'} {self.group.pid}"
