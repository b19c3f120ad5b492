import asyncio
import gc
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc import StatusCode
from lazy_support import (
    Server,
    calling,
    connections_to,
    container_of,
    forget_imports,
    logged_channels,
    run_script,
    serving,
    steps,
    until,
)
from structlog.testing import capture_logs

from drive.lazy import Channels, ChannelsClosedError, Endpoint, Tls, load
from drive.lazy.retrying import Bound

SERVICE = "Streams"


def endpoint_of(server: Server) -> Endpoint:
    return Endpoint.parse(server.url)


class TestOpening:
    """One channel per endpoint, by the first call."""

    async def test_concurrent_calls_share_one_channel_and_one_connection(self, server: Server) -> None:
        async with calling(server.url) as container:
            stub = container.streams()
            with logged_channels() as log:
                answers = await asyncio.gather(*(stub.Echo(b"hello") for _ in range(200)))
                assert answers == [b"HELLO"] * 200
            assert log.lines == [
                {
                    "event": "Creating gRPC channel",
                    "log_level": "info",
                    "endpoint": server.url,
                    "service": SERVICE,
                    "max_connections": 2,
                    "pid": log.lines[0]["pid"],
                }
            ]
            assert server.connections() == 1

    async def test_two_spellings_of_an_endpoint_share_a_channel(self, server: Server) -> None:
        channels = Channels()
        await load(*Channels.modules)
        with logged_channels() as log:
            opened = [
                channels.open(Endpoint.parse(url), SERVICE)
                for url in (
                    server.url,
                    f"{server.url}/",
                    f"HTTP://127.0.0.1:{server.port}",
                    f"dns:///127.0.0.1:{server.port}",
                )
            ]
        assert all(channel is opened[0] for channel in opened)
        assert log.verbs == ["Creating"]
        await channels.aclose()

    async def test_another_endpoint_has_its_own_channel(self, server: Server) -> None:
        channels = Channels()
        await load(*Channels.modules)
        with logged_channels() as log:
            one = channels.open(endpoint_of(server), SERVICE)
            assert channels.open(Endpoint.parse("http://127.0.0.1:1"), SERVICE) is not one
            await channels.aclose()
        assert log.verbs == ["Creating", "Creating", "Closing", "Closing"]

    async def test_a_channel_over_a_unix_socket_works(self, tmp_path: Path) -> None:
        url = f"unix:{tmp_path}/s"
        async with serving(url), calling(url) as container:
            assert await container.streams().Echo(b"hello") == b"HELLO"

    async def test_a_message_may_be_as_large_as_the_limit_says_in_both_directions(self) -> None:
        mib = 1024 * 1024
        receiving = [("grpc.max_receive_message_length", 9 * mib)]
        async with serving(options=receiving) as server, calling(server.url, max_message_bytes=6 * mib) as container:
            assert len(await container.streams().Echo(b"x" * 5 * mib)) == 5 * mib  # gRPC's own limit is 4
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await container.streams().Echo(b"x" * 7 * mib)
            assert raised.value.code() is StatusCode.RESOURCE_EXHAUSTED
            assert len(server.requests) == 1

    async def test_whether_it_works_is_told_only_where_there_is_a_channel(self, server: Server) -> None:
        async with calling(server.url) as container:
            channels = container.channels()
            assert channels.is_connected(endpoint_of(server)) is None
            assert server.connections() == 0
            await container.streams().Echo(b"hello")
            assert channels.is_connected(endpoint_of(server)) is True
            await server.grpc_server.stop(None)
            async with asyncio.timeout(20):
                while channels.is_connected(endpoint_of(server)):  # idle at first: the next call finds it out
                    assert await container.streams().Echo(b"hello").code() is StatusCode.UNAVAILABLE
            assert channels.is_connected(endpoint_of(server)) is False

    def test_outside_of_an_event_loop_there_is_none(self) -> None:
        channels = Channels()
        assert channels.opened_as is None
        assert channels.is_connected(Endpoint.parse("http://pass")) is None


