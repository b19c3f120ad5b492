import asyncio
import copy
import gc
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Singleton
from grpc import StatusCode
from lazy_support import (
    STREAMS,
    Gate,
    Server,
    calling,
    container_of,
    forget_imports,
    logged_channels,
    run_script,
    serving,
    steps,
    until,
)
from streams_grpc import StreamsStub

from drive.lazy import Channels, EndpointError, Stub

GENERATED, FIRST_CALL, LATER_CALL = "generated", "lazy, first call", "lazy, later call"


@pytest.fixture(params=[GENERATED, FIRST_CALL, LATER_CALL])
async def stub(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Any]:
    """Give the stub that is the specification, and the two that must not be told from it."""
    if request.param == GENERATED:
        async with grpc.aio.insecure_channel(server.url.removeprefix("http://")) as channel:
            yield StreamsStub(channel)
        return
    async with calling(server.url, timeout_s=None, close_grace_s=0.0) as container:
        forget_imports()
        if request.param == LATER_CALL:
            await container.streams().Echo(b"warm")
            server.requests.clear()
            server.metadata.clear()
        yield container.streams()


async def three() -> AsyncIterator[bytes]:
    for request in (b"a", b"b", b"c"):
        yield request


class TestLikeTheGeneratedStub:
    """Each of these passes with grpc.aio's own stub, with a lazy one's very first call, and with its later ones."""

    async def test_a_unary_call_is_awaited_as_often_as_one_likes(self, stub: Any) -> None:
        call = stub.Echo(b"hello")
        assert await call == b"HELLO"
        assert await call == b"HELLO"

    async def test_a_call_that_went_well_tells_so(self, stub: Any) -> None:
        call = stub.Echo(b"hello")
        assert not call.done()
        assert not call.cancelled()
        await call
        assert dict(await call.initial_metadata()) == {"first": "hello"}
        assert dict(await call.trailing_metadata()) == {"last": "bye"}
        assert await call.code() is StatusCode.OK
        assert await call.details() == ""
        assert call.done()
        assert not call.cancelled()
        assert not call.cancel()

    async def test_code_and_metadata_can_be_asked_for_before_the_response(self, stub: Any) -> None:
        call = stub.Echo(b"hello")
        assert dict(await call.initial_metadata()) == {"first": "hello"}
        assert await call.code() is StatusCode.OK
        assert await call == b"HELLO"

    async def test_a_refused_call_raises_what_the_server_said(self, stub: Any) -> None:
        call = stub.Echo(b"fail")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert raised.value.code() is StatusCode.NOT_FOUND
        assert raised.value.details() == "there is no such thing"
        assert await call.code() is StatusCode.NOT_FOUND
        assert await call.details() == "there is no such thing"
        assert "no such thing" in await call.debug_error_string()
        assert dict(await call.trailing_metadata()) == {"last": "bye"}
        assert not call.cancelled()

    async def test_a_call_s_options_are_passed_on(self, stub: Any, server: Server) -> None:
        await stub.Echo(
            b"hello", metadata=(("who", "me"),), timeout=9.0, wait_for_ready=True, compression=grpc.Compression.Gzip
        )
        assert server.metadata[0]["who"] == "me"
        assert 5 < (server.time_remaining_s[-1] or 0) < 10

    async def test_a_deadline_ends_the_call(self, stub: Any) -> None:
        call = stub.Echo(b"hold", timeout=0.05)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert raised.value.code() is StatusCode.DEADLINE_EXCEEDED
        assert call.time_remaining() == 0

    async def test_the_time_that_remains_is_told_from_the_start(self, stub: Any) -> None:
        assert stub.Echo(b"hello").time_remaining() is None
        assert 5 < stub.Echo(b"hello", timeout=9.0).time_remaining() <= 9

    async def test_responses_are_iterated(self, stub: Any) -> None:
        call = stub.Count(b"123")
        assert [message async for message in call] == [b"1", b"2", b"3"]
        assert await call.code() is StatusCode.OK
        assert [message async for message in call] == []

    async def test_an_iteration_that_was_left_is_continued(self, stub: Any) -> None:
        call = stub.Count(b"123")
        async for message in call:
            assert message == b"1"
            break
        assert [message async for message in call] == [b"2", b"3"]

    async def test_responses_are_read_up_to_the_end(self, stub: Any) -> None:
        call = stub.Count(b"12")
        assert await call.read() == b"1"
        assert dict(await call.initial_metadata()) == {"first": "hello"}
        assert await call.read() == b"2"
        assert await call.read() is grpc.aio.EOF
        assert await call.read() is grpc.aio.EOF
        assert dict(await call.trailing_metadata()) == {"last": "bye"}

    async def test_iterating_and_reading_do_not_mix(self, stub: Any) -> None:
        call = stub.Count(b"12")
        assert await call.read() == b"1"
        with pytest.raises(grpc.aio.UsageError):
            await anext(aiter(call))

    async def test_a_stream_that_is_refused_raises_at_its_end(self, stub: Any) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match="no such thing"):
            [message async for message in stub.Count(b"fail")]
        with pytest.raises(grpc.aio.AioRpcError, match="no such thing"):
            await stub.Count(b"fail").read()

    async def test_requests_are_taken_from_an_iterator_of_either_kind(self, stub: Any) -> None:
        assert await stub.Join(three()) == b"abc"
        assert await stub.Join(iter([b"a", b"b"])) == b"ab"
        assert [message async for message in stub.Talk(three())] == [b"A", b"B", b"C"]

    async def test_requests_are_written(self, stub: Any) -> None:
        call = stub.Join()
        await call.write(b"a")
        await call.write(b"b")
        await call.done_writing()
        await call.done_writing()
        assert await call == b"ab"
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(b"c")

    async def test_writing_and_reading_take_turns(self, stub: Any) -> None:
        call = stub.Talk()
        await call.write(b"a")
        assert await call.read() == b"A"
        await call.write(b"b")
        assert await call.read() == b"B"
        await call.write(b"fail")
        with pytest.raises(grpc.aio.AioRpcError, match="no such thing"):
            await call.read()
        assert await call.code() is StatusCode.NOT_FOUND

    async def test_streaming_requests_take_the_timeout_by_place_too(self, stub: Any, server: Server) -> None:
        await stub.Join(three(), 9.0, (("who", "me"),))
        assert 5 < (server.time_remaining_s[-1] or 0) < 10
        assert server.metadata[0]["who"] == "me"

    async def test_one_can_wait_for_the_connection(self, stub: Any) -> None:
        for call in (stub.Count(b"1"), stub.Talk()):
            await call.wait_for_connection()
            call.cancel()

    async def test_a_call_that_is_cancelled_at_once_is_over(self, stub: Any) -> None:
        for call in (stub.Echo(b"hello"), stub.Count(b"1"), stub.Join(), stub.Talk()):
            assert call.cancel()
            assert call.done()
            assert call.cancelled()
            assert not call.cancel()
            assert await call.code() is StatusCode.CANCELLED
            assert await call.details() == "Locally cancelled by application!"
            assert await call.initial_metadata() == grpc.aio.Metadata()
            assert await call.trailing_metadata() == grpc.aio.Metadata()
            assert await call.debug_error_string() is None

    async def test_whoever_waits_for_a_cancelled_call_is_told(self, stub: Any) -> None:
        unary, stream, read, written = stub.Echo(b"hello"), stub.Count(b"1"), stub.Count(b"1"), stub.Join()
        for call in (unary, stream, read, written):
            call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await unary
        with pytest.raises(asyncio.CancelledError):
            [message async for message in stream]
        with pytest.raises(asyncio.CancelledError):
            await read.read()
        with pytest.raises(asyncio.InvalidStateError):
            await written.write(b"a")
        await written.done_writing()

    async def test_cancelling_tells_those_who_wait_already(self, stub: Any, server: Server) -> None:
        call = stub.Echo(b"hold")
        waiters = [asyncio.ensure_future(waiter) for waiter in (call.code(), call.details(), call.initial_metadata())]
        await steps(2)
        call.cancel()
        assert await asyncio.wait_for(asyncio.gather(*waiters), 20) == [
            StatusCode.CANCELLED,
            "Locally cancelled by application!",
            grpc.aio.Metadata(),
        ]

    async def test_cancelling_reaches_the_server(self, stub: Any, server: Server) -> None:
        for method, request in ((stub.Echo, b"hold"), (stub.Count, b"1!")):
            call = method(request)
            await until(lambda: server.held == 1)
            assert call.cancel()
            await until(lambda: server.held == 0)

    @pytest.mark.parametrize("way", ["await", "iterate", "read"])
    async def test_cancelling_who_waits_for_a_response_cancels_the_call(
        self, stub: Any, server: Server, way: str
    ) -> None:
        call = stub.Echo(b"hold") if way == "await" else stub.Count(b"hold")
        waiter = asyncio.ensure_future({"await": _await, "iterate": _next, "read": _read}[way](call))
        await until(lambda: server.held == 1)
        if way != "await":  # grpc.aio itself misses a cancellation between the metadata and the waiting for a message
            await call.initial_metadata()
            await steps(5)
        waiter.cancel()
        await asyncio.wait([waiter])
        assert waiter.cancelled()
        assert call.cancelled()
        await until(lambda: server.held == 0)

    async def test_cancelling_who_waits_for_the_code_leaves_the_call_alone(self, stub: Any, server: Server) -> None:
        call = stub.Echo(b"hold")
        waiters = [asyncio.ensure_future(waiter) for waiter in (call.code(), call.initial_metadata())]
        await steps(1)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)
        server.released.set()
        assert await call == b"HOLD"

    async def test_who_asked_for_it_is_told_once_when_the_call_is_over(self, stub: Any) -> None:
        told: list[Any] = []
        call = stub.Echo(b"hello")
        call.add_done_callback(told.append)
        assert told == []
        await call
        assert told == [call]
        call.add_done_callback(told.append)
        assert told == [call, call]

    async def test_who_asked_for_it_is_told_at_once_when_the_call_is_cancelled(self, stub: Any) -> None:
        told: list[Any] = []
        for call in (stub.Echo(b"hello"), stub.Talk()):
            call.add_done_callback(told.append)
            call.cancel()
            assert told == [call]
            call.add_done_callback(told.append)
            assert told == [call, call]
            told.clear()

    async def test_a_call_begins_though_nobody_waits_for_it(self, stub: Any, server: Server) -> None:
        stub.Echo(b"notice")
        await until(lambda: server.requests == [b"notice"])

    async def test_a_call_is_awaited_or_iterated_according_to_its_kind(self, stub: Any) -> None:
        with pytest.raises(TypeError, match="await"):
            await stub.Count(b"1")
        with pytest.raises(TypeError, match="__aiter__"):
            async for _ in stub.Echo(b"1"):
                pass

    async def test_an_option_that_does_not_exist_is_refused(self, stub: Any) -> None:
        with pytest.raises(TypeError, match="nonsense"):
            await stub.Echo(b"hello", nonsense=1)
        with pytest.raises(TypeError, match="positional"):
            await stub.Echo(b"hello", 9.0)


