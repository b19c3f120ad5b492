import asyncio
import copy
import gc
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import List, Object, Singleton
from lazy_support import steps, until

from drive.lazy import Lazy, Once, lifespan

pytestmark = pytest.mark.leaks("once")  # what is opened here needs no closing, and who closes is what is tested


@dataclass
class Pool:
    """Something that is opened by awaiting."""

    url: str
    closed: bool = False


@dataclass
class Opener:
    """Opens pools, when the test allows it."""

    allowed: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Exception] = field(default_factory=list)
    begun: int = 0
    cancelled: int = 0
    opened: list[Pool] = field(default_factory=list)

    async def open(self) -> Pool:
        self.begun += 1
        try:
            await self.allowed.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failures:
            raise self.failures.pop(0)
        pool = Pool(f"pool {len(self.opened) + 1}")
        self.opened.append(pool)
        return pool


async def close(pool: Pool) -> None:
    assert not pool.closed
    pool.closed = True


@pytest.fixture
def opener() -> Opener:
    return Opener()


@pytest.fixture
async def lazy(opener: Opener) -> AsyncIterator[Lazy[Pool]]:
    lazy = Lazy(opener.open, close=close, name="pool")
    yield lazy
    await lazy.aclose()


async def test_nothing_is_opened_before_the_first_call(lazy: Lazy[Pool], opener: Opener) -> None:
    await steps(5)
    assert opener.begun == 0
    assert lazy.peek() is None
    assert lazy.opened_as is None
    assert repr(lazy) == "<Lazy pool: not opened>"


async def test_a_thousand_who_wait_get_one_value(lazy: Lazy[Pool], opener: Opener) -> None:
    waiters = [asyncio.create_task(lazy()) for _ in range(1000)]
    await until(lambda: opener.begun == 1)
    assert lazy.peek() is None
    opener.allowed.set()
    pools = await asyncio.gather(*waiters)
    assert opener.begun == 1
    assert all(pool is pools[0] for pool in pools)
    assert await lazy() is pools[0]
    assert lazy.peek() is pools[0]
    assert repr(lazy) == "<Lazy pool: open>"


async def test_cancelling_many_of_those_who_wait_harms_no_other(lazy: Lazy[Pool], opener: Opener) -> None:
    """The first one too, for whom it is opened."""
    waiters = [asyncio.create_task(lazy()) for _ in range(10)]
    await until(lambda: opener.begun == 1)
    for waiter in waiters[::2]:
        waiter.cancel()
    await asyncio.wait(waiters[::2])
    opener.allowed.set()
    assert len({id(pool) for pool in await asyncio.gather(*waiters[1::2])}) == 1
    assert all(waiter.cancelled() for waiter in waiters[::2])
    assert (opener.begun, opener.cancelled) == (1, 0)


@pytest.mark.parametrize("after_steps", range(8))
async def test_whenever_one_is_cancelled_the_others_get_the_value(
    lazy: Lazy[Pool], opener: Opener, after_steps: int
) -> None:
    opener.allowed.set()
    first, second = asyncio.create_task(lazy()), asyncio.create_task(lazy())
    await steps(after_steps)
    first.cancel()
    await asyncio.wait([first])
    assert (await second).url == "pool 1"
    assert opener.begun == 1


async def test_a_value_is_opened_though_all_who_waited_were_cancelled(lazy: Lazy[Pool], opener: Opener) -> None:
    waiter = asyncio.create_task(lazy())
    await until(lambda: opener.begun == 1)
    waiter.cancel()
    opener.allowed.set()
    await until(lambda: lazy.peek() is not None)
    assert await lazy() is opener.opened[0]


async def test_a_failure_reaches_all_who_wait_and_the_next_call_tries_again(lazy: Lazy[Pool], opener: Opener) -> None:
    opener.failures.append(OSError("refused"))
    waiters = [asyncio.create_task(lazy()) for _ in range(10)]
    opener.allowed.set()
    errors = await asyncio.gather(*waiters, return_exceptions=True)
    assert [str(error) for error in errors] == ["refused"] * 10
    assert lazy.peek() is None
    assert lazy.opened_as is None
    assert (await lazy()).url == "pool 1"
    assert opener.begun == 2


