"""Servers that fork after their application is built, as those with several worker processes do."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from lazy_support import Server, run_script

# An application that is built in the parent and holds stubs, methods and a connection that is opened at first use.
APP = """if True:
    import asyncio, os, sys, threading, time, warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, from Python 3.12 on
    from dependency_injector.containers import DeclarativeContainer
    from dependency_injector.providers import Singleton
    from structlog.testing import capture_logs
    from drive.lazy import Channels, ForkedChannelsError, Once, Stub, lifespan, warm

    url, port = sys.argv[1:3]

    async def open_connection():
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        return os.getpid(), reader, writer

    async def close_connection(connection):
        connection[2].close()
        await connection[2].wait_closed()

    class App:
        def __init__(self, streams, again, connection):
            self.streams, self.connection = streams, connection
            self.echo, self.join = streams.Echo, again.Join

        async def handle(self):
            return await self.echo(b"hello"), await self.join(iter([b"a", b"b"]))

        async def ask(self):
            pid, reader, writer = await self.connection()
            writer.write(f"{os.getpid()}\\n".encode())
            return pid == os.getpid() and int(await reader.readline()) == pid

    class Container(DeclarativeContainer):
        channels = Singleton(Channels)
        streams = Stub("streams_grpc:StreamsStub", channels, endpoint=url, timeout_s=30.0)
        again = Stub("streams_grpc:StreamsStub", channels, endpoint=url, timeout_s=30.0)
        connection = Once(open_connection, close=close_connection)
        app = Singleton(App, streams, again, connection)

    def say(*words):
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # in one piece, though processes do it at once

    def forked(work):
        pid = os.fork()
        if pid == 0:
            work()
            sys.exit(0)  # through Python's own end, where the copies of the parent's objects are dropped
        return pid

    def wait_for(*pids):
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * len(pids)

    container = Container()
    app = container.app()
"""


@pytest.fixture
async def echo_port() -> AsyncIterator[int]:
    """Give the port of a server that sends lines back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def ran(server: Server, script: str, port: int = 0) -> list[str]:
    """Run the application with what a script does with it, and return what that prints beside the log.

    Where Python does not buffer, structlog's own printer writes a line and its end apart: of two processes that log at
    once, the ends may come together.
    """
    printed = await asyncio.to_thread(run_script, APP + script, server.url, str(port))
    return [line for line in printed.splitlines() if line and "gRPC channel" not in line]


async def test_four_children_of_a_parent_that_built_all_open_their_own(server: Server, echo_port: int) -> None:
    """They run at once; each logs its channel once, with its own process id. Building has not imported gRPC."""
    script = """
    async def work():
        async with lifespan(container):
            answers = await asyncio.gather(*(app.handle() for _ in range(20)))
            return set(answers) == {(b"HELLO", b"ab")} and await app.ask()

    def child():
        with capture_logs() as lines:
            answered = asyncio.run(work())
        created = [line["pid"] for line in lines if line["event"] == "Creating gRPC channel"]
        say("answered:", answered, "created here, once:", created == [os.getpid()])

    assert "grpc" not in sys.modules
    children = [forked(child) for _ in range(4)]
    assert "grpc" not in sys.modules
    wait_for(*children)
    child()
    """
    assert await ran(server, script, echo_port) == ["answered: True created here, once: True"] * 5
    assert len(server.requests) == 5 * 40


