"""What the tests of `drive serve` look at from outside: connections, memory and what is on the disk."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import psutil  # type: ignore[import-untyped] # its types are no dependency, for two functions
import redis
from support.process import Serve

from drive.peers import Peers
from drive.settings import Settings

CREATING = "Creating gRPC channel"
_WATCHER = "watcher"


def tcp_connections(pid: int) -> list[tuple[int, int]]:
    """Return the local and the remote port of each TCP connection that a process has, in whatever state."""
    return [
        (one.laddr.port, one.raddr.port)
        for one in psutil.Process(pid).net_connections("tcp")
        if one.status != psutil.CONN_LISTEN
    ]


def threads(pid: int) -> int:
    count: int = psutil.Process(pid).num_threads()
    return count


def connections_at(url: str) -> int:
    """Count the TCP connections that the stand-in at this address holds: it is served by this process."""
    port = urlsplit(url).port
    return sum(local == port for local, _ in tcp_connections(os.getpid()))


def peer_connections(peers: Peers) -> dict[str, int]:
    return {"pass": connections_at(peers.pass_url), "ring": connections_at(peers.ring_url)}


class Watcher:
    """Connections of the test's own to the service's PostgreSQL and Redis, to count those that others have."""

    def __init__(self, database: "asyncpg.Connection[asyncpg.Record]", cache: "redis.Redis") -> None:
        self.database = database
        self._cache = cache

    async def database_connections(self) -> list[str]:
        """Return the application name of each other client of the database."""
        query = """
            select application_name from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()
        """
        return [row[0] for row in await self.database.fetch(query)]

    def redis_connections(self) -> list[str]:
        """Return the name of each other client of the Redis server."""
        return [client["name"] for client in self._cache.client_list() if client["name"] != _WATCHER]


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Watcher]:
    """Watch the servers that the settings lead to."""
    database = await asyncpg.connect(settings.database_url, server_settings={"application_name": _WATCHER})
    try:
        with redis.Redis.from_url(settings.redis_url, client_name=_WATCHER) as cache:
            yield Watcher(database, cache)
    finally:
        await database.close()


def channels(serve: Serve) -> list[tuple[str, str]]:
    """Return the endpoint and the service of each channel that it logged, in order of the endpoints."""
    return sorted((line["endpoint"], line["service"]) for line in serve.lines(CREATING))
