"""Look at a whole deployment, once."""

import asyncio
import math
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp

from drive.lazy import Endpoint, load
from drive.monitor import linux
from drive.monitor.endpoints import Addresses, caps, connections, endpoints_of
from drive.monitor.linux import Address, Running
from drive.monitor.report import EndpointConnections, Process, Report, Server
from drive.monitor.scraping import ask_listener
from drive.monitor.servers import ask_database, ask_redis
from drive.names import client_name
from drive.settings import Settings, parse_listen

if TYPE_CHECKING:
    from drive.monitor.report import Listener

_NO_PROC = "drive processes are found by /proc, which this system does not have"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on


class Monitor:
    """Looks at the processes of this machine, and asks their servers and their listeners for metrics.

    Whatever cannot be seen is told as such, and keeps nothing else from being seen.
    """

    def __init__(self, settings: Settings, urls: Sequence[str]) -> None:
        self._settings = settings
        self._urls = urls or _listener_of(settings)
        self._endpoints = endpoints_of(settings)
        self._addresses = Addresses()

    async def look(self) -> Report:
        """Return what is there now. Takes at most some seconds, also where nothing answers."""
        await load("asyncpg", "redis.asyncio")  # in a thread, so that Ctrl-C is heard meanwhile
        async with asyncio.TaskGroup() as group:
            database = group.create_task(ask_database(self._settings))
            redis = group.create_task(ask_redis(self._settings))
            addresses = group.create_task(self._addresses.of(self._endpoints))
            listeners = group.create_task(self._ask_listeners())
        servers, backlog = database.result()
        return Report(
            at=datetime.now(UTC),
            host=os.uname().nodename,
            processes=await asyncio.to_thread(self._processes, addresses.result(), servers, redis.result()),
            database=servers,
            redis=redis.result(),
            backlog=backlog,
            listeners=listeners.result(),
            problem=None if linux.is_here() else _NO_PROC,
        )

    async def _ask_listeners(self) -> "list[Listener]":
        async with aiohttp.ClientSession() as session:
            return await asyncio.gather(*(ask_listener(session, url) for url in self._urls))

    def _processes(
        self, addresses: Mapping[Endpoint, set[Address]], database: Server, redis: Server | None
    ) -> list[Process]:
        if not linux.is_here():
            return []
        looked_at = (self._process(one, addresses, database, redis) for one in linux.drive_processes())
        return [process for process in looked_at if process is not None]

    def _process(
        self, running: Running, addresses: Mapping[Endpoint, set[Address]], database: Server, redis: Server | None
    ) -> Process | None:
        """Look at a process; None where it has ended meanwhile."""
        memory, peers, problem = None, None, None
        try:
            uptime_s = round(time.time() - linux.started_at_s(running.pid), 1)
            try:
                memory, peers = linux.memory(running.pid), linux.tcp_peers(running.pid)
            except PermissionError:
                problem = "not permitted: run as the same user, or as root"
        except (FileNotFoundError, ProcessLookupError):
            return None
        name = client_name(running.role, running.pid)
        return Process(
            pid=running.pid,
            role=running.role,
            name=name,
            uptime_s=uptime_s,
            memory=memory,
            database_connections=_of(name, database),
            redis_connections=None if redis is None else _of(name, redis),
            grpc=None if peers is None else self._grpc(peers, addresses),
            problem=problem,
        )

    def _grpc(self, peers: Counter[Address], addresses: Mapping[Endpoint, set[Address]]) -> list[EndpointConnections]:
        most = caps(self._settings, addresses)
        return [
            EndpointConnections(str(endpoint), count, None if math.isinf(most[endpoint]) else int(most[endpoint]))
            for endpoint, count in connections(peers, addresses).items()
        ]


def _of(name: str, server: Server) -> int | None:
    """Return how many connections a server sees of a process; None where it was not asked."""
    if server.problem is not None:
        return None
    return sum(one.connections for one in server.clients if one.name == name)


def _listener_of(settings: Settings) -> list[str]:
    """Return where metrics are, as this machine's settings have it."""
    if not settings.metrics_listen:
        return []
    host, port = parse_listen(settings.metrics_listen)
    if port == 0:  # each process has one of its own, which its log tells
        return []
    host = _EVERYWHERE.get(host, host)
    return [f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"]