async def _await(awaitable: Any) -> Any:
    return await awaitable


async def _next(call: Any) -> Any:
    return await anext(aiter(call))


async def _read(call: Any) -> Any:
    return await call.read()


async def test_a_server_that_is_not_there_is_unavailable(first_call: None) -> None:
    async with calling("http://127.0.0.1:1") as container:
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await container.streams().Echo(b"hello")
            assert raised.value.code() is StatusCode.UNAVAILABLE


class TestNothingIsOpenedBeforeACall:
    """What costs nothing until a method is called."""

    async def test_holding_a_stub_and_its_methods_opens_nothing(self, server: Server, first_call: None) -> None:
        with logged_channels() as log:
            async with calling(server.url) as container:
                stub = container.streams()
                held = stub.Echo, stub.Count
                await steps(3)
                assert server.connections() == 0
                assert container.channels().opened_as is None
                assert await held[0](b"hello") == b"HELLO"
                assert server.connections() == 1
        assert log.verbs == ["Creating", "Closing"]

    async def test_a_stub_of_a_class_that_does_not_exist_opens_nothing(self, server: Server, first_call: None) -> None:
        with logged_channels() as log:
            async with calling(server.url, path="streams_grpc:StremsStub") as container:
                for _ in range(2):
                    with pytest.raises(
                        AttributeError, match="streams_grpc has no class 'StremsStub', which a Stub names"
                    ):
                        await container.streams().Echo(b"hello")
        assert log.verbs == []

    async def test_a_first_call_that_is_cancelled_while_grpc_is_imported_opens_nothing(
        self, server: Server, gate: Gate
    ) -> None:
        with logged_channels() as log:
            async with calling(server.url, path=gate.path) as container:
                calls = [container.streams().Echo(b"hello"), container.streams().Talk()]
                await until(lambda: len(gate.threads) == 1)
                assert all(call.cancel() for call in calls)
                gate.open()
                await asyncio.gather(*(call.code() for call in calls))
                await steps(5)
        assert log.verbs == []
        assert server.requests == []

    def test_building_and_closing_a_container_imports_neither_grpc_nor_protobuf(self) -> None:
        printed = run_script("""if True:
            import asyncio, sys
            from dependency_injector import containers, providers
            from drive.lazy import Channels, Once, Stub, lifespan

            class Container(containers.DeclarativeContainer):
                channels = providers.Singleton(Channels)
                accounts = Stub("drive.proto.account_pb2_grpc:AccountServiceStub", channels, endpoint="http://pass")
                pool = Once(asyncio.sleep, close=asyncio.sleep)

            async def main():
                container = Container()
                async with lifespan(container):
                    held = container.accounts().GetAccount, container.pool()

            asyncio.run(main())
            print([name for name in sys.modules if name.partition(".")[0] in ("grpc", "google")])
        """)
        assert printed == "[]\n"


