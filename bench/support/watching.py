"""The connections that Drive holds, counted by those who are at their other ends."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from bench.support.proc import connections_at
from bench.support.services import Backends
from drive.monitor.linux import tcp_peers
from drive.names import client_name

if TYPE_CHECKING:
    import asyncpg
    import redis.asyncio

_NAME: Final = "bench"
_HELD: Final = """
    select count(*) from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and application_name <> $1
"""
_HELD_BY_NAME: Final = """
    select application_name as name, count(*) as count from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' group by 1
"""


class Watcher:
    """Connections of our own to PostgreSQL and Redis, to count those that others have."""

    def __init__(
        self, within: Backends, database: "asyncpg.Connection[asyncpg.Record]", cache: "redis.asyncio.Redis"
    ) -> None:
        self._within = within
        self._database = database
        self._cache = cache

    async def held(self) -> dict[str, int]:
        """Count the connections at each server."""
        clients = await self._cache.client_list()
        return {
            "PostgreSQL": await self._database.fetchval(_HELD, _NAME),
            "Redis": sum(client["name"] != _NAME for client in clients),
            "pass": connections_at(self._within.pass_port),
            "ring": connections_at(self._within.ring_port),
        }

    async def held_by(self, processes: Mapping[str, int]) -> dict[str, dict[str, int]]:
        """Count the connections of each process at each server.

        Args:
            processes: their pids by their roles, serve or worker.

        """
        rows = await self._database.fetch(_HELD_BY_NAME)
        at_database = {row["name"]: row["count"] for row in rows}
        at_cache = Counter(client["name"] for client in await self._cache.client_list())
        held = {}
        for role, pid in processes.items():
            name, peers = client_name(role, pid), await asyncio.to_thread(tcp_peers, pid)
            held[role] = {
                "PostgreSQL": at_database.get(name, 0),
                "Redis": at_cache[name],
                "pass": peers["127.0.0.1", self._within.pass_port],
                "ring": peers["127.0.0.1", self._within.ring_port],
            }
        return held

    @asynccontextmanager
    async def watching_most(self, every_s: float = 0.02) -> AsyncIterator[dict[str, int]]:
        """Count again and again while the block runs; the counts given are the most that were seen."""
        most = await self.held()

        is_over = False

        async def look() -> None:
            while not is_over:  # and not until it is cancelled, which what it awaits may swallow
                await asyncio.sleep(every_s)
                for name, count in (await self.held()).items():
                    most[name] = max(most[name], count)

        looking = asyncio.create_task(look())
        try:
            yield most
        finally:
            is_over = True
            await looking


@asynccontextmanager
async def watching(within: Backends) -> AsyncIterator[Watcher]:
    """Watch the servers around Drive."""
    import asyncpg
    import redis.asyncio

    database = await asyncpg.connect(
        within.environment["DRIVE_DATABASE_URL"], server_settings={"application_name": _NAME}
    )
    try:
        async with redis.asyncio.Redis.from_url(within.environment["DRIVE_REDIS_URL"], client_name=_NAME) as cache:
            yield Watcher(within, database, cache)
    finally:
        await database.close()