async def test_a_failure_that_nobody_waits_for_any_more_is_silent(lazy: Lazy[Pool], opener: Opener) -> None:
    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
    opener.failures.append(OSError("refused"))
    waiter = asyncio.create_task(lazy())
    await until(lambda: opener.begun == 1)
    waiter.cancel()
    opener.allowed.set()
    await until(lambda: not opener.failures and lazy.opened_as is None)
    gc.collect()
    await steps(3)
    assert unhandled == []


async def test_closing_closes_once_and_the_next_call_opens_a_new_value(lazy: Lazy[Pool], opener: Opener) -> None:
    opener.allowed.set()
    first = await lazy()
    await asyncio.gather(lazy.aclose(), lazy.aclose())
    assert first.closed
    assert lazy.peek() is None
    assert lazy.opened_as is None
    second = await lazy()
    assert second is not first
    assert not second.closed


async def test_closing_what_was_never_opened_opens_nothing(lazy: Lazy[Pool], opener: Opener) -> None:
    await lazy.aclose()
    assert opener.begun == 0


async def test_closing_abandons_an_opening_and_tells_those_who_wait(lazy: Lazy[Pool], opener: Opener) -> None:
    """A bare CancelledError would look to them as if they had been cancelled themselves."""
    waiters = [asyncio.create_task(lazy()) for _ in range(3)]
    await until(lambda: opener.begun == 1)
    await lazy.aclose()
    for error in await asyncio.gather(*waiters, return_exceptions=True):
        assert isinstance(error, RuntimeError)
        assert str(error) == "pool was closed while it was being opened."
    assert opener.cancelled == 1
    opener.allowed.set()
    assert (await lazy()).url == "pool 1"


async def test_a_value_that_comes_in_spite_of_being_abandoned_is_closed() -> None:
    pools: list[Pool] = []

    async def open_stubbornly() -> Pool:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pools.append(Pool("late"))
        return pools[0]

    lazy = Lazy(open_stubbornly, close=close)
    waiter = asyncio.create_task(lazy())
    await steps(3)
    await lazy.aclose()
    assert pools[0].closed
    assert await waiter is pools[0]


async def test_a_failure_to_close_is_passed_on_and_the_value_forgotten(opener: Opener) -> None:
    async def fail(_pool: Pool) -> None:
        raise OSError("broken pipe")

    lazy = Lazy(opener.open, close=fail)
    opener.allowed.set()
    first = await lazy()
    with pytest.raises(OSError, match="broken pipe"):
        await lazy.aclose()
    assert await lazy() is not first


def test_each_event_loop_has_its_own_value() -> None:
    opened: list[asyncio.AbstractEventLoop] = []

    async def open_() -> Pool:
        opened.append(asyncio.get_running_loop())
        return Pool("of a loop")

    lazy = Lazy(open_, close=close)

    async def use() -> Pool:
        assert lazy.peek() is None
        pool = await lazy()
        assert lazy.peek() is pool
        return pool

    first, second = asyncio.run(use()), asyncio.run(use())
    assert first is not second
    assert len(opened) == 2
    assert lazy.peek() is None  # outside of any loop
    assert lazy.opened_as is None
    assert opened[0] not in lazy._openings  # what an ended loop had is not kept


async def test_closing_on_one_loop_leaves_another_thread_s_value_open() -> None:
    async def open_() -> Pool:
        return Pool(threading.current_thread().name)

    ready, done = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        pool = await lazy()
        ready.set()
        await asyncio.to_thread(done.wait, 30)
        assert not pool.closed
        assert await lazy() is pool

    lazy = Lazy(open_, close=close)
    other = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(elsewhere())))
    await until(ready.is_set)
    assert (await lazy()).url == threading.current_thread().name
    await lazy.aclose()
    done.set()
    await other


async def test_openings_are_ordered_by_their_ends() -> None:
    """What a value is opened on top of is open before it, and must be closed after it."""
    foundation = Lazy(lambda: asyncio.sleep(0, Pool("foundation")), close=close)

    async def open_house() -> Pool:
        await foundation()
        return Pool("house")

    house = Lazy(open_house, close=close)
    await house()
    assert foundation.opened_as is not None
    assert house.opened_as is not None
    assert foundation.opened_as < house.opened_as