class TestUnknownMethods:
    """A name that the service lacks is found out by calling it."""

    TEXT = "Streams has no method 'Ecoh'; it has Count, Echo, Join, Talk."

    async def test_a_later_call_of_one_raises_at_once(self, server: Server) -> None:
        async with calling(server.url) as container:
            await container.streams().Echo(b"warm")
            with pytest.raises(AttributeError) as raised:
                container.streams().Ecoh(b"hello")
            assert str(raised.value) == self.TEXT
            assert raised.value.name == "Ecoh"

    async def test_a_first_call_of_one_raises_where_it_is_awaited(self, server: Server, first_call: None) -> None:
        async with calling(server.url) as container:
            call = container.streams().Ecoh(b"hello")
            for ask in (lambda: call, call.code, call.read, call.initial_metadata):
                with pytest.raises(AttributeError) as raised:
                    await ask()
                assert str(raised.value) == self.TEXT
            assert call.done()
            assert not call.cancelled()
            assert not call.cancel()

    def test_what_python_asks_of_any_object_is_no_method(self) -> None:
        stub = container_of("http://pass").streams()
        assert not hasattr(stub, "__len__")
        assert not hasattr(stub, "_private")


class TestDeadlines:
    """Whose deadline applies, and from when."""

    async def test_the_provider_s_deadline_applies_to_calls_that_give_none(self, server: Server) -> None:
        async with calling(server.url, timeout_s=8.0) as container:
            stub = container.streams()
            await stub.Echo(b"hello")
            await stub.Echo(b"hello", timeout=None)
            [_ async for _ in stub.Count(b"1")]
            await stub.Join(three())
            await stub.Join(three(), None)
            [_ async for _ in stub.Talk(three())]
        assert len(server.time_remaining_s) == 6
        assert all(4 < (left_s or 0) < 9 for left_s in server.time_remaining_s)

    async def test_a_caller_s_own_deadline_wins(self, server: Server, first_call: None) -> None:
        async with calling(server.url, timeout_s=8.0) as container:
            stub = container.streams()
            for _ in range(2):
                await stub.Echo(b"hello", timeout=80.0)
                await stub.Join(three(), 80.0)
                await stub.Join(three(), timeout=80.0)
        assert all(40 < (left_s or 0) < 90 for left_s in server.time_remaining_s)

    async def test_without_either_a_call_has_no_deadline(self, server: Server, first_call: None) -> None:
        async with calling(server.url, timeout_s=None) as container:
            for _ in range(2):
                call = container.streams().Echo(b"hello")
                assert call.time_remaining() is None
                await call
        assert server.time_remaining_s == [None, None]

    @pytest.mark.parametrize("given", ["by keyword", "by place", "by the provider"])
    async def test_the_import_at_the_first_call_counts_against_the_deadline(
        self, server: Server, gate: Gate, given: str
    ) -> None:
        async with calling(server.url, path=gate.path, timeout_s=0.02) as container:
            join = container.streams().Join
            call = {
                "by keyword": lambda: join(three(), timeout=0.02),
                "by place": lambda: join(three(), 0.02),
                "by the provider": lambda: join(three()),
            }[given]()
            assert call.time_remaining() <= 0.02
            await until(lambda: call.time_remaining() == 0)
            gate.open()
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call
            assert raised.value.code() is StatusCode.DEADLINE_EXCEEDED
        assert server.requests == []

    async def test_what_the_import_leaves_of_the_deadline_is_the_call_s(self, server: Server, gate: Gate) -> None:
        async with calling(server.url, path=gate.path) as container:
            call = container.streams().Echo(b"hello", timeout=20.0)
            await until(lambda: call.time_remaining() < 19.9)
            gate.open()
            await call
        assert (server.time_remaining_s[0] or 20) < 19.95


