"""A Redis that is not there, never answers, goes away and comes back: no request fails, and few wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from cache_support import Loader, opened
from redis.asyncio import Redis
from structlog.testing import capture_logs

from drive.cache.cache import Cache
from drive.embedded import EmbeddedValkey
from drive.errors import Code, DriveError

BEGIN = {"event": "Redis unreachable", "log_level": "warning"}
END = {"event": "Redis reachable again", "log_level": "info"}


@pytest.fixture
def server() -> Iterator[EmbeddedValkey]:
    """Give a server of the test's own, to stop and to kill."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive.cache.cache.LEAVE_ALONE_S", 0.2)


@asynccontextmanager
async def _server(answer: bytes | None) -> AsyncIterator[str]:
    """Give the address of a server that answers every message with the same bytes, or never."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            if answer is not None:
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"redis://drive:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/0"


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline_s = time.monotonic() + 10
    while not await condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)


async def _use(cache: Cache) -> None:
    """Do everything once, and find nothing."""
    await cache.set("thing:a", 1)
    assert await cache.get("thing:a", int) is None
    assert await cache.get_or_load("thing:a", int, Loader(2)) == 2
    await cache.delete("thing:a")


@pytest.mark.parametrize("url", ["unix:///nowhere/redis.sock", "redis://drive:secret@127.0.0.1:1/0"])
async def test_an_absent_redis_fails_no_request(url: str) -> None:
    with capture_logs() as logs:
        async with opened(url) as cache:
            for _ in range(10):
                await _use(cache)
            with pytest.raises(DriveError, match="The cache cannot be reached") as caught:
                await cache.ping()

    assert caught.value.code is Code.UNAVAILABLE
    assert logs == [BEGIN | {"error": "ConnectionError"}]


async def test_a_redis_that_never_answers_delays_by_the_bound_once() -> None:
    with capture_logs() as logs:
        async with _server(answer=None) as url, opened(url, operation_timeout_s=1.0) as cache:
            began_s = time.monotonic()
            await asyncio.gather(*[_use(cache) for _ in range(50)])
            assert 1.0 <= time.monotonic() - began_s < 1.8

            for _ in range(20):  # longer than it is left alone, and than looking for it takes
                began_s = time.monotonic()
                await _use(cache)
                assert time.monotonic() - began_s < 0.5
                await asyncio.sleep(0.1)

    assert logs == [BEGIN | {"error": "TimeoutError"}]


async def test_an_address_that_leads_nowhere_delays_by_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound holds while connecting, where the client's own timeout may be longer."""

    async def never(*_args: object, **_options: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio, "open_connection", never)
    async with opened("redis://127.0.0.1:1/0", operation_timeout_s=0.2) as cache:
        began_s = time.monotonic()
        await _use(cache)
        assert 0.2 <= time.monotonic() - began_s < 1.0


@pytest.mark.parametrize(
    "answer",
    [b"nonsense\r\n", b"\r\n", b":x\r\n", b"$-7\r\n", b"$x\r\n\r\n", b"*1\r\n*1\r\n", b"\xff\xfe\r\n", b"-ERR no\r\n"],
)
async def test_a_server_that_is_no_redis_fails_no_request(answer: bytes) -> None:
    with capture_logs() as logs:
        async with _server(answer) as url, opened(url, operation_timeout_s=0.3) as cache:
            await _use(cache)

    assert [line["event"] for line in logs] == ["Redis unreachable"]
    assert set(logs[0]) == {"event", "log_level", "error"}


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_an_outage_is_told_once_and_heals_by_itself(server: EmbeddedValkey, end: str) -> None:
    with capture_logs() as logs:
        async with opened(server.url) as cache:
            await cache.set("thing:a", 1)
            await asyncio.to_thread(getattr(server, end))
            for _ in range(20):
                await asyncio.gather(*[_use(cache) for _ in range(5)])
                await asyncio.sleep(0.03)
            await asyncio.to_thread(server.start)

            async def stored() -> bool:
                await cache.set("thing:b", 2)
                return await cache.get("thing:b", int) == 2

            await _until(stored)
            assert await stored()

    assert [line["event"] for line in logs] == [BEGIN["event"], END["event"]]


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_restart_between_two_operations_is_not_noticed(server: EmbeddedValkey, end: str) -> None:
    with capture_logs() as logs:
        async with opened(server.url) as cache:
            await asyncio.gather(*[cache.set(f"thing:{number}", 1) for number in range(20)])
            await asyncio.to_thread(getattr(server, end))
            await asyncio.to_thread(server.start)
            await cache.set("thing:a", 1)
            assert await cache.get("thing:a", int) == 1

    assert logs == []


async def test_what_was_deleted_during_an_outage_does_not_come_back(server: EmbeddedValkey) -> None:
    """A Redis that only could not be reached still has it."""
    async with opened(server.url) as cache:
        await cache.set("thing:a", "outdated")
        await asyncio.to_thread(server.stop)
        await cache.delete("thing:a")
        await asyncio.to_thread(server.start)
        async with Redis.from_url(server.url) as redis:
            assert await redis.get("drive:thing:a") == b'"outdated"'

        async def healed() -> bool:
            assert await cache.get("thing:a", str) is None
            await cache.set("thing:b", "new")
            return await cache.get("thing:b", str) == "new"

        await _until(healed)
        assert await cache.get("thing:a", str) is None


async def test_a_redis_that_takes_no_values_is_left_alone_until_it_does(server: EmbeddedValkey) -> None:
    """It answers a PING, and would be told as lost and found again all the time."""
    with capture_logs() as logs:
        async with opened(server.url) as cache, Redis.from_url(server.url) as redis:
            await redis.config_set("maxmemory", 1)
            for _ in range(20):
                await _use(cache)
                await asyncio.sleep(0.03)
            with pytest.raises(DriveError):
                await cache.ping()
            await redis.config_set("maxmemory", 0)

            await cache.ping()
            await cache.set("thing:a", 1)
            assert await cache.get("thing:a", int) == 1

    assert logs == [BEGIN | {"error": "OutOfMemoryError"}, END]


async def test_more_operations_than_connections_fail_no_request(server: EmbeddedValkey) -> None:
    """They wait for a connection, within the bound."""
    async with opened(server.url, max_connections=1) as cache:
        await asyncio.gather(*[cache.set(f"thing:{number}", number) for number in range(200)])

        assert await cache.get("thing:199", int) == 199


async def test_a_redis_that_is_looked_for_while_the_client_closes_is_not_kept(server: EmbeddedValkey) -> None:
    async with opened(server.url) as cache, Redis.from_url(server.url, client_name="watcher") as redis:
        await asyncio.to_thread(server.stop)
        await _use(cache)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(server.start)
        assert await cache.get("thing:a", int) is None  # begins to look
        assert cache._redis is not None
        await cache._redis.aclose()
        assert cache._probe is not None
        await cache._probe

        assert {client["name"] for client in await redis.client_list()} == {"watcher"}
