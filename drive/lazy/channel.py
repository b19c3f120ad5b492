"""One open gRPC channel, the calls on it, and what is told of both."""

import asyncio
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from drive.lazy.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc.aio

# Everything that is open in this process, for who looks for what was forgotten: see `drive.testing`.
open_channels: "set[OpenChannel]" = set()


class _User(Protocol):
    def unbind(self, channel: "OpenChannel", /) -> None: ...


class _Waiting(Protocol):
    def give_up(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ChannelSnapshot:
    """How an endpoint is doing. The counts are since its first call, also where its channel was closed meanwhile.

    Where each service has a channel of its own, the state is that of the one that was opened last.
    """

    endpoint: str
    state: str
    """CLOSED, or what gRPC says of the channel: IDLE, CONNECTING, READY, TRANSIENT_FAILURE."""
    calls_in_flight: int
    calls_made: int
    retries: int
    """How often a call was sent again."""
    failures: dict[str, int]
    """How many calls failed, by the name of their status."""
    opened_at: datetime
    """When the channel was opened the last time, in UTC."""
    opened_by: str
    """The service whose call opened it then."""


@dataclass(slots=True)
class Usage:
    """What is counted of an endpoint, across the channels that it had and has."""

    endpoint: str
    opened_at: datetime = field(init=False)
    opened_by: str = field(init=False)
    calls_ended: int = 0
    retries: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def snapshot(self, channels: "Sequence[OpenChannel]") -> ChannelSnapshot:
        """Return what was counted, and what the channels do that are open."""
        in_flight = sum(channel.in_flight for channel in channels)
        return ChannelSnapshot(
            endpoint=self.endpoint,
            state=channels[-1].grpc_channel.get_state().name if channels else "CLOSED",
            calls_in_flight=in_flight,
            calls_made=self.calls_ended + in_flight,
            retries=self.retries,
            failures=dict(self.failures),
            opened_at=self.opened_at,
            opened_by=self.opened_by,
        )


class OpenChannel:
    """One open channel and the calls in flight on it."""

    def __init__(
        self,
        endpoint: Endpoint,
        grpc_channel: "grpc.aio.Channel",
        usage: Usage,
        idle_timeout_s: float | None,
        on_idle: "Callable[[OpenChannel], None]",
    ) -> None:
        from grpc import StatusCode

        self.loop = asyncio.get_running_loop()
        self.endpoint = endpoint
        self.grpc_channel = grpc_channel
        self.usage = usage
        self.ok = StatusCode.OK  # asked for at each call, where an import would cost more than all the rest
        self.is_closed = False
        self._is_closing = False
        self.waiting: set[_Waiting] = set()
        """The calls that wait to be sent again."""
        self.stubs: dict[str, Any] = {}
        """The generated stubs made on it, by path."""
        self.in_flight = 0
        """How many calls are under way. Whoever begins one adds one, and tells its end, once."""
        self._users: set[_User] = set()
        self._drained: asyncio.Future[None] = self.loop.create_future()
        self._idle_timeout_s = math.inf if idle_timeout_s is None else idle_timeout_s
        self._on_idle = on_idle
        self._last_used_s = time.monotonic()
        # One timer that looks again at its end, rather than one per call: a call then costs no timer.
        self._timer: asyncio.TimerHandle | None = None
        if idle_timeout_s is not None:
            self._timer = self.loop.call_later(idle_timeout_s, self._look)
        open_channels.add(self)

    def ended(self, code: "grpc.StatusCode") -> None:
        """Note how a call ended."""
        if code is not self.ok:
            self.usage.failures[code.name] += 1
        self.ended_well()

    def ended_well(self) -> None:
        """Note that a call ended with OK."""
        self.in_flight -= 1
        self.usage.calls_ended += 1
        self._last_used_s = time.monotonic()
        if self._is_closing and not self.in_flight:
            self.hurry()

    def used_by(self, user: _User) -> None:
        """Remember who holds what was made on this channel: as long as anything does, gRPC keeps its threads."""
        self._users.add(user)

    def retire(self) -> None:
        """Make the next call open another channel."""
        if self._timer is not None:
            self._timer.cancel()
        for user in list(self._users):
            user.unbind(self)

    def hurry(self) -> None:
        """Give calls in flight no more time to end, where it is being closed."""
        if not self._drained.done():
            self._drained.set_result(None)

    async def close(self, grace_s: float) -> None:
        """Close it: calls in flight get `grace_s` to end, or nothing if this is cancelled."""
        try:
            if self.in_flight and grace_s > 0:
                self._is_closing = True
                await asyncio.wait([self._drained], timeout=grace_s)
        finally:
            self.is_closed = True
            open_channels.discard(self)
            for call in list(self.waiting):
                call.give_up()
            # Not with gRPC's own grace: cancelled meanwhile, it would never close. Without, it suspends nowhere.
            await self.grpc_channel.close(None)

    def _look(self) -> None:
        if self.in_flight:
            self._timer = self.loop.call_later(self._idle_timeout_s, self._look)
            return
        left_s = self._last_used_s + self._idle_timeout_s - time.monotonic()
        if left_s > 0:
            self._timer = self.loop.call_later(left_s, self._look)
        else:
            self._on_idle(self)
