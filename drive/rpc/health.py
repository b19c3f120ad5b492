"""`grpc.health.v1.Health`."""

import asyncio
from collections.abc import Sequence

from grpc_health.v1 import health_pb2 as wire
from grpc_health.v1.health import aio

from drive.db.database import Database
from drive.errors import DriveError
from drive.rpc.messages import Context

_PING_TIMEOUT_S = 3.0
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

    async def look(self) -> None:
        """Find out how things are, and tell those who watch."""
        status = _STATUS.SERVING if await self._is_reachable() else _STATUS.NOT_SERVING
        for service in self._services:
            await self.set(service, status)

    async def Check(self, request: wire.HealthCheckRequest, context: Context) -> wire.HealthCheckResponse:
        """Answer for one service, or for the server, where none is named."""
        await self.look()
        return await super().Check(request, context)

    async def _is_reachable(self) -> bool:
        if not self._database.is_open:
            return True
        try:
            async with asyncio.timeout(_PING_TIMEOUT_S):
                await self._database.ping()
        except (DriveError, OSError):  # TimeoutError is an OSError; the database has logged the outage itself
            return False
        return True
