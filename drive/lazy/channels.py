"""gRPC channels that are opened by the first call and capped by gRPC itself."""

import asyncio
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

import structlog

from drive.lazy.channel import ChannelSnapshot, OpenChannel, Usage, open_channels
from drive.lazy.endpoint import Endpoint
from drive.lazy.once import opening_order, running_loop

if TYPE_CHECKING:
    from collections.abc import Iterable

    import grpc.aio

log = structlog.get_logger()

_NO_LIMIT: Final = 2**31 - 1
_Key: TypeAlias = tuple[Endpoint, str]
"""What a channel is for: an endpoint, and the service where each has a channel of its own."""


class ChannelsClosedError(RuntimeError):
    """A call after `Channels.aclose`: the application is shutting down."""


class ForkedChannelsError(RuntimeError):
    """A call in a process whose parent had opened channels before it forked: gRPC would crash or hang there."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for `https://` endpoints. Without `ca_file`, gRPC's own set of authorities verifies the server.

    Raises:
        ValueError: `cert_file` without `key_file` or the other way round: a client shows both, or neither.

    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together: name both, or neither")

    def missing_files(self) -> list[Path]:
        """Return those that are not there, or not to be read by this process."""
        files = (self.ca_file, self.cert_file, self.key_file)
        return [file for file in files if file is not None and not (file.is_file() and os.access(file, os.R_OK))]


class Channels:
    """The process's gRPC channels: one per endpoint and event loop, each opened by the first call to it.

    A channel holds at most `max_connections` TCP connections, any number for 0; gRPC opens the second when the first
    carries as many streams as the server allows (gRFC A105). A channel that had no call for `idle_timeout_s` is closed,
    its connections and memory given back; the next call reopens it. For None, it stays open.

    With `one_per_service`, services at the same endpoint share nothing: each has a channel and connections of its own.

    Logs `Creating gRPC channel` once per endpoint, `Reopening gRPC channel` after that and `Closing gRPC channel`.
    """

    modules = ("grpc", "grpc.aio")
    """What must be imported (see `drive.lazy.load`) before `open` is called."""

    def __init__(
        self,
        *,
        max_connections: int = 2,
        one_per_service: bool = False,
        max_message_bytes: int = 16 * 1024 * 1024,
        idle_timeout_s: float | None = 300.0,
        keepalive_interval_s: float = 330.0,  # servers of gRPC hang up on who asks more often than every 300 s
        close_grace_s: float = 2.0,
        tls: Tls | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._one_per_service = one_per_service
        self._max_message_bytes = max_message_bytes
        self._idle_timeout_s = idle_timeout_s
        self._keepalive_interval_s = keepalive_interval_s
        self._close_grace_s = close_grace_s
        self._tls = tls or Tls()
        self._by_loop: dict[asyncio.AbstractEventLoop, _LoopChannels] = {}

    def __deepcopy__(self, _memo: object) -> "Channels":
        """Return itself: a copy of who holds it calls on the same channels."""
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("gRPC channels and lazy stubs stay in their process: build a container in the other one.")

    @property
    def tls(self) -> Tls:
        """The files for `https://` endpoints."""
        return self._tls

    @property
    def opened_as(self) -> int | None:
        """The place of this loop's first channel among all openings of the process; None while there was none."""
        here = self._here()
        return None if here is None else here.opened_as

    def open(self, endpoint: Endpoint, service: str) -> "OpenChannel":
        """Return the endpoint's channel on the running loop, created if there is none. Does no I/O.

        Args:
            endpoint: where to.
            service: whose call this is, for the log.

        Raises:
            ChannelsClosedError: after `aclose` on this loop.
            ForkedChannelsError: in a child whose parent had opened channels before it forked.

        """
        here = self._here()
        key = endpoint, service if self._one_per_service else ""
        channel = None if here is None else here.open.get(key)
        if channel is not None:
            return channel
        if _fork.inherited_channels:
            raise ForkedChannelsError(
                f"{service} was called in process {os.getpid()}, whose parent had opened gRPC channels before it "
                "forked. gRPC does not survive that: fork before the first call."
            )
        if here is not None and here.closed:
            raise ChannelsClosedError(
                f"{service} was called after its channels were closed. Call before `lifespan` ends; to begin again, "
                "make a new container."
            )
        return self._create(here or self._begin(), key, service)

    def is_connected(self, endpoint: Endpoint) -> bool | None:
        """Tell whether the running loop's channel works; None if there is none. An idle channel counts as working."""
        here = self._here()
        channels = [] if here is None else here.channels_of(endpoint)
        if not channels:
            return None
        states = {channel.grpc_channel.get_state().name for channel in channels}
        return states.isdisjoint({"TRANSIENT_FAILURE", "SHUTDOWN"})

    def snapshot(self) -> list[ChannelSnapshot]:
        """Return how each endpoint that was called on the running loop is doing, in the order of their first calls."""
        here = self._here()
        if here is None:
            return []
        return [usage.snapshot(here.channels_of(endpoint)) for endpoint, usage in here.usage.items()]

    async def aclose(self) -> None:
        """Close this loop's channels: calls in flight get `close_grace_s` to end, later ones are refused.

        Cancelling this ends the calls in flight at once.
        """
        if _fork.inherited_channels:
            return  # they are the parent's
        here = self._here() or self._begin()
        here.closed = True
        for channel in list(here.open.values()):
            self._begin_closing(here, channel, "shutdown", self._close_grace_s)
        try:
            await _all_ended(here.closing)
        except asyncio.CancelledError:
            for channel in here.closing.values():
                channel.hurry()
            await _all_ended(here.closing)
            raise
        here.opened_as = None

    def _here(self) -> "_LoopChannels | None":
        loop = running_loop()
        return None if loop is None or _fork.inherited_channels else self._by_loop.get(loop)

    def _begin(self) -> "_LoopChannels":
        return self._by_loop.setdefault(asyncio.get_running_loop(), _LoopChannels())

    def _create(self, here: "_LoopChannels", key: _Key, service: str) -> "OpenChannel":
        endpoint, _ = key
        self._close_left_behind(here)
        grpc_channel = self._connect(endpoint)
        _fork.opened_channels = True
        log.info(
            "Reopening gRPC channel" if key in here.opened else "Creating gRPC channel",
            endpoint=str(endpoint),
            service=service,
            max_connections=self._max_connections,
            pid=os.getpid(),
        )
        usage = here.usage.setdefault(endpoint, Usage(str(endpoint)))
        usage.opened_at, usage.opened_by = datetime.now(UTC), service
        here.opened.add(key)
        channel = here.open[key] = OpenChannel(
            endpoint,
            grpc_channel,
            usage,
            self._idle_timeout_s,
            lambda channel: self._begin_closing(here, channel, "idle", 0.0),
        )
        here.opened_as = here.opened_as or next(opening_order)
        return channel

    def _connect(self, endpoint: Endpoint) -> "grpc.aio.Channel":
        import grpc.aio

        if not endpoint.secure:
            return grpc.aio.insecure_channel(endpoint.target, options=self._options())
        certificate = grpc.ssl_channel_credentials(
            root_certificates=_read(self._tls.ca_file),
            private_key=_read(self._tls.key_file),
            certificate_chain=_read(self._tls.cert_file),
        )
        return grpc.aio.secure_channel(endpoint.target, certificate, options=self._options())

    def _options(self) -> list[tuple[str, str | int]]:
        most = self._max_connections or _NO_LIMIT
        service_config = {"connectionScaling": {"maxConnectionsPerSubchannel": most}}
        return [
            ("grpc.service_config", json.dumps(service_config)),
            ("grpc.max_connections_per_subchannel_cap", most),  # or gRPC never opens more than 10
            ("grpc.use_local_subchannel_pool", int(self._one_per_service)),  # or equal channels share connections
            ("grpc.max_receive_message_length", self._max_message_bytes),
            ("grpc.max_send_message_length", self._max_message_bytes),
            ("grpc.keepalive_time_ms", int(self._keepalive_interval_s * 1000)),
        ]

    def _close_left_behind(self, here: "_LoopChannels") -> None:
        """Close what event loops that have ended left open: nobody else can."""
        for ended in [loop for loop in list(self._by_loop) if loop.is_closed()]:
            left_behind = self._by_loop.pop(ended, _LoopChannels())
            for channel in left_behind.open.values():
                self._begin_closing(here, channel, "event loop ended", 0.0)

    def _begin_closing(self, here: "_LoopChannels", channel: "OpenChannel", reason: str, grace_s: float) -> None:
        log.info("Closing gRPC channel", endpoint=str(channel.endpoint), reason=reason, pid=os.getpid())
        channel.retire()
        here.open = {key: one for key, one in here.open.items() if one is not channel}
        closing = asyncio.create_task(channel.close(grace_s), name=f"close {channel.endpoint}")
        here.closing[closing] = channel
        closing.add_done_callback(here.closing.pop)