class TestTls:
    """Endpoints with https."""

    async def test_the_server_and_the_client_prove_who_they_are(self, certificates: Path) -> None:
        key, certificate = certificates / "localhost.key", certificates / "localhost.pem"
        trusted = certificate.read_bytes()
        credentials = grpc.ssl_server_credentials([(key.read_bytes(), trusted)], trusted, require_client_auth=True)
        files = Tls(ca_file=certificate, cert_file=certificate, key_file=key)
        async with serving("localhost:0", credentials) as server:
            async with calling(f"https://localhost:{server.port}", tls=files) as container:
                assert await container.streams().Echo(b"hello") == b"HELLO"
            only_ca = Tls(ca_file=certificate)
            async with calling(f"https://localhost:{server.port}", tls=only_ca) as container:
                await self._is_unavailable(container)

    async def test_a_server_that_no_authority_vouches_for_is_refused(self, certificates: Path) -> None:
        """Verification is on where nothing is set."""
        key, certificate = ((certificates / f"localhost.{kind}").read_bytes() for kind in ("key", "pem"))
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        async with serving("localhost:0", credentials) as server:
            async with calling(f"https://localhost:{server.port}") as container:
                await self._is_unavailable(container)
            async with calling(f"http://localhost:{server.port}") as container:
                await self._is_unavailable(container)

    async def test_a_file_that_is_missing_is_named_and_nothing_is_logged_as_created(self, tmp_path: Path) -> None:
        with logged_channels() as log:
            async with calling("https://localhost:1", tls=Tls(ca_file=tmp_path / "missing.pem")) as container:
                for _ in range(2):
                    with pytest.raises(FileNotFoundError, match=r"missing\.pem"):
                        await container.streams().Echo(b"hello")
        assert log.verbs == []

    async def _is_unavailable(self, container: Any) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await container.streams().Echo(b"hello")
        assert raised.value.code() is StatusCode.UNAVAILABLE


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a key and a certificate of localhost, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("certificates")
    kind = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2"
    whose = "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
    files = "-keyout localhost.key -out localhost.pem"
    subprocess.run(["openssl", "req", *f"{kind} {whose} {files}".split()], cwd=folder, check=True, capture_output=True)
    return folder


