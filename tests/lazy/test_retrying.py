"""Which calls are sent again, and what a caller sees of it: nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Singleton
from grpc import StatusCode
from http2_support import OK, REFUSED, UNAVAILABLE, Answer, Http2Server, http2_server
from lazy_support import STREAMS, forget_imports, serving, steps, until

from drive.lazy import Channels, Stub, lifespan, retrying
from drive.lazy.channel import ChannelSnapshot


class Client:
    """A container with a lazy stub of one server."""

    def __init__(self, url: str, idempotent: tuple[str, ...], timeout_s: float | None) -> None:
        class Container(DeclarativeContainer):
            channels = Singleton(Channels, close_grace_s=0.0)
            streams: "Stub[Any]" = Stub(STREAMS, channels, endpoint=url, timeout_s=timeout_s, idempotent=idempotent)

        self.container = Container()
        self.stub = self.container.streams()
        self.channels = self.container.channels()

    @property
    def usage(self) -> ChannelSnapshot:
        (snapshot,) = self.channels.snapshot()
        return snapshot

    @property
    def is_waiting(self) -> bool:
        """Whether a call waits to be sent again."""
        return any(channel.waiting for here in self.channels._by_loop.values() for channel in here.open.values())


@asynccontextmanager
async def calling(
    *answers: Answer, idempotent: tuple[str, ...] = (), timeout_s: float | None = 30.0
) -> AsyncIterator[tuple[Client, Http2Server]]:
    async with http2_server(*answers) as server:
        client = Client(server.url, idempotent, timeout_s)
        async with lifespan(client.container):
            yield client, server


@pytest.fixture
def endless_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make calls wait for longer than the test lasts before they are sent again."""
    monkeypatch.setattr(retrying, "_FIRST_BACKOFF_S", 1000.0)
    monkeypatch.setattr(retrying, "_BACKOFF_MAX_S", 1000.0)


async def echo(client: Client) -> object:
    return await client.stub.Echo(b"?")


async def read(client: Client) -> object:
    return await client.stub.Count(b"?").read()


async def iterate(client: Client) -> object:
    return b"".join([message async for message in client.stub.Count(b"?")])


async def ask_for_the_code(client: Client) -> object:
    call = client.stub.Echo(b"?")
    assert await call.code() is StatusCode.OK
    return await call


WAYS = [echo, read, iterate, ask_for_the_code]