class TestFirstCalls:
    """While gRPC is still being imported."""

    async def test_many_at_once_import_once_and_all_succeed(self, server: Server, gate: Gate) -> None:
        with logged_channels() as log:
            async with calling(server.url, path=gate.path) as container:
                stub = container.streams()
                calls = [stub.Echo(b"%d" % number) for number in range(100)]
                await until(lambda: len(gate.threads) == 1)
                gate.open()
                assert list(await asyncio.gather(*calls)) == [b"%d" % number for number in range(100)]
                assert server.connections() == 1
        assert len(gate.threads) == 1
        assert log.verbs == ["Creating", "Closing"]
        assert log.lines[0]["service"] == "Streams"

    async def test_cancelling_some_of_them_harms_no_other(self, server: Server, gate: Gate) -> None:
        async with calling(server.url, path=gate.path) as container:
            calls = [container.streams().Echo(b"hello") for _ in range(10)]
            waiters = [asyncio.ensure_future(_await(call)) for call in calls]
            await until(lambda: len(gate.threads) == 1)
            for waiter in waiters[::2]:
                waiter.cancel()
            gate.open()
            assert await asyncio.gather(*waiters[1::2]) == [b"HELLO"] * 5
            await asyncio.wait(waiters)
            assert all(waiter.cancelled() for waiter in waiters[::2])
            assert all(call.cancelled() for call in calls[::2])
        assert server.requests == [b"hello"] * 5

    @pytest.mark.parametrize("after_steps", [*range(12), 20, 40, 80, 160])
    async def test_whenever_one_is_cancelled_the_others_succeed_on_one_channel(
        self, server: Server, first_call: None, after_steps: int
    ) -> None:
        with logged_channels() as log:
            async with calling(server.url) as container:
                waiters = [asyncio.ensure_future(_await(container.streams().Echo(b"hello"))) for _ in range(4)]
                await steps(after_steps)
                waiters[0].cancel()
                waiters[2].cancel()
                assert list(await asyncio.gather(waiters[1], waiters[3])) == [b"HELLO"] * 2
                await asyncio.wait(waiters)
                assert await container.streams().Echo(b"again") == b"AGAIN"
        assert log.verbs == ["Creating", "Closing"]

    async def test_an_import_error_is_raised_and_the_next_call_tries_again(self, server: Server, gate: Gate) -> None:
        gate.failures.append(ImportError("grpcio is not installed"))
        gate.open()
        told: list[Any] = []
        async with calling(server.url, path=gate.path) as container:
            call = container.streams().Echo(b"hello")
            call.add_done_callback(told.append)
            with pytest.raises(ImportError, match="not installed"):
                await call
            assert call.done()
            assert told == [call]
            call.add_done_callback(told.append)
            assert told == [call, call]
            assert await container.streams().Echo(b"hello") == b"HELLO"

    async def test_one_that_fails_and_that_nobody_awaits_is_silent_as_in_grpc(self, server: Server, gate: Gate) -> None:
        unhandled: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
        gate.failures.append(ImportError("grpcio is not installed"))
        told: list[Any] = []
        container_of(server.url, path=gate.path).streams().Echo(b"hello").add_done_callback(told.append)
        gate.open()
        await until(lambda: bool(told))
        told.clear()
        gc.collect()
        await steps(3)
        assert unhandled == []

    @pytest.mark.leaks("task")
    def test_one_that_is_under_way_when_its_loop_ends_is_cancelled(self, gate: Gate) -> None:
        told: list[Any] = []

        async def main() -> Any:
            call = container_of("http://127.0.0.1:1", path=gate.path).streams().Echo(b"hello")
            call.add_done_callback(told.append)
            await until(lambda: len(gate.threads) == 1)
            return call

        call = asyncio.run(main())
        assert call.done()
        assert call.cancelled()
        assert told == [call]