class TestIdleChannels:
    """A channel that is not used is given back, and reopened."""

    async def test_one_is_closed_with_its_connection_and_reopened_by_the_next_call(self, server: Server) -> None:
        async with calling(server.url, idle_timeout_s=0.01) as container:
            stub = container.streams()
            echo = stub.Echo  # held by the caller, from before the closing
            with logged_channels() as log:
                for _ in range(3):
                    assert await echo(b"hello") == b"HELLO"
                    await until(lambda: log.verbs[-1] == "Closing" and server.connections() == 0)
                assert await stub.Count(b"1").read() == b"1"
            assert log.verbs[:7] == ["Creating", "Closing", "Reopening", "Closing", "Reopening", "Closing", "Reopening"]
            assert log.lines[1] == {
                "event": "Closing gRPC channel",
                "log_level": "info",
                "endpoint": server.url,
                "reason": "idle",
                "pid": log.lines[0]["pid"],
            }

    async def test_nothing_of_it_is_kept_by_those_who_called(self, server: Server) -> None:
        """Nor does it take the garbage collector, which does not run in an idle process."""

        def channels_alive() -> int:
            return sum(isinstance(it, grpc.aio.Channel) for it in gc.get_objects())

        async with calling(server.url, idle_timeout_s=0.001) as container:
            gc.collect()
            gc.disable()
            try:
                before = channels_alive()
                for _ in range(3):
                    call = container.streams().Echo(b"hello")
                    assert channels_alive() > before
                    assert await call == b"HELLO"
                    del call
                    await until(lambda: server.connections() == 0 and channels_alive() == before)
            finally:
                gc.enable()

    async def test_a_call_under_way_keeps_it_open(self, server: Server) -> None:
        await self._stays_open_until_released(server, lambda stub: stub.Echo(b"hold"))

    async def test_a_stream_under_way_keeps_it_open(self, server: Server) -> None:
        await self._stays_open_until_released(server, lambda stub: stub.Count(b"!"))

    async def _stays_open_until_released(self, server: Server, begin: Callable[[Any], Any]) -> None:
        async with calling(server.url, idle_timeout_s=0.001) as container:
            with logged_channels() as log:
                call = begin(container.streams())
                await until(lambda: server.held == 1)
                channel = container.channels().open(endpoint_of(server), SERVICE)
                await _idle_timeouts(channel, 3)
                assert channel.in_flight == 1
                assert log.verbs == ["Creating"]
                server.released.set()
                if not hasattr(call, "__await__"):
                    assert [message async for message in call] == [b"!"]
                assert await call.code() is StatusCode.OK
                await until(lambda: log.verbs == ["Creating", "Closing"])

    async def test_each_call_begins_the_timeout_anew(self, server: Server) -> None:
        async with calling(server.url, idle_timeout_s=30.0) as container:
            await container.streams().Echo(b"hello")
            channel = container.channels().open(endpoint_of(server), SERVICE)
            at_first = channel._timer.when()
            channel._last_used_s -= 100
            await container.streams().Echo(b"again")
            channel._look()
            assert channel._timer.when() > at_first
            assert container.channels().open(endpoint_of(server), SERVICE) is channel

    async def test_calls_that_race_with_the_closing_all_succeed(self, server: Server) -> None:
        """With a timeout of nothing, it closes whenever no call is under way."""
        async with calling(server.url, idle_timeout_s=0.0) as container:
            with logged_channels() as log:
                for turn in range(60):
                    calls = [container.streams().Echo(b"x") for _ in range(turn % 3 + 1)]
                    assert await asyncio.gather(*calls) == [b"X"] * len(calls)
                    await steps(turn % 7)
                await until(lambda: log.verbs[-1] == "Closing")
            assert log.verbs.count("Creating") == 1
            assert log.verbs.count("Closing") == log.verbs.count("Reopening") + 1 > 10
            del calls
            await until(lambda: server.connections() == 0)

    async def test_calls_that_are_cancelled_fail_or_are_refused_are_no_longer_under_way(self, server: Server) -> None:
        async with calling(server.url, idle_timeout_s=0.001) as container:
            stub = container.streams()
            await stub.Echo(b"warm")
            cancelled = [stub.Echo(b"hold"), stub.Count(b"!"), stub.Join(), stub.Talk()]
            channel = container.channels().open(endpoint_of(server), SERVICE)
            await until(lambda: server.held == 2)
            assert channel.in_flight == 4
            cancelled.append(stub.Echo(b"never begun"))
            for call in cancelled:
                call.cancel()
            failed = [stub.Echo(b"fail"), stub.Echo(b"hold", timeout=0.01), stub.Echo(b"hold", timeout=-1.0)]
            assert await asyncio.gather(*(call.code() for call in failed)) == [
                StatusCode.NOT_FOUND,
                StatusCode.DEADLINE_EXCEEDED,
                StatusCode.DEADLINE_EXCEEDED,
            ]
            await until(
                lambda: channel.in_flight == 0 and container.channels().is_connected(endpoint_of(server)) is None
            )

    async def test_a_request_that_cannot_be_sent_is_not_counted_for_ever(self, server: Server) -> None:
        """What gRPC does not tell the end of, since its message is of the wrong type, ends when it is forgotten."""
        async with calling(server.url, idle_timeout_s=0.001) as container:
            stub = container.streams()
            await stub.Echo(b"warm")
            channel = container.channels().open(endpoint_of(server), SERVICE)
            with pytest.raises(TypeError):
                await stub.Echo("no bytes")
            await until(lambda: gc.collect() >= 0 and channel.in_flight == 0)

    @pytest.mark.parametrize("method", ["Echo", "Count", "Join"])
    async def test_an_end_that_is_told_twice_counts_once(self, server: Server, method: str) -> None:
        """As gRPC does of calls that are cancelled while their failure arrives."""
        told: list[Callable[[], Any]] = []

        class Call:
            def add_done_callback(self, callback: Callable[[Any], None]) -> None:
                told.append(lambda: callback(self))

            def done(self) -> bool:
                return True

            async def code(self) -> StatusCode:
                return StatusCode.NOT_FOUND

        async with calling(server.url, close_grace_s=0.0) as container:
            await container.streams().Echo(b"warm")
            channel = container.channels().open(endpoint_of(server), SERVICE)
            _, generated = container.streams().__lazy__.bind(method)
            bound = Bound(channel, generated, None, is_idempotent=False)
            bound.multicallable = lambda *_args, **_kwargs: Call()
            calls = [bound.start(bound, (b"",), {}) for _ in range(2)]
            assert len(calls) == channel.in_flight == 2
            told[0]()
            told[0]()
            assert channel.in_flight == 1
            told[1]()
            (snapshot,) = container.channels().snapshot()
            assert snapshot.failures == {"NOT_FOUND": 2}


