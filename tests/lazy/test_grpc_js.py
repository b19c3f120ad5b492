"""A server that is none of grpcio: grpc-js, which npm installs into a temporary folder."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc import StatusCode
from lazy_support import calling, connections_to, logged_channels, steps, until

# Network failures by npm's own codes: any other failure of the installation is a failure of the tests.
_UNREACHABLE = re.compile(
    r"npm error code (E(?:AI_AGAIN|CONNREFUSED|CONNRESET|HOSTUNREACH|NETUNREACH|NOTFOUND|TIMEDOUT)|FETCH_ERROR)"
)
_NPM_OPTIONS = (
    "--ignore-scripts --no-audit --no-fund --fetch-timeout=10000 --fetch-retries=1 --fetch-retry-mintimeout=1000"
)


@pytest.fixture(scope="session")
def grpc_js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the server and what it needs."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} to run a server of grpc-js with")
    folder = tmp_path_factory.mktemp("grpc_js") / "server"
    shutil.copytree(Path(__file__).parent / "grpc_js", folder)
    command = ["npm", "ci", *_NPM_OPTIONS.split()]
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm could not install grpc-js within 60 s: its registry is slow")
    if unreachable := _UNREACHABLE.search(ran.stderr):
        pytest.skip(f"npm cannot reach its registry to install grpc-js ({unreachable[1]})")
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture
async def port(grpc_js: Path) -> AsyncIterator[int]:
    """Give the port of a running server, which allows 100 streams on a connection."""
    process = await asyncio.create_subprocess_exec("node", "server.js", cwd=grpc_js, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.communicate()


@pytest.fixture
def url(port: int) -> str:
    """Where the server listens, as settings write it."""
    return f"http://127.0.0.1:{port}"


class TestConnections:
    """As many as are needed, and never more than `max_connections`."""

    @pytest.mark.parametrize("max_connections", [1, 2])
    async def test_two_thousand_calls_at_once_take_as_many_as_are_allowed_and_none_fails(
        self, port: int, url: str, max_connections: int
    ) -> None:
        async with calling(url, max_connections=max_connections) as container:
            echo = container.streams().Echo
            load = asyncio.gather(*(echo(b"hello") for _ in range(2000)))
            counted = []
            while not load.done():
                counted.append(connections_to(port))
                await asyncio.sleep(0.005)
            assert await load == [b"HELLO"] * 2000
            assert max(counted) == connections_to(port) == max_connections

    async def test_the_second_is_opened_when_the_first_has_all_the_streams_that_the_server_allows(
        self, port: int, url: str
    ) -> None:
        async with calling(url) as container:
            stub = container.streams()
            calls = [stub.Echo(b"hold") for _ in range(99)]
            await self._are_held(stub, 99)
            assert connections_to(port) == 1
            calls += [stub.Echo(b"hold") for _ in range(51)]
            await self._are_held(stub, 150)
            assert connections_to(port) == 2
            await stub.Echo(b"release")
            assert await asyncio.gather(*calls) == [b"HOLD"] * 150

    async def test_calls_beyond_those_that_are_allowed_wait_for_their_turn(self, port: int, url: str) -> None:
        async with calling(url, max_connections=1) as container:
            stub = container.streams()
            calls = [stub.Echo(b"hold") for _ in range(99)]
            await self._are_held(stub, 99)
            calls.append(stub.Echo(b"hold"))
            waiting = stub.Echo(b"release")
            calls[0].cancel()  # which leaves one stream for them
            await waiting
            assert await asyncio.gather(*calls[1:]) == [b"HOLD"] * 99
            assert connections_to(port) == 1

    async def _are_held(self, stub: Any, count: int) -> None:
        async with asyncio.timeout(20):
            while int(await stub.Echo(b"held")) != count:
                await steps(1)


class TestCalls:
    """All four arities, as with a server of grpcio."""

    async def test_they_answer(self, url: str) -> None:
        async with calling(url) as container:
            stub = container.streams()
            assert await stub.Echo(b"hello") == b"HELLO"
            assert [message async for message in stub.Count(b"123")] == [b"1", b"2", b"3"]
            assert await stub.Join(iter([b"a", b"b"])) == b"ab"
            talk = stub.Talk()
            await talk.write(b"a")
            assert await talk.read() == b"A"
            await talk.done_writing()
            assert await talk.read() is grpc.aio.EOF

    async def test_metadata_arrives(self, url: str) -> None:
        async with calling(url) as container:
            call = container.streams().Echo(b"hello")
            assert dict(await call.initial_metadata())["first"] == "hello"
            assert dict(await call.trailing_metadata())["last"] == "bye"
            assert await call.code() is StatusCode.OK

    @pytest.mark.parametrize(
        "fails",
        [
            lambda stub: stub.Echo(b"fail"),
            lambda stub: anext(stub.Count(b"fail")),
            lambda stub: stub.Join(iter([b"fa", b"il"])),
            lambda stub: anext(aiter(stub.Talk(iter([b"fail"])))),
        ],
        ids=["Echo", "Count", "Join", "Talk"],
    )
    async def test_failures_arrive_with_code_details_and_metadata(
        self, url: str, fails: Callable[[Any], Awaitable[object]]
    ) -> None:
        async with calling(url) as container:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await fails(container.streams())
            (snapshot,) = container.channels().snapshot()
        assert raised.value.code() is StatusCode.NOT_FOUND
        assert raised.value.details() == "there is no such thing"
        assert dict(raised.value.trailing_metadata())["last"] == "bye"
        assert snapshot.failures == {"NOT_FOUND": 1}

    async def test_streams_that_are_open_are_in_flight_and_keep_the_channel(self, url: str) -> None:
        async with calling(url, idle_timeout_s=0.001) as container:
            stub, channels = container.streams(), container.channels()
            with logged_channels() as log:
                counts = [stub.Count(b"!") for _ in range(3)]
                talk = stub.Talk()
                await talk.write(b"a")
                assert [await one.read() for one in (*counts, talk)] == [b"!", b"!", b"!", b"A"]
                (open_,) = channels.snapshot()
                assert (open_.state, open_.calls_in_flight, open_.calls_made) == ("READY", 4, 4)
                await stub.Echo(b"release")
                assert [await one.read() for one in counts] == [grpc.aio.EOF] * 3
                await until(lambda: channels.snapshot()[0].calls_in_flight == 1)
                assert log.verbs == ["Creating"]
                await talk.done_writing()
                assert await talk.read() is grpc.aio.EOF
                await until(lambda: log.verbs == ["Creating", "Closing"])
            (closed,) = channels.snapshot()
        assert (closed.state, closed.calls_in_flight, closed.calls_made, closed.failures) == ("CLOSED", 0, 5, {})