class TestAfterACall:
    """A child of who has called is told so at once, whatever it does: gRPC would crash or hang there."""

    SCRIPT = """
    async def handle():
        assert await app.echo(b"hello") == b"HELLO"

    async def handle_and_close():
        await handle()
        await container.channels().aclose()

    async def call():
        return await CALL

    def child():
        begun_s = time.monotonic()
        try:
            say("answered", asyncio.run(call()))
        except* ForkedChannelsError as group:
            within_a_second = time.monotonic() - begun_s < 1
            said = f"was called in process {os.getpid()}, whose parent had opened gRPC channels"
            say("told:", {said in str(error) for error in group.exceptions}, within_a_second)
        asyncio.run(container.channels().aclose())

    def fork(*steps):
        wait_for(forked(lambda: [step() for step in steps]))
    """

    TOLD = "told: {True} True"

    @pytest.mark.parametrize(
        "call",
        [
            pytest.param("app.echo(b'x')", id="a method that was called"),
            pytest.param("app.join(iter([b'x']))", id="a method that was held"),
            pytest.param("anext(app.streams.Count(b'x'))", id="another method"),
            pytest.param("Container().streams().Echo(b'x')", id="another container"),
            pytest.param("asyncio.to_thread(lambda: asyncio.run(handle()))", id="another thread"),
            pytest.param("warm(container)", id="warming up"),
        ],
    )
    async def test_whatever_a_child_calls(self, server: Server, echo_port: int, call: str) -> None:
        script = self.SCRIPT.replace("CALL", call) + "asyncio.run(handle()); fork(child); asyncio.run(handle())"
        assert await ran(server, script, echo_port) == [self.TOLD]

    @pytest.mark.parametrize(
        "steps",
        [
            pytest.param("asyncio.run(handle_and_close()); fork(child)", id="closed before"),
            pytest.param("asyncio.run(handle()); fork(lambda: fork(child))", id="grandchild"),
            pytest.param("fork(lambda: asyncio.run(handle_and_close()), lambda: fork(child))", id="child of a child"),
        ],
    )
    async def test_whichever_of_its_ancestors_has_called(self, server: Server, steps: str) -> None:
        script = self.SCRIPT.replace("CALL", "app.echo(b'x')") + steps
        assert await ran(server, script) == [self.TOLD]

    async def test_a_child_that_goes_on_with_its_parent_s_event_loop(self, server: Server) -> None:
        """The parent's channel is none of its own, also where a method is bound to it."""
        script = self.SCRIPT.replace("CALL", "app.echo(b'x')").replace("asyncio.run", "loop.run_until_complete")
        steps = "loop.run_until_complete(handle()); fork(child); loop.run_until_complete(handle_and_close())"
        loop = "    loop = asyncio.new_event_loop()"
        assert await ran(server, f"{loop}{script}{steps}; loop.close()") == [self.TOLD]

    async def test_a_child_of_who_is_importing_grpc_can_call(self, server: Server) -> None:
        """The fork waits for the import: in the child, it would never end."""
        script = """
    async def call():
        return await app.echo(b"hello")

    async def main():
        first = app.echo(b"first")
        await asyncio.sleep(0)
        pid = forked(lambda: [say(asyncio.run(asyncio.wait_for(call(), 20))), os._exit(0)])
        assert await first == b"FIRST"
        await asyncio.to_thread(wait_for, pid)

    asyncio.run(main())
    """
        assert await ran(server, script) == ["b'HELLO'"]

    async def test_a_child_s_call_is_nothing_to_its_parent_and_siblings(self, server: Server) -> None:
        """Only who forks after a call of its own, or of an ancestor's, has children that cannot call."""
        work = "lambda: asyncio.run(handle_and_close())"
        script = self.SCRIPT.replace("CALL", "app.echo(b'x')") + f"fork({work}); fork({work}); ({work})()"
        assert await ran(server, script) == []
        assert len(server.requests) == 3


class TestOnce:
    """What the parent opened stays the parent's."""

    @pytest.mark.parametrize("ends", ["loop.close()", "pass"], ids=["its loop has ended", "its loop goes on"])
    async def test_a_child_opens_and_closes_its_own(self, server: Server, echo_port: int, ends: str) -> None:
        script = f"""
    async def use():
        async with lifespan(container):
            return await app.ask(), (await app.connection())[0] == os.getpid()

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(app.ask())
    opened = loop.run_until_complete(app.connection())
    {ends}
    wait_for(*(forked(lambda: say(*asyncio.run(use()))) for _ in range(4)))
    if not loop.is_closed():
        assert loop.run_until_complete(app.ask())
        assert loop.run_until_complete(app.connection()) is opened
        loop.run_until_complete(app.connection.aclose())
        loop.close()
    """
        assert await ran(server, script, echo_port) == ["True True"] * 4

    async def test_nor_has_a_child_it_that_goes_on_with_its_event_loop(self, server: Server, echo_port: int) -> None:
        script = """
    async def use():
        async with lifespan(container):
            return await app.ask(), (await app.connection())[0] == os.getpid()

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(app.ask())
    opened = loop.run_until_complete(app.connection())
    wait_for(forked(lambda: say(*loop.run_until_complete(use()))))
    assert loop.run_until_complete(app.connection()) is opened
    loop.run_until_complete(app.connection.aclose())
    loop.close()
    """
        assert await ran(server, script, echo_port) == ["True True"]
