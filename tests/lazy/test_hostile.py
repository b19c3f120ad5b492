"""What careless or unlucky users do to drive.lazy, and what they may rely on nevertheless."""

import asyncio
import copy
import dataclasses
import gc
import json
import pickle
import threading
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Singleton
from grpc import StatusCode
from http2_support import OK, REFUSED, UNAVAILABLE, Answer, http2_server
from lazy_support import (
    STREAMS,
    Server,
    calling,
    container_of,
    forget_imports,
    logged_channels,
    serving,
    steps,
    until,
)
from streams_grpc import StreamsStub

from drive.lazy import Channels, EndpointError, Lazy, Stub
from drive.lazy.channel import open_channels

_TOKEN = grpc.access_token_call_credentials("token")


async def outcome(call: Callable[[], Awaitable[object]]) -> object:
    """Return what a call answers; or how it fails, as text."""
    try:
        return await call()
    except grpc.aio.AioRpcError as error:
        return error.code()
    except (LookupError, TypeError, ValueError, grpc.aio.UsageError, asyncio.CancelledError) as error:
        return f"{type(error).__name__}: {error}"


def in_flight(container: Any) -> int:
    """Count the calls that are under way."""
    return sum(snapshot.calls_in_flight for snapshot in container.channels().snapshot())


class TestBadInput:
    """It fails as with the generated stub, at the first call and at later ones, and is not counted for ever."""

    @pytest.mark.parametrize(
        "call",
        [
            pytest.param(lambda stub: stub.Echo(), id="no request"),
            pytest.param(lambda stub: stub.Echo(request=b"x"), id="request by name"),
            pytest.param(lambda stub: stub.Echo(b"x", retries=3), id="unknown option"),
            pytest.param(lambda stub: stub.Echo(b"x", timeout=-1), id="negative timeout"),
            pytest.param(lambda stub: stub.Echo(b"x", timeout=float("nan")), id="timeout that is no number"),
            pytest.param(lambda stub: stub.Echo(b"x", timeout=float("inf")), id="endless timeout"),
            pytest.param(lambda stub: stub.Echo(b"x", timeout="5"), id="timeout as text"),
            pytest.param(lambda stub: stub.Echo(b"x", compression="gzip"), id="unknown compression"),
            pytest.param(lambda stub: stub.Echo(b"x" * 999, compression=grpc.Compression.Gzip), id="compression"),
            pytest.param(lambda stub: stub.Echo(b"x", credentials=_TOKEN), id="credentials without TLS"),
            pytest.param(lambda stub: stub.Join(iter([b"x"]), credentials=_TOKEN), id="for a stream, too"),
            pytest.param(lambda stub: stub.Echo(b"x", metadata=(("k", "v" * 2_000_000),)), id="huge metadata"),
            pytest.param(lambda stub: stub.Echo(b"x", metadata=(("k", 5),)), id="metadata that is no text"),
            pytest.param(lambda stub: stub.Echo(b"x", metadata=[("k",)]), id="metadata without value"),
            pytest.param(lambda stub: stub.Echo(b"x", metadata=(("k-bin", "v"),)), id="binary metadata as text"),
            pytest.param(lambda stub: stub.Join(5), id="requests that cannot be iterated"),
            pytest.param(lambda stub: stub.Join(iter(["text"])), id="request of the wrong type"),
            pytest.param(lambda stub: stub.Join(map(_fail, [b"x"])), id="requests that fail"),
        ],
    )
    async def test_it_is_refused_as_by_the_generated_stub(
        self, server: Server, call: Callable[[Any], Awaitable[object]]
    ) -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            generated = await outcome(lambda: call(StreamsStub(channel)))
        async with calling(server.url) as container:
            forget_imports()
            assert await outcome(lambda: call(container.streams())) == generated
            assert await outcome(lambda: call(container.streams())) == generated
            await until(lambda: gc.collect() >= 0 and not in_flight(container))

    @pytest.mark.parametrize("url", [None, 5001, b"http://pass:5001"])
    async def test_an_endpoint_that_is_no_text_names_the_stub(self, url: Any) -> None:
        with pytest.raises(EndpointError, match=r"streams_grpc:StreamsStub: .* is no endpoint: it is no text"):
            container_of(url).streams()

    async def test_a_callback_that_fails_is_no_other_s_trouble_than_with_the_generated_stub(
        self, server: Server
    ) -> None:
        async with calling(server.url) as container:
            for _ in range(2):
                call = container.streams().Echo(b"hello")
                call.add_done_callback(_fail)
                assert await outcome(lambda call=call: call) == "LookupError: mine"  # type: ignore[misc]
                assert await call == b"HELLO"
            await until(lambda: in_flight(container) == 0)


