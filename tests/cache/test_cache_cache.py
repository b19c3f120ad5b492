"""What callers rely on: typed values, misses instead of surprises, one load per key."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio
from cache_support import OPTIONS, Loader, opened, unexpected
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from structlog.testing import capture_logs

from drive.cache.cache import Cache
from drive.cache.redis import close_redis, open_redis
from drive.names import client_name


class Thing(msgspec.Struct, frozen=True):
    """What services store: frozen and typed."""

    id: UUID
    name: str
    marks: tuple[int, ...] = ()


THINGS = st.builds(Thing, id=st.uuids(), name=st.text(), marks=st.lists(st.integers(-(2**63), 2**63 - 1)).map(tuple))


@pytest_asyncio.fixture
async def cache(redis_url: str) -> AsyncIterator[Cache]:
    async with opened(redis_url) as cache:
        yield cache


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """Give a client that is none of the application's."""
    async with Redis.from_url(redis_url, client_name="watcher") as redis:
        yield redis


@pytest.fixture
def no_cache() -> Cache:
    return Cache(None, ttl_s=300, operation_timeout_s=3.0)


async def _names(redis: Redis) -> list[str]:
    return [client["name"] for client in await redis.client_list() if client["name"] != "watcher"]


def test_importing_the_package_imports_no_driver() -> None:
    code = "import sys, drive.cache; sys.exit('redis' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_nothing_is_connected_until_the_first_use(cache: Cache, redis: Redis) -> None:
    before = cache.is_open, await _names(redis)
    await cache.get("thing:a", Thing)
    after = cache.is_open, await _names(redis)

    assert before == (False, [])
    assert after == (True, [client_name("test")])


async def test_opening_the_client_connects_to_nothing(redis: Redis, redis_url: str) -> None:
    client = await open_redis(url=redis_url, **OPTIONS)

    assert await _names(redis) == []
    await close_redis(client)


async def test_a_hundred_operations_at_once_share_ten_connections(cache: Cache, redis: Redis) -> None:
    await asyncio.gather(*[cache.set(f"thing:{number}", number) for number in range(100)])

    assert await asyncio.gather(*[cache.get(f"thing:{number}", int) for number in range(100)]) == list(range(100))
    assert await _names(redis) == [client_name("test")] * 10


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(thing=THINGS)
async def test_what_is_stored_is_found(redis_url: str, thing: Thing) -> None:
    async with opened(redis_url) as cache:
        await cache.set("thing:a", thing)

        assert await cache.get("thing:a", Thing) == thing


async def test_keys_have_the_prefix_and_values_an_end(cache: Cache, redis: Redis) -> None:
    await cache.set("thing:a", 1)
    await cache.set("thing:b", 1, ttl_s=7)

    assert sorted(await redis.keys()) == [b"drive:thing:a", b"drive:thing:b"]
    assert 298 <= await redis.ttl("drive:thing:a") <= 300
    assert 5 <= await redis.ttl("drive:thing:b") <= 7


async def test_deleted_values_are_gone(cache: Cache) -> None:
    for key in ("thing:a", "thing:b", "thing:c"):
        await cache.set(key, 1)
    await cache.delete("thing:a", "thing:b")
    await cache.delete()

    assert [await cache.get(key, int) for key in ("thing:a", "thing:b", "thing:c")] == [None, None, 1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(data=st.binary() | st.just(b'"\xff"') | st.recursive(st.text(), st.lists).map(msgspec.json.encode))
async def test_entries_of_another_form_are_misses(redis_url: str, data: bytes) -> None:
    """Such as those of another version of the program: they are loaded anew and replaced."""
    thing = Thing(uuid4(), "new")
    async with opened(redis_url) as cache, Redis.from_url(redis_url) as redis:
        await redis.set("drive:thing:a", data)
        with capture_logs() as logs:
            assert await cache.get("thing:a", Thing) is None
        assert await cache.get_or_load("thing:a", Thing, Loader(thing)) == thing
        assert await cache.get("thing:a", Thing) == thing

    assert logs == [{"event": "Cache entry of another form", "key": "thing:a", "log_level": "debug"}]


async def test_a_value_is_loaded_once_and_then_found(cache: Cache) -> None:
    loader = Loader(Thing(uuid4(), "a"))

    results = await asyncio.gather(*[cache.get_or_load("thing:a", Thing, loader) for _ in range(100)])
    results.append(await cache.get_or_load("thing:a", Thing, unexpected))

    assert results == [loader.value] * 101
    assert loader.count == 1


async def test_none_is_a_value_too(cache: Cache) -> None:
    kind: Any = int | None
    assert await cache.get_or_load("thing:a", kind, Loader(None)) is None
    assert await cache.get_or_load("thing:a", kind, unexpected) is None


async def test_a_failed_load_is_not_stored(cache: Cache) -> None:
    async def fail() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await cache.get_or_load("thing:a", int, fail)
    assert await cache.get_or_load("thing:a", int, Loader(1)) == 1


async def test_a_load_does_not_bring_back_what_was_deleted_meanwhile(cache: Cache) -> None:
    async def load() -> str:
        await cache.delete("thing:a")
        return "outdated"

    assert await cache.get_or_load("thing:a", str, load) == "outdated"
    assert await cache.get("thing:a", str) is None


async def test_a_value_lives_as_long_as_its_load_says(cache: Cache, redis: Redis) -> None:
    await cache.get_or_load("thing:a", int, Loader(1), ttl_s=7)

    assert 5 <= await redis.ttl("drive:thing:a") <= 7


async def test_a_value_that_is_no_json_is_the_callers_mistake(cache: Cache) -> None:
    with pytest.raises(TypeError):
        await cache.set("thing:a", object())


async def test_a_cancelled_operation_leaves_no_answer_to_the_next(redis_url: str) -> None:
    """Cancel after each turn of the loop in its turn; the one connection must never give another's answer."""
    async with opened(redis_url, max_connections=1) as cache:
        await cache.set("thing:a", "a")
        await cache.set("thing:b", "b")
        turns = 0
        was_cancelled = True
        while was_cancelled:
            task = asyncio.create_task(cache.get("thing:a", str))
            for _ in range(turns):
                await asyncio.sleep(0)
            was_cancelled = task.cancel()
            await asyncio.wait([task])
            turns += 1

            assert await cache.get("thing:b", str) == "b"
        assert task.result() == "a"


async def test_a_deletion_is_done_though_its_caller_is_cancelled(cache: Cache) -> None:
    await cache.set("thing:a", 1)
    task = asyncio.create_task(cache.delete("thing:a"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    async with asyncio.timeout(10):
        while await cache.get("thing:a", int) is not None:
            pass

    assert task.cancelled()


async def test_ping_tells_whether_values_can_be_stored(cache: Cache) -> None:
    await cache.ping()


async def test_without_redis_everything_is_a_miss(no_cache: Cache) -> None:
    loader = Loader(1)
    await no_cache.set("thing:a", 1)
    await no_cache.delete("thing:a")
    await no_cache.ping()

    assert await no_cache.get("thing:a", int) is None
    assert await asyncio.gather(*[no_cache.get_or_load("thing:a", int, loader) for _ in range(10)]) == [1] * 10
    assert loader.count == 1
    assert not no_cache.is_open


async def test_no_password_is_shown() -> None:
    client = await open_redis(url="redis://drive:secret@127.0.0.1:1/0", **OPTIONS)

    assert "secret" not in repr(client)
    await close_redis(client)