class TestRefusedStreams:
    """The server says that it did not process the call."""

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("is_first", [True, False])
    async def test_the_call_is_sent_again_whatever_its_method(
        self, way: Callable[[Client], Awaitable[object]], is_first: bool
    ) -> None:
        async with calling(REFUSED, REFUSED, OK) as (client, server):
            if is_first:
                forget_imports()
            assert await way(client) == b"yes"
            assert server.streams == 3
            await until(lambda: client.usage.calls_in_flight == 0)
            usage = client.usage
            assert (usage.calls_made, usage.retries, usage.failures) == (1, 2, {})

    async def test_it_is_sent_again_though_nobody_waits_for_it(self) -> None:
        async with calling(REFUSED, OK) as (client, server):
            call = client.stub.Echo(b"?")
            told: list[object] = []
            await until(lambda: hasattr(call, "_bound") or call._call is not None)
            call.add_done_callback(told.append)
            await until(lambda: server.streams == 2 and call.done())
            assert told == [call]
            assert client.usage.calls_in_flight == 0
            assert await call == b"yes"

    async def test_one_that_is_always_refused_fails_in_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retrying, "_BACKOFF_MAX_S", 0.01)
        async with calling(REFUSED) as (client, server):
            for number in (1, 2):
                call = client.stub.Echo(b"?")
                told: list[object] = []
                call.add_done_callback(told.append)
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await call
                assert raised.value.code() is await call.code() is StatusCode.UNAVAILABLE
                assert "RST_STREAM" in await call.details()
                assert "RST_STREAM" in await call.debug_error_string()
                assert call.done()
                assert not call.cancelled()
                assert not call.cancel()
                assert told == [call]
                assert server.streams == retrying._REFUSED_ATTEMPTS_MAX * number
                assert client.usage.failures == {"UNAVAILABLE": number}
                assert client.usage.calls_in_flight == 0

    async def test_everybody_who_waits_sees_only_the_last_attempt(self) -> None:
        async with calling(REFUSED, REFUSED, OK) as (client, _server):
            call = client.stub.Echo(b"?")

            async def response() -> object:
                return await call

            answers = await asyncio.gather(
                response(),
                call.code(),
                call.details(),
                call.initial_metadata(),
                call.trailing_metadata(),
                call.wait_for_connection(),
                response(),
            )
            assert answers == [b"yes", StatusCode.OK, "", grpc.aio.Metadata(), grpc.aio.Metadata(), None, b"yes"]

    async def test_streams_of_requests_are_not_sent_again(self) -> None:
        """What was sent of them nobody has a second time."""

        async def requests() -> AsyncIterator[bytes]:
            yield b"?"

        async with calling(REFUSED) as (client, server):
            await client.stub.Echo(b"?").code()
            seen = server.streams
            assert await client.stub.Join(requests()).code() is not StatusCode.OK
            assert server.streams == seen + 1
            assert client.usage.calls_in_flight == 0

    async def test_a_grpc_server_that_is_overloaded_refuses_nobody_for_good(self) -> None:
        """A server of gRPC refuses streams beyond its limit, at random once there are more than it likes."""
        async with serving(options=[("grpc.max_concurrent_streams", 20)]) as server:
            client = Client(server.url, (), None)
            async with lifespan(client.container):
                calls = [client.stub.Echo(b"x") for _ in range(1000)]
                assert await asyncio.gather(*calls) == [b"X"] * len(calls)
                streams = [iterate(client) for _ in range(300)]
                assert await asyncio.gather(*streams) == [b"?"] * len(streams)
                assert client.usage.retries > 0
                assert client.usage.failures == {}


class TestUnavailable:
    """The server may have processed the call."""

    @pytest.mark.parametrize("way", WAYS)
    async def test_one_of_an_idempotent_method_is_sent_again(self, way: Callable[[Client], Awaitable[object]]) -> None:
        async with calling(UNAVAILABLE, UNAVAILABLE, OK, idempotent=("Echo", "Count")) as (client, server):
            assert await way(client) == b"yes"
            assert server.streams == 3
            assert client.usage.retries == 2

    async def test_a_server_that_stays_unavailable_is_reported_soon(self) -> None:
        async with calling(UNAVAILABLE, idempotent=("Echo",)) as (client, server):
            assert await client.stub.Echo(b"?").code() is StatusCode.UNAVAILABLE
            assert server.streams == retrying._UNAVAILABLE_ATTEMPTS_MAX < retrying._REFUSED_ATTEMPTS_MAX

    @pytest.mark.parametrize("method", ["Echo", "Count"])
    async def test_one_of_another_method_is_not(self, method: str) -> None:
        async with calling(UNAVAILABLE, OK, idempotent=("Other",)) as (client, server):
            call = getattr(client.stub, method)(b"?")
            assert await call.code() is StatusCode.UNAVAILABLE
            assert await call.details() == "come back later"
            assert server.streams == 1

    @pytest.mark.parametrize("status", [code for code in StatusCode if code is not StatusCode.UNAVAILABLE])
    async def test_no_other_status_is_a_reason_to_send_it_again(self, status: StatusCode) -> None:
        answer = Answer((b"yes",) if status is StatusCode.OK else (), status.value[0], "so it is")
        async with calling(answer, OK, idempotent=("Echo",)) as (client, server):
            assert await client.stub.Echo(b"?").code() is status
            assert server.streams == 1
            assert client.usage.failures == ({} if status is StatusCode.OK else {status.name: 1})

    async def test_a_relayed_refusal_is_none(self) -> None:
        """Who relays what it was told has processed the call."""
        relayed = Answer(status=14, details=f"accounts: {retrying._REFUSED}")
        async with calling(relayed, OK) as (client, server):
            assert await client.stub.Echo(b"?").code() is StatusCode.UNAVAILABLE
            assert server.streams == 1

    @pytest.mark.parametrize("is_read", [True, False])
    async def test_a_stream_of_which_a_part_was_read_is_not_begun_again(self, is_read: bool) -> None:
        half = Answer((b"half",), 14, "broken")
        async with calling(half, idempotent=("Count",)) as (client, server):
            call = client.stub.Count(b"?")
            assert (await call.read() if is_read else await anext(call)) == b"half"
            with pytest.raises(grpc.aio.AioRpcError, match="broken"):
                await call.read() if is_read else await anext(call)
            assert server.streams == 1


