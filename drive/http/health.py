"""`/alive` and `/health`."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from drive.errors import DriveError, unavailable
from drive.lazy import Channels, Endpoint, Lazy

_PING_TIMEOUT_S = 3.0
_RETRY = {"Retry-After": "2"}


class Pingable(Protocol):
    """Something that can be asked whether it works."""

    async def ping(self) -> None:
        """Raise unless it answers."""


class Part(Pingable, Protocol):
    """Something that the service depends on."""

    @property
    def is_open(self) -> bool:
        """Whether it was ever used."""


class Pooled:
    """What stands on a pool, as a part of the service. Neither is made for being looked at."""

    def __init__(self, pool: Lazy[Any] | None, part: Callable[[], Pingable]) -> None:
        self._pool = pool
        self._part = part

    @property
    def is_open(self) -> bool:
        """Whether the pool is open."""
        return self._pool is not None and self._pool.peek() is not None

    async def ping(self) -> None:
        """Raise unless it answers."""
        await self._part().ping()


class HealthHandlers:
    """Says how the service is, without opening what was never opened: a probe must not cost a connection."""

    def __init__(self, essential: Mapping[str, Part], helpful: Mapping[str, Part]) -> None:
        self._essential = essential
        self._parts = {**essential, **helpful}

    async def alive(self, _request: web.Request) -> web.Response:
        """Say that the process answers."""
        return _answer({"status": "alive"})

    async def health(self, _request: web.Request) -> web.Response:
        """Ping each part that was ever opened; 503 where one without which nothing works does not answer."""
        states = dict(zip(self._parts, await asyncio.gather(*map(_state, self._parts.values())), strict=True))
        unreachable = {name for name, state in states.items() if state == "unreachable"}
        if unreachable & self._essential.keys():
            return _answer({"status": "unhealthy", "parts": states}, status=503, headers=_RETRY)
        return _answer({"status": "degraded" if unreachable else "healthy", "parts": states})


class Peer:
    """A gRPC endpoint, as a part of the service."""

    def __init__(self, channels: Channels, url: str) -> None:
        self._channels = channels
        self._endpoint = Endpoint.parse(url)

    @property
    def is_open(self) -> bool:
        """Whether a channel to it is open."""
        return self._channels.is_connected(self._endpoint) is not None

    async def ping(self) -> None:
        """Raise if the channel cannot connect."""
        if not self._channels.is_connected(self._endpoint):
            raise unavailable(str(self._endpoint))


def _answer(body: dict[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer without msgspec, which a process that is only probed has not imported."""
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store", **(headers or {})})


async def _state(part: Part) -> str:
    if not part.is_open:
        return "not opened"
    try:
        async with asyncio.timeout(_PING_TIMEOUT_S):
            await part.ping()
    except (DriveError, OSError):  # TimeoutError is an OSError; the part has logged the outage itself
        return "unreachable"
    return "reachable"