async def _idle_timeouts(channel: Any, count: int) -> None:
    """Wait until the channel has looked some times whether it is idle."""
    for _ in range(count):
        timer = channel._timer
        await until(lambda timer=timer: channel._timer is not timer)  # type: ignore[misc]


class TestClosing:
    """At the end of the application."""

    async def test_calls_under_way_may_end_within_the_grace(self, server: Server) -> None:
        async with calling(server.url, close_grace_s=30.0) as container:
            call = container.streams().Echo(b"hold")
            await until(lambda: server.held == 1)
            closing = asyncio.create_task(container.channels().aclose())
            await steps(5)
            assert not closing.done()
            server.released.set()
            assert await call == b"HOLD"
            await closing

    async def test_calls_that_outlast_the_grace_are_cancelled(self, server: Server) -> None:
        async with calling(server.url, close_grace_s=0.01) as container:
            calls = [container.streams().Echo(b"hold"), container.streams().Count(b"!")]
            await until(lambda: server.held == 2)
            await container.channels().aclose()
            assert all(call.cancelled() for call in calls)
            await until(lambda: server.held == 0)

    async def test_closing_that_is_cancelled_cancels_the_calls_at_once(self, server: Server) -> None:
        """As `lifespan` does where the grace is longer than its own limit."""
        async with calling(server.url, close_grace_s=30.0) as container:
            call = container.streams().Echo(b"hold")
            await until(lambda: server.held == 1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await container.channels().aclose()
            await until(call.cancelled)
            await until(lambda: server.held == 0)

    async def test_a_call_after_closing_says_so(self, server: Server) -> None:
        with logged_channels() as log:
            async with calling(server.url) as container:
                echo = container.streams().Echo
                await echo(b"hello")
                await container.channels().aclose()
                for method in (echo, container.streams().Join):
                    with pytest.raises(ChannelsClosedError, match="Streams was called after its channels were closed"):
                        method(b"hello")
        assert log.verbs == ["Creating", "Closing"]
        assert log.lines[1]["reason"] == "shutdown"

    async def test_a_first_call_that_closing_overtakes_says_so(self, server: Server) -> None:
        async with calling(server.url) as container:
            await container.channels().aclose()
            forget_imports()
            with pytest.raises(ChannelsClosedError):
                await container.streams().Echo(b"hello")

    async def test_closing_twice_or_unopened_does_nothing(self) -> None:
        channels = Channels()
        with capture_logs() as lines:
            await channels.aclose()
            await channels.aclose()
        assert lines == []

    async def test_closing_waits_for_a_channel_that_is_closing_as_idle(self, server: Server) -> None:
        async with calling(server.url, idle_timeout_s=0.0) as container:
            with logged_channels() as log:
                await container.streams().Echo(b"hello")
                await until(lambda: log.verbs == ["Creating", "Closing"])
                await container.channels().aclose()
            assert [line["reason"] for line in log.lines[1:]] == ["idle"]
        await until(lambda: server.connections() == 0)


class TestEventLoops:
    """A channel belongs to the loop that opened it."""

    async def test_two_loops_one_after_the_other_each_have_a_channel(self, server: Server) -> None:
        container = container_of(server.url)
        echo = container.streams().Echo

        async def use() -> bytes:
            answer: bytes = await echo(b"hello")
            assert container.channels().opened_as is not None
            await container.channels().aclose()
            assert container.channels().opened_as is None
            return answer

        with logged_channels() as log:
            for _ in range(2):
                assert await asyncio.to_thread(lambda: asyncio.run(use())) == b"HELLO"
        assert log.verbs == ["Creating", "Closing"] * 2

    @pytest.mark.leaks("channel")  # opened on a loop that is over
    async def test_what_a_loop_left_open_is_closed_when_the_next_one_opens(self, server: Server) -> None:
        container = container_of(server.url)

        async def use() -> int:
            await container.streams().Echo(b"hello")
            assert len(container.channels()._by_loop) == 1
            return server.connections()

        with logged_channels() as log:
            assert [await asyncio.to_thread(lambda: asyncio.run(use())) for _ in range(3)] == [1, 1, 1]
        assert log.verbs == ["Creating", "Closing", "Creating", "Closing", "Creating"]
        assert {line["reason"] for line in log.lines if "reason" in line} == {"event loop ended"}

    async def test_loops_in_two_threads_at_once_do_not_meet(self, server: Server) -> None:
        container = container_of(server.url)
        stub = container.streams()
        other_is_open, may_close = threading.Event(), threading.Event()

        async def use_elsewhere() -> None:
            await stub.Echo(b"hello")
            other_is_open.set()
            await asyncio.to_thread(may_close.wait, 30)
            assert container.channels().opened_as is not None
            assert await asyncio.gather(*(stub.Echo(b"there") for _ in range(100))) == [b"THERE"] * 100
            await container.channels().aclose()

        with logged_channels() as log:
            other = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(use_elsewhere())))
            await until(other_is_open.is_set)
            assert await asyncio.gather(*(stub.Echo(b"here") for _ in range(100))) == [b"HERE"] * 100
            await container.channels().aclose()
            may_close.set()
            await other
        assert log.verbs == ["Creating", "Creating", "Closing", "Closing"]