class TestProvider:
    """What a container gives."""

    def test_it_gives_one_stub_per_container_and_keeps_its_methods(self) -> None:
        container = container_of("http://pass:5001")
        stub = container.streams()
        assert stub is container.streams()
        assert stub.Echo is stub.Echo
        assert repr(stub) == "<lazy StreamsStub at http://pass:5001>"
        assert repr(stub.Echo) == "<lazy rpc Streams.Echo at http://pass:5001>"

    def test_an_endpoint_that_cannot_be_called_is_refused_before_any_call(self) -> None:
        with pytest.raises(EndpointError, match="pass:5001"):
            container_of("pass:5001").streams()

    async def test_containers_and_copies_of_them_share_neither_stubs_nor_channels(self, server: Server) -> None:
        class Container(DeclarativeContainer):
            channels = Singleton(Channels)
            streams: "Stub[StreamsStub]" = Stub(STREAMS, channels, endpoint=server.url)

        used = Container()
        with logged_channels() as log:
            await used.streams().Echo(b"hello")
            others = [Container(), copy.deepcopy(used), copy.deepcopy(Container())]
            for other in others:
                assert isinstance(other.streams, Stub)
                assert other.channels.provides is Channels
                assert await other.streams().Echo(b"hello") == b"HELLO"
                await other.channels().aclose()
            assert await used.streams().Echo(b"still open") == b"STILL OPEN"
            await used.channels().aclose()
        assert len({id(container.streams()) for container in [used, *others]}) == 4
        assert log.verbs.count("Creating") == 4

    async def test_an_overriding_provider_replaces_it_as_any_other(self, server: Server) -> None:
        container = container_of(server.url)
        fake = object()
        with container.streams.override(fake):
            assert container.streams() is fake

    async def test_a_stub_of_the_generated_kind_works(self) -> None:
        """With messages of protobuf, over a socket, and with a service that the server does not know."""
        from drive.proto.realm_pb2 import GetRealmRequest

        async with (
            serving() as server,
            calling(server.url, path="drive.proto.realm_pb2_grpc:RealmServiceStub") as container,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await container.streams().GetRealm(GetRealmRequest(slug="a"))
            assert raised.value.code() is StatusCode.UNIMPLEMENTED


def test_idempotent_methods_are_a_list() -> None:
    with pytest.raises(TypeError, match=r"idempotent='Echo' is a text. Write idempotent=\['Echo'\]"):
        Stub(STREAMS, Singleton(Channels), endpoint="http://pass", idempotent="Echo")