def _fail(_of: object) -> Any:
    raise LookupError("mine")


class TestServersThatMisbehave:
    """Their calls fail, within their deadline; the endpoint works again as soon as the server does."""

    @pytest.mark.parametrize(
        "greeting",
        [
            pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="HTTP/1"),
            pytest.param(bytes(range(17, 256)) * 16, id="noise"),
            pytest.param(b"\0\0\0\4\0\0\0\0\0" + b"\xff" * 500, id="HTTP/2 and noise"),
            pytest.param(b"", id="nothing"),
        ],
    )
    async def test_one_that_sends_garbage_is_unavailable(self, greeting: bytes) -> None:
        async with _greeting(greeting) as url, calling(url) as container:
            stub = container.streams()
            for call in (lambda: stub.Echo(b"x"), lambda: anext(stub.Count(b"x")), lambda: stub.Join(iter([b"x"]))):
                assert await outcome(call) is StatusCode.UNAVAILABLE
            assert in_flight(container) == 0

    async def test_a_unix_socket_that_vanishes_and_comes_back(self, tmp_path: Path) -> None:
        url = f"unix:{tmp_path}/s"
        async with calling(url) as container:
            echo = container.streams().Echo
            for _ in range(2):
                assert await outcome(lambda: echo(b"x")) is StatusCode.UNAVAILABLE
                waiting = echo(b"hello", wait_for_ready=True)
                async with serving(url):
                    assert await waiting == b"HELLO"
            await until(lambda: in_flight(container) == 0)

    @pytest.mark.parametrize("is_first", [True, False])
    async def test_who_waits_for_one_that_never_comes_is_told_at_the_deadline_or_cancelled(
        self, tmp_path: Path, is_first: bool
    ) -> None:
        async with calling(f"unix:{tmp_path}/s", timeout_s=None, close_grace_s=0.0) as container:
            echo = container.streams().Echo
            if is_first:
                forget_imports()
            else:
                assert await outcome(lambda: echo(b"x")) is StatusCode.UNAVAILABLE
            assert await outcome(lambda: echo(b"x", wait_for_ready=True, timeout=0.05)) is StatusCode.DEADLINE_EXCEEDED
            cancelled, closed = echo(b"x", wait_for_ready=True), echo(b"x", wait_for_ready=True)
            await until(lambda: in_flight(container) == 2)
            cancelled.cancel()
            await container.channels().aclose()
            codes = [await call.code() for call in (cancelled, closed)]
            assert codes == [StatusCode.CANCELLED] * 2