async def test_an_opening_under_way_counts_as_the_last(lazy: Lazy[Pool], opener: Opener) -> None:
    waiter = asyncio.create_task(lazy())
    await until(lambda: opener.begun == 1)
    other = Lazy(lambda: asyncio.sleep(0, Pool("other")), close=close)
    await other()
    assert (lazy.opened_as or 0) > (other.opened_as or 0)
    opener.allowed.set()
    await waiter


async def open_pool(*, url: str, max_connections: int) -> Pool:
    await asyncio.sleep(0)
    return Pool(f"{url} with {max_connections}")


class Database:
    """A service that depends on a pool."""

    def __init__(self, pool: Lazy[Pool]) -> None:
        self.pool = pool


class Container(DeclarativeContainer):
    """One pool and who uses it."""

    url = Object("postgresql://localhost")
    pool: "Once[Pool]" = Once(open_pool, close=close, url=url, max_connections=5)
    database = Singleton(Database, pool)


async def test_a_provider_gives_its_container_one_lazy_value_with_resolved_arguments() -> None:
    async with lifespan(Container()) as container:
        assert container.database().pool is container.pool()
        assert container.pool().peek() is None
        assert (await container.database().pool()).url == "postgresql://localhost with 5"
        assert repr(container.pool()) == "<Lazy open_pool: open>"


async def test_arguments_are_resolved_at_the_first_use_of_the_provider() -> None:
    container = Container(url="postgresql://replica")
    assert (await container.pool()()).url == "postgresql://replica with 5"


@pytest.mark.parametrize("make", [Container, lambda: copy.deepcopy(Container())], ids=["instances", "copies"])
async def test_containers_share_no_value(make: type[Container]) -> None:
    one, other = make(), make()
    assert one.pool() is not other.pool()
    assert await one.pool()() is not await other.pool()()
    assert isinstance(one.pool, Once)


async def test_a_copy_of_a_container_in_use_opens_its_own_value() -> None:
    container = Container()
    pool = await container.pool()()
    assert await copy.deepcopy(container).pool()() is not pool


async def test_what_it_is_opened_with_is_the_container_s_own() -> None:
    async def open_(*, settings: dict[str, str]) -> dict[str, str]:
        return settings

    async def close(_settings: dict[str, str]) -> None:
        pass

    settings: Singleton[dict[str, str]] = Singleton(dict)

    class Shared(DeclarativeContainer):
        pool: "Once[dict[str, str]]" = Once(open_, close=close, settings=settings)
        same: Singleton[list[dict[str, str]]] = Singleton(list, List(settings))

    for container in (Shared(), copy.deepcopy(Shared())):
        assert await container.pool()() is container.same()[0]
        assert await container.pool()() is not settings()


async def test_methods_that_open_and_close_stay_those_of_their_object(opener: Opener) -> None:
    """A container copies the arguments of its providers, and with a bound method its object."""

    class Methods(DeclarativeContainer):
        pool: "Once[Pool]" = Once(opener.open, close=close)

    opener.allowed.set()
    async with lifespan(copy.deepcopy(Methods())) as container:
        assert await container.pool()() is opener.opened[0]


def test_a_provider_that_does_not_say_how_to_close_is_refused_where_it_is_defined() -> None:
    with pytest.raises(TypeError, match=r"Once\(open_pool, …\) lacks close=…"):
        Once(open_pool, url="", max_connections=5)  # type: ignore[call-overload]


async def test_functions_that_are_not_async_are_named() -> None:
    def open_now() -> str:
        return "open"

    def close_now(_value: object) -> None:
        """Close."""

    async def open_later() -> str:
        return "open"

    not_async: Any = open_now, close_now
    with pytest.raises(TypeError, match=r"open_now is not async: it returned str\. Write `async def open_now`"):
        await Lazy(not_async[0], close=close)()
    lazy = Lazy(open_later, close=not_async[1])
    await lazy()
    with pytest.raises(TypeError, match="close_now is not async: it returned NoneType"):
        await lazy.aclose()


def test_a_coroutine_is_no_function() -> None:
    async def open_later() -> str:
        return "open"

    opening: Any = open_later()
    with pytest.raises(TypeError, match=r"Once is given a coroutine\. Pass the function"):
        Once(opening, close=close)
