"""Channels as they are without sharing and without limits."""

import asyncio
import math
from collections import Counter
from typing import Any

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Singleton
from lazy_support import STREAMS, Server, calling, logged_channels, serving, until
from streams_grpc import StreamsStub

from drive.lazy import Channels, Endpoint, Stub, lifespan


class OtherStreamsStub(StreamsStub):
    """Another service at the same endpoint."""


FEW_STREAMS = [("grpc.max_concurrent_streams", 10), ("grpc.http.overload_protection", 0)]


def two_services(url: str, **options: Any) -> Any:
    """Return a container with two services at one endpoint, told apart by their classes' names."""

    class Container(DeclarativeContainer):
        channels = Singleton(Channels, **options)
        first: "Stub[Any]" = Stub(STREAMS, channels, endpoint=url, timeout_s=30.0)
        second: "Stub[Any]" = Stub(f"{__name__}:OtherStreamsStub", channels, endpoint=url, timeout_s=30.0)

    return Container()


class TestOnePerService:
    async def test_each_has_a_channel_and_a_connection_of_its_own(self, server: Server) -> None:
        async with lifespan(two_services(server.url, one_per_service=True)) as container:
            with logged_channels() as log:
                assert await container.first().Echo(b"hello") == b"HELLO"
                assert container.channels().is_connected(Endpoint.parse(server.url)) is True
                assert server.connections() == 1
                assert await container.second().Echo(b"hello") == b"HELLO"
                assert await container.first().Echo(b"hello") == b"HELLO"
                assert server.connections() == 2
            assert [(line["event"], line["service"]) for line in log.lines] == [
                ("Creating gRPC channel", "Streams"),
                ("Creating gRPC channel", "OtherStreams"),
            ]
        await until(lambda: server.connections() == 0)

    async def test_what_is_counted_of_the_endpoint_is_of_all_of_them(self, server: Server) -> None:
        async with lifespan(two_services(server.url, one_per_service=True)) as container:
            calls = [stub().Echo(b"hold") for stub in (container.first, container.second)]
            await until(lambda: server.held == 2)
            (snapshot,) = container.channels().snapshot()
            assert (snapshot.calls_in_flight, snapshot.calls_made, snapshot.opened_by) == (2, 2, "OtherStreams")
            server.released.set()
            await asyncio.gather(*calls)

    async def test_each_is_closed_as_idle_and_reopened_by_itself(self, server: Server) -> None:
        async with lifespan(two_services(server.url, one_per_service=True, idle_timeout_s=0.01)) as container:
            with logged_channels() as log:
                held = container.second().Echo(b"hold")
                await until(lambda: server.held == 1)
                await container.first().Echo(b"hello")
                await until(lambda: log.verbs == ["Creating", "Creating", "Closing"])
                assert container.channels().is_connected(Endpoint.parse(server.url)) is True
                await container.first().Echo(b"hello")
                assert Counter(log.verbs)["Reopening"] == 1
                server.released.set()
                assert await held == b"HOLD"

    async def test_without_it_they_share_both(self, server: Server) -> None:
        async with lifespan(two_services(server.url)) as container:
            with logged_channels() as log:
                await container.first().Echo(b"hello")
                await container.second().Echo(b"hello")
            assert log.verbs == ["Creating"]
            assert server.connections() == 1


class TestLimits:
    async def _connections_of(self, calls: int, **options: Any) -> int:
        async with serving(options=FEW_STREAMS) as server, calling(server.url, **options) as container:
            stub = container.streams()
            held = [stub.Echo(b"hold") for _ in range(calls)]
            most = options["max_connections"] or math.inf
            await until(lambda: server.held == min(calls, most * 10))
            connections = server.connections()
            server.released.set()
            await asyncio.gather(*held)
            return connections

    async def test_without_a_limit_there_are_as_many_connections_as_the_calls_need(self) -> None:
        """More than the 10 that gRPC allows by itself."""
        assert await self._connections_of(150, max_connections=0) == 15

    async def test_a_limit_above_that_of_grpc_holds_too(self) -> None:
        assert await self._connections_of(150, max_connections=12) == 12

    async def test_a_channel_that_is_never_idle_has_no_timer(self, server: Server) -> None:
        async with calling(server.url, idle_timeout_s=None) as container:
            await container.streams().Echo(b"hello")
            channel = container.channels().open(Endpoint.parse(server.url), "Streams")
            assert channel._timer is None