@asynccontextmanager
async def _greeting(greeting: bytes) -> AsyncIterator[str]:
    """Give the address of a server that says this to whoever connects, and hangs up."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class TestThreads:
    """Event loops in several threads share a container, and nothing else."""

    async def test_they_call_at_once_while_their_channels_are_closed_as_idle(self, server: Server) -> None:
        """And each is told of its own calls only."""
        container = container_of(server.url, idle_timeout_s=0.001)
        stub = container.streams()

        async def use() -> tuple[int, dict[str, int]]:
            for _ in range(20):
                calls = [stub.Echo(b"x"), stub.Join(iter([b"y"])), anext(stub.Count(b"z")), stub.Echo(b"fail")]
                *answers, failure = await asyncio.gather(*calls, return_exceptions=True)
                assert answers == [b"X", b"y", b"z"]
                assert isinstance(failure, grpc.aio.AioRpcError)
                await until(lambda: not in_flight(container))
            (snapshot,) = container.channels().snapshot()
            await container.channels().aclose()
            return snapshot.calls_made, snapshot.failures

        told = await asyncio.gather(*(asyncio.to_thread(lambda: asyncio.run(use())) for _ in range(3)))
        assert told == [(80, {"NOT_FOUND": 20})] * 3

    async def test_another_thread_is_told_of_nothing(self, server: Server) -> None:
        async with calling(server.url) as container:
            await container.streams().Echo(b"hello")
            told: list[object] = []
            thread = threading.Thread(target=lambda: told.append(container.channels().snapshot()))
            thread.start()
            await asyncio.to_thread(thread.join)
            assert told == [[]]
            assert len(container.channels().snapshot()) == 1


class TestForgottenContainers:
    """A container may be dropped at any time."""

    async def test_its_calls_under_way_answer_and_then_its_channel_is_closed(self, server: Server) -> None:
        container = container_of(server.url, idle_timeout_s=0.01)
        forgotten = weakref.ref(container.channels())
        with logged_channels() as log:
            call, stream = container.streams().Echo(b"hold"), container.streams().Count(b"12!")
            await until(lambda: server.held == 2)
            del container
            gc.collect()
            server.released.set()
            assert await call == b"HOLD"
            assert [message async for message in stream] == [b"1", b"2", b"!"]
            await until(lambda: log.verbs == ["Creating", "Closing"])
        del call, stream
        await until(lambda: gc.collect() >= 0 and forgotten() is None)
        assert not open_channels


class TestAnyObject:
    """A stub is held, compared, shown and copied as any other object, which opens nothing."""

    async def test_it_is_a_field_of_a_dataclass(self) -> None:
        @dataclasses.dataclass(frozen=True)
        class Handler:
            stub: Any

        stub, other = (container_of("http://pass:5001").streams() for _ in range(2))
        assert Handler(stub) == Handler(stub) != Handler(other)
        assert len({Handler(stub), Handler(stub), Handler(other)}) == 2
        assert repr(Handler(stub)).endswith("(stub=<lazy StreamsStub at http://pass:5001>)")

    async def test_it_is_logged(self) -> None:
        stub = container_of("http://pass:5001").streams()
        rendered = structlog.processors.JSONRenderer()(None, "info", {"stub": stub, "rpc": stub.Echo})
        assert json.loads(rendered) == {
            "stub": "<lazy StreamsStub at http://pass:5001>",
            "rpc": "<lazy rpc Streams.Echo at http://pass:5001>",
        }

    async def test_a_copy_of_it_calls_on_the_same_channel(self, server: Server) -> None:
        async with calling(server.url) as container:
            stub = container.streams()
            with logged_channels() as log:
                for _ in range(2):
                    assert await copy.copy(stub).Echo(b"hello") == b"HELLO"
                    assert await stub.Echo(b"hello") == b"HELLO"
            assert log.verbs == ["Creating"]

    @pytest.mark.parametrize("is_open", [False, True])
    async def test_so_does_a_deep_one_and_none_leaves_the_process(self, server: Server, *, is_open: bool) -> None:
        """As `dataclasses.asdict` makes one."""
        async with calling(server.url) as container:
            stub = container.streams()
            with logged_channels() as log:
                if is_open:
                    await stub.Echo(b"hello")
                assert await copy.deepcopy(stub).Echo(b"hello") == b"HELLO"
                assert await stub.Echo(b"hello") == b"HELLO"
            assert log.verbs == ["Creating"]
            with pytest.raises(TypeError, match="build a container in the other"):
                pickle.dumps(stub)


class TestInterceptors:
    """What watches calls puts interceptors on every channel, by replacing what makes one."""

    @pytest.mark.parametrize("method", ["Echo", "Count"])
    @pytest.mark.parametrize("answers", [(REFUSED, OK), (UNAVAILABLE,)])
    async def test_calls_are_sent_again_and_counted_all_the_same(
        self, monkeypatch: pytest.MonkeyPatch, method: str, answers: tuple[Answer, ...]
    ) -> None:
        make: Any = grpc.aio.insecure_channel
        monkeypatch.setattr(
            grpc.aio,
            "insecure_channel",
            lambda *args, **kwargs: make(*args, interceptors=[Unary(), Stream()], **kwargs),
        )
        async with http2_server(*answers) as server, calling(server.url) as container:
            call = getattr(container.streams(), method)(b"x")
            answer = await outcome(lambda: call if method == "Echo" else anext(call))
            assert answer == (b"yes" if OK in answers else StatusCode.UNAVAILABLE)
            call.cancel()
            await until(lambda: in_flight(container) == 0)
            assert container.channels().snapshot()[0].retries == len(answers) - 1


class Unary(grpc.aio.UnaryUnaryClientInterceptor):
    """Passes calls on."""

    async def intercept_unary_unary(self, go_on: Any, details: Any, request: Any) -> Any:
        """Pass a call on."""
        return await go_on(details, request)


class Stream(grpc.aio.UnaryStreamClientInterceptor):
    """Passes calls on."""

    async def intercept_unary_stream(self, go_on: Any, details: Any, request: Any) -> Any:
        """Pass a call on."""
        return await go_on(details, request)


class TestCycles:
    """What needs itself can never be opened, and says so."""

    async def test_of_values(self) -> None:
        async def open_pool() -> object:
            return await cache()

        async def open_cache() -> object:
            return await pool()

        pool: Lazy[object] = Lazy(open_pool, close=None)
        cache: Lazy[object] = Lazy(open_cache, close=None)
        with pytest.raises(RuntimeError, match="open_pool needs itself"):
            await pool()


class TestCrowds:
    """Many of everything."""

    @pytest.mark.parametrize("begin", [lambda stub: stub.Echo(b"hold"), lambda stub: stub.Join(iter([b"x"]))])
    async def test_whoever_cancels_whatever_and_whenever_nothing_is_left(
        self, server: Server, begin: Callable[[Any], Any]
    ) -> None:
        """The call, who waits for it, or both; before it was sent, and after."""
        async with calling(server.url, idle_timeout_s=0.001) as container:
            stub = container.streams()
            for turns in range(1, 21):  # before the first, nobody waits for the call yet
                calls = [begin(stub) for _ in range(30)]
                tasks = [asyncio.create_task(outcome(lambda call=call: call)) for call in calls]  # type: ignore[misc]
                await steps(turns)
                for number, (call, task) in enumerate(zip(calls, tasks, strict=True)):
                    for cancelled in ([call], [task], [call, task], [task, call])[number % 4]:
                        cancelled.cancel()
                await asyncio.wait(tasks)
            await until(lambda: server.held == 0 and in_flight(container) == 0)
            del calls, tasks, call, task, cancelled
            await until(lambda: server.connections() == 0)

    async def test_ten_thousand_stubs_take_two_kib_each_and_open_nothing(self) -> None:
        assert _bytes_per_stub(10_000) < 2048
        assert not open_channels


def _bytes_per_stub(count: int) -> float:
    """Build a container with so many stubs, each of an endpoint of its own, and all of them."""
    tracemalloc.start()
    try:
        channels = Singleton(Channels)
        stubs: dict[str, Any] = {}
        for number in range(count):
            stub: Stub[Any] = Stub(STREAMS, channels, endpoint=f"http://host-{number}:1", timeout_s=5.0)
            stubs[f"stub_{number}"] = stub
        container: Any = type("Container", (DeclarativeContainer,), {"channels": channels, **stubs})()
        built = [getattr(container, name)() for name in stubs]
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / len(built)
    finally:
        tracemalloc.stop()