class TestDeadlines:
    """All attempts, and the waiting between them, are within the one deadline."""

    @pytest.mark.parametrize("way", [echo, read])
    async def test_there_is_no_waiting_beyond_it(
        self, way: Callable[[Client], Awaitable[object]], endless_backoff: None
    ) -> None:
        async with calling(REFUSED) as (client, server):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await way(client)
            assert raised.value.code() is StatusCode.UNAVAILABLE
            assert server.streams == 1

    async def test_what_is_left_of_it_is_the_next_attempt_s(self) -> None:
        async with calling(REFUSED, OK, timeout_s=20.0) as (client, _server):
            call = client.stub.Echo(b"?")
            await call
            assert 0 < call.time_remaining() < 20.0

    async def test_it_can_be_asked_for_while_the_call_waits(self, endless_backoff: None) -> None:
        async with calling(REFUSED, timeout_s=9999.0) as (client, _server):
            call = client.stub.Echo(b"?")
            await until(lambda: client.is_waiting)
            assert 9000 < call.time_remaining() < 9999
            assert not call.done()
            assert client.usage.calls_in_flight == 1


class TestCancelling:
    """Also while the call waits to be sent again."""

    @pytest.fixture
    async def client(self, endless_backoff: None) -> AsyncIterator[Client]:
        async with calling(REFUSED, timeout_s=None) as (client, server):
            yield client
            assert server.streams == 1
            assert client.usage.calls_in_flight == 0

    async def test_the_call(self, client: Client) -> None:
        call = client.stub.Echo(b"?")
        told: list[object] = []
        call.add_done_callback(told.append)
        await until(lambda: client.is_waiting)
        assert call.cancel()
        assert not call.cancel()
        assert call.cancelled()
        assert call.done()
        assert told == [call]
        assert await call.code() is StatusCode.CANCELLED
        with pytest.raises(asyncio.CancelledError):
            await call
        assert client.usage.failures == {"CANCELLED": 1}

    @pytest.mark.parametrize("way", [echo, read, iterate])
    async def test_who_waits_for_a_response(self, client: Client, way: Callable[[Client], Awaitable[object]]) -> None:
        waiter = asyncio.ensure_future(way(client))
        await until(lambda: client.is_waiting)
        await steps(3)
        waiter.cancel()
        await asyncio.wait([waiter])
        assert waiter.cancelled()
        assert client.usage.failures == {"CANCELLED": 1}

    async def test_who_waits_for_the_code_leaves_the_call_alone(self, client: Client) -> None:
        call = client.stub.Echo(b"?")
        waiter = asyncio.ensure_future(call.code())
        await until(lambda: client.is_waiting)
        waiter.cancel()
        await asyncio.wait([waiter])
        assert not call.done()
        call.cancel()

    async def test_closing_tells_why_the_last_attempt_failed(self, client: Client) -> None:
        call = client.stub.Echo(b"?")
        waiter = asyncio.ensure_future(call.code())
        await until(lambda: client.is_waiting)
        await client.channels.aclose()
        assert await waiter is StatusCode.UNAVAILABLE
        assert not client.is_waiting


async def test_who_waits_is_cancelled_at_any_moment() -> None:
    """Whenever it comes, the waiter is cancelled or has its answer, and nothing stays in flight."""
    async with calling(REFUSED, REFUSED, OK) as (client, server):
        await echo(client)
        for moment in range(60):
            server.streams = 0
            waiter = asyncio.ensure_future(echo(client))
            await steps(moment)
            waiter.cancel()
            await asyncio.wait([waiter])
            assert waiter.cancelled() or waiter.result() == b"yes"
            await until(lambda: client.usage.calls_in_flight == 0 and not client.is_waiting)
