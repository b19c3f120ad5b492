"""What the project has set itself to reach. The page begins with these, each with the figure that came out."""

from dataclasses import dataclass
from typing import Final

from bench.tables import Goal


@dataclass(frozen=True, slots=True)
class Aim:
    """One goal: what it is about, and the subject whose rows are held against it."""

    what: str
    subject: str
    goal: Goal


def _aims(*aims: tuple[str, str, str, Goal]) -> dict[str, Aim]:
    return {
        key: Aim(what, subject, Goal(goal.at_most, goal.of, goal.at_least, key)) for key, what, subject, goal in aims
    }


AIMS: Final = _aims(
    (
        "idle",
        "Idle memory of `drive serve`, all wired, nothing called, to that of a bare one-route aiohttp application",
        "memory",
        Goal(1.15, "ratio"),
    ),
    (
        "idle-original",
        "Idle memory of `drive serve`, to that of itself with `DRIVE_PROFILE=original`, warmed up",
        "memory",
        Goal(0.5, "ratio"),
    ),
    (
        "used",
        "Memory once all ten stubs, the database and Redis were used, to that of the original profile",
        "memory",
        Goal(1.0, "ratio"),
    ),
    ("start", "Time from start to first answer, to that of the bare application", "start", Goal(1.5, "ratio")),
    (
        "call",
        "A call through a lazy stub, once open, to one through the generated stub",
        "lazy.calls",
        Goal(1.02, "ratio"),
    ),
    ("stall-grpc", "Longest stall of the event loop at the first use of gRPC, ms", "lazy.stall", Goal(25.0)),
    ("stall-redis", "Longest stall of the event loop at the first use of Redis, ms", "lazy.stall", Goal(100.0)),
    (
        "scaling-connections",
        "2000 calls at once to a server with 100 streams per connection: connections",
        "scaling",
        Goal(2.0, at_least=2.0),
    ),
    ("scaling-failures", "The same: calls that failed", "scaling", Goal(0.0)),
    ("scaling-speed", "The same: calls per second, to those over one connection", "scaling", Goal(None, "ratio", 1.6)),
    ("stubs-bytes", "Memory of each of 10 000 registered stubs, none called, bytes", "lazy.memory", Goal(2048.0)),
    ("stubs-channels", "The same: channels opened", "lazy.memory", Goal(0.0)),
    (
        "info",
        "Authenticated `GET /api/files/{id}/info`, warm: requests per second, to the bare application's JSON route",
        "http.info",
        Goal(None, "ratio", 0.35),
    ),
    (
        "download",
        "Download of 512 MiB from a local pool: bytes per second, to nginx with sendfile",
        "http.transfers",
        Goal(None, "ratio", 0.9),
    ),
    (
        "upload",
        "Upload of 512 MiB, hashed and durable: bytes per second, to a bare aiohttp handler that does the same",
        "http.transfers",
        Goal(None, "ratio", 0.8),
    ),
    ("audit", "`drive audit` over a log of 1 GiB: bytes per second, to `grep -c`", "audit", Goal(None, "ratio", 0.5)),
)


def goal(key: str) -> Goal:
    """Return the goal to give to a row."""
    return AIMS[key].goal