@dataclass(slots=True)
class _LoopChannels:
    """What one event loop has open."""

    open: "dict[_Key, OpenChannel]" = field(default_factory=dict)
    opened: set[_Key] = field(default_factory=set)
    """What was ever opened."""
    usage: dict[Endpoint, Usage] = field(default_factory=dict)
    """Of every endpoint that was ever opened."""
    closing: "dict[asyncio.Task[None], OpenChannel]" = field(default_factory=dict)
    opened_as: int | None = None
    closed: bool = False

    def channels_of(self, endpoint: Endpoint) -> "list[OpenChannel]":
        """Return the open channels to an endpoint, the last opened last: one, unless each service has its own."""
        return [channel for channel in self.open.values() if channel.endpoint == endpoint]


class _Fork:
    """What a forked child must know of its ancestors: gRPC crashes or hangs there once they had channels.

    Also when these were closed: gRPC's threads end some time after the last of its objects, and nothing tells when.
    """

    def __init__(self) -> None:
        self.opened_channels = False
        self.inherited_channels = False
        os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        self.inherited_channels = self.inherited_channels or self.opened_channels
        for channel in open_channels:
            channel.retire()  # lest a child that goes on with its parent's event loop calls on it


_fork = _Fork()


async def _all_ended(tasks: "Iterable[asyncio.Task[None]]") -> None:
    """Wait for tasks. Cancelling this cancels none of them: one that has not begun would never close its channel."""
    running = list(tasks)
    if running:
        await asyncio.wait(running)


def _read(file: Path | None) -> bytes | None:
    return None if file is None else file.read_bytes()
