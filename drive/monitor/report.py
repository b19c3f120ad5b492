"""What `drive monitor` has seen, and whether it is more than is allowed."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from drive.monitor.linux import Memory


class Named(msgspec.Struct, frozen=True):
    """The connections that a server sees of one client, by what that calls itself."""

    name: str
    connections: int
    is_ours: bool
    """Whether it is a process of Drive; only these are held against the cap."""
    states: dict[str, int] = {}
    """By what PostgreSQL says of them, such as `idle`."""


class Server(msgspec.Struct, frozen=True):
    """PostgreSQL or Redis, as it sees its clients; or why it could not be asked."""

    cap: int
    """Most connections of one process of Drive."""
    clients: list[Named] = []
    """Those of Drive's database, or of the Redis server, without this monitor."""
    connections: int | None = None
    """All there are at the server, without this monitor's."""
    connections_max: int | None = None
    """Most that the server takes."""
    problem: str | None = None


class EndpointConnections(msgspec.Struct, frozen=True):
    """The TCP connections of a process to a gRPC endpoint."""

    endpoint: str
    connections: int
    cap: int | None
    """None where there is no limit."""


class Process(msgspec.Struct, frozen=True):
    """A `drive serve` or `drive worker` on this machine."""

    pid: int
    role: str
    name: str
    """What it calls itself at PostgreSQL and Redis."""
    uptime_s: float | None = None
    memory: Memory | None = None
    database_connections: int | None = None
    redis_connections: int | None = None
    grpc: list[EndpointConnections] | None = None
    problem: str | None = None
    """Why some of it is not known."""


class EndpointCalls(msgspec.Struct, frozen=True):
    """What a process tells of a gRPC endpoint."""

    endpoint: str
    channels: int
    connections: int | None
    calls: int
    calls_in_flight: int
    retries: int
    failures: dict[str, int]


class Listener(msgspec.Struct, frozen=True):
    """What a process tells of itself where it serves metrics; or why it could not be asked."""

    url: str
    role: str | None = None
    endpoints: list[EndpointCalls] = []
    cache_hits: int | None = None
    cache_misses: int | None = None
    cache_hit_rate: float | None = None
    """Of 1; none while nothing was read."""
    problem: str | None = None


class Jobs(msgspec.Struct, frozen=True):
    """How many jobs of a kind there are, by status."""

    kind: str
    pending: int = 0
    running: int = 0
    failed: int = 0


class Backlog(msgspec.Struct, frozen=True):
    """What waits in the database; or why it could not be asked."""

    jobs: list[Jobs] = []
    waiting_s: float | None = None
    """How long the job has been due that waits for longest."""
    uploads: int | None = None
    """How many are under way."""
    problem: str | None = None


class Exceeded(msgspec.Struct, frozen=True):
    """More connections than a setting allows."""

    what: str
    who: str
    connections: int
    cap: int
    setting: str


class Report(msgspec.Struct, frozen=True):
    """Everything that was seen, at one time."""

    at: datetime
    host: str
    processes: list[Process]
    database: Server
    redis: Server | None
    """None where no Redis is set."""
    backlog: Backlog
    listeners: list[Listener]
    problem: str | None = None
    """Why no process could be looked for."""

    @property
    def exceeded(self) -> list[Exceeded]:
        """What is more than it may be."""
        return list(_exceeded(self))


def _exceeded(report: Report) -> Iterator[Exceeded]:
    yield from _too_many("PostgreSQL", report.database, "DRIVE_DATABASE_MAX_CONNECTIONS")
    if report.redis is not None:
        yield from _too_many("Redis", report.redis, "DRIVE_REDIS_MAX_CONNECTIONS")
    for process in report.processes:
        for one in process.grpc or ():
            if one.cap is not None and one.connections > one.cap:
                setting = "DRIVE_GRPC_MAX_CONNECTIONS"
                yield Exceeded(one.endpoint, process.name, one.connections, one.cap, setting)


def _too_many(what: str, server: Server, setting: str) -> Iterator[Exceeded]:
    for one in server.clients:
        if one.is_ours and one.connections > server.cap:
            yield Exceeded(what, one.name, one.connections, server.cap, setting)
