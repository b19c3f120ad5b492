"""`grpc.health.v1.Health`."""

import asyncio
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2 as wire
from grpc_health.v1.health import aio

from drive.db.database import Database
from drive.errors import DriveError
from drive.rpc.messages import Context

_PING_TIMEOUT_S = 3.0
_MOST_WATCHERS = 64  # anybody may watch, and each holds a place that a caller needs
_STATUS = wire.HealthCheckResponse


class Health(aio.HealthServicer):
    """Says whether calls can be answered; not any more once the server is told to stop.

    Each `Check` asks the database, if that was ever opened: a probe must not cost a connection. Those who `Watch` are
    told what the last one has found.
    """

    def __init__(self, database: Database, services: Sequence[str]) -> None:
        super().__init__()
        self._database = database
        self._services = ("", *services)
        self._watchers = 0

    async def look(self) -> None:
        """Find out how things are, and tell those who watch."""
        status = _STATUS.SERVING if await self._is_reachable() else _STATUS.NOT_SERVING
        for service in self._services:
            await self.set(service, status)

    async def Check(self, request: wire.HealthCheckRequest, context: Context) -> wire.HealthCheckResponse:
        """Answer for one service, or for the server, where none is named."""
        await self.look()
        return await super().Check(request, context)

    async def Watch(self, request: wire.HealthCheckRequest, context: Context) -> None:
        """Tell of every change, to a limited number."""
        if self._watchers >= _MOST_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{_MOST_WATCHERS} watch already. Use Check.")
        self._watchers += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watchers -= 1

    async def _is_reachable(self) -> bool:
        if not self._database.is_open:
            return True
        try:
            async with asyncio.timeout(_PING_TIMEOUT_S):
                await self._database.ping()
        except (DriveError, OSError):  # TimeoutError is an OSError; the database has logged the outage itself
            return False
        return True