FORK = """if True:
    import asyncio, os, sys, time
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, from Python 3.12 on
    from lazy_support import container_of

    url, steps = sys.argv[1], sys.argv[2:]
    container = container_of(url)

    async def call():
        assert await container.streams().Echo(b"hello") == b"HELLO"

    async def call_and_close():
        await call()
        await container.channels().aclose()

    def child():
        begun = time.monotonic()
        try:
            asyncio.run(call_and_close())
            print("answered", flush=True)
        except Exception as error:
            in_time = time.monotonic() - begun < 1
            print(type(error).__name__, "whose parent had opened gRPC channels" in str(error), in_time, flush=True)
            asyncio.run(container.channels().aclose())

    for step in steps:
        if step == "call":
            asyncio.run(call())
        if step == "call and close":
            asyncio.run(call_and_close())
        if step == "import":
            import grpc.aio
        if step == "fork":
            if (pid := os.fork()) == 0:
                child()
                sys.exit(0)  # through Python's own end, where the copies of the parent's objects are dropped
            assert os.waitpid(pid, 0)[1] == 0
"""


class TestForks:
    """Forking with a channel open, or not long after closing it, makes gRPC crash or hang in the child."""

    @pytest.mark.parametrize("before", [[], ["import"]], ids=["built", "imported"])
    async def test_children_of_a_parent_that_called_nothing_can_call(self, server: Server, before: list[str]) -> None:
        printed = await asyncio.to_thread(run_script, FORK, server.url, *before, "fork", "fork", "fork", "fork", "call")
        assert [line for line in printed.splitlines() if "gRPC channel" not in line] == ["answered"] * 4

    @pytest.mark.parametrize("before", ["call", "call and close"])
    async def test_a_child_of_a_parent_that_called_is_told_at_once(self, server: Server, before: str) -> None:
        printed = await asyncio.to_thread(run_script, FORK, server.url, before, "fork", "fork", before)
        lines = [line for line in printed.splitlines() if "gRPC channel" not in line]
        assert lines == ["ForkedChannelsError True True"] * 2


BUSY_SERVER = """if True:
    import asyncio, grpc, grpc.aio

    async def echo(request, context):
        await asyncio.sleep(0.02)
        return request

    async def main():
        method = grpc.unary_unary_rpc_method_handler(echo)
        server = grpc.aio.server(
            handlers=[grpc.method_handlers_generic_handler("drive.tests.Streams", {"Echo": method})],
            # Without the protection, it is the client alone who keeps to the limit: a server that is none of grpcio.
            options=[("grpc.max_concurrent_streams", 100), ("grpc.http.overload_protection", 0)],
        )
        print(server.add_insecure_port("127.0.0.1:0"), flush=True)
        await server.start()
        await server.wait_for_termination()

    asyncio.run(main())
"""


async def test_two_thousand_calls_at_once_take_two_connections_and_none_fails() -> None:
    """To a server that allows 100 streams on each connection."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", BUSY_SERVER, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        async with calling(f"http://127.0.0.1:{port}") as container:
            answers = await asyncio.gather(*(container.streams().Echo(b"hello") for _ in range(2000)))
            assert answers == [b"hello"] * 2000
            assert connections_to(port) == 2
    finally:
        process.kill()
        await process.wait()
