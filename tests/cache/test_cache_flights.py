"""One load per key, whoever waits, leaves or fails."""

import asyncio
from typing import Any

import pytest
from cache_support import Loader
from structlog.testing import capture_logs

from drive.cache.flights import Flights


class SlowLoader(Loader):
    """Gives its value, or raises it, when told to."""

    def __init__(self, value: Any = "loaded") -> None:
        super().__init__(value)
        self.may_end = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self) -> Any:
        """Wait to be told."""
        self.count += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@pytest.fixture
def flights() -> Flights:
    return Flights()


@pytest.fixture
def stored() -> list[Any]:
    return []


async def test_all_who_wait_share_one_load(flights: Flights, stored: list[Any]) -> None:
    loader = SlowLoader()
    waiters = [asyncio.create_task(flights.join("a", loader, _store_in(stored))) for _ in range(100)]
    await asyncio.sleep(0)
    loader.may_end.set()

    assert await asyncio.gather(*waiters) == ["loaded"] * 100
    assert (loader.count, stored) == (1, ["loaded"])


async def test_keys_do_not_wait_for_each_other(flights: Flights, stored: list[Any]) -> None:
    slow = asyncio.create_task(flights.join("a", SlowLoader(), _store_in(stored)))
    await asyncio.sleep(0)

    assert await flights.join("b", Loader("b"), _store_in(stored)) == "b"
    slow.cancel()


async def test_cancelling_one_harms_no_other(flights: Flights, stored: list[Any]) -> None:
    """Also where the one that began the load is cancelled."""
    loader = SlowLoader()
    waiters = [asyncio.create_task(flights.join("a", loader, _store_in(stored))) for _ in range(3)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    await asyncio.wait([waiters[0]])
    loader.may_end.set()

    assert await asyncio.gather(*waiters[1:]) == ["loaded"] * 2
    assert waiters[0].cancelled()
    assert loader.count == 1


async def test_a_load_that_nobody_waits_for_is_cancelled(flights: Flights, stored: list[Any]) -> None:
    loader = SlowLoader()
    waiters = [asyncio.create_task(flights.join("a", loader, _store_in(stored))) for _ in range(3)]
    await asyncio.sleep(0)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.wait(waiters)

    assert await flights.join("a", Loader("anew"), _store_in(stored)) == "anew"
    assert (loader.was_cancelled, stored) == (True, ["anew"])


async def test_a_failure_reaches_all_who_wait_and_no_later_one(flights: Flights, stored: list[Any]) -> None:
    loader = SlowLoader(ValueError("no"))
    waiters = [asyncio.create_task(flights.join("a", loader, _store_in(stored))) for _ in range(3)]
    await asyncio.sleep(0)
    loader.may_end.set()
    results = await asyncio.gather(*waiters, return_exceptions=True)

    assert results == [loader.value] * 3
    assert await flights.join("a", Loader(), _store_in(stored)) == "loaded"
    assert (loader.count, stored) == (1, ["loaded"])


async def test_a_load_that_fails_as_the_last_one_leaves_is_in_the_log(flights: Flights, stored: list[Any]) -> None:
    async def load() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("secret")

    waiter = asyncio.create_task(flights.join("a", load, _store_in(stored)))
    await asyncio.sleep(0.01)
    with capture_logs() as logs:
        waiter.cancel()
        await asyncio.wait([waiter])
        await asyncio.sleep(0.01)

    assert logs == [{"event": "Abandoned load failed", "key": "a", "error": "ValueError", "log_level": "debug"}]


async def test_a_forgotten_key_is_loaded_anew_and_the_old_value_is_not_stored(
    flights: Flights, stored: list[Any]
) -> None:
    old, new = SlowLoader("old"), SlowLoader("new")
    first = asyncio.create_task(flights.join("a", old, _store_in(stored)))
    await asyncio.sleep(0)
    flights.forget("a")
    second = asyncio.create_task(flights.join("a", new, _store_in(stored)))
    await asyncio.sleep(0)
    new.may_end.set()
    assert await second == "new"
    old.may_end.set()

    assert await first == "old"
    assert stored == ["new"]


async def test_a_key_that_is_forgotten_before_its_load_begins_is_not_stored(
    flights: Flights, stored: list[Any]
) -> None:
    first = asyncio.create_task(flights.join("a", Loader(), _store_in(stored)))
    flights.forget("a")
    await asyncio.sleep(0)
    flights.forget("a")

    assert await first == "loaded"
    assert stored == []


async def test_nothing_is_kept_of_ended_loads(flights: Flights, stored: list[Any]) -> None:
    for number in range(10):
        await flights.join(f"{number}", Loader(), _store_in(stored))

    assert flights._flights == {}


def _store_in(stored: list[Any]) -> Any:
    async def store(value: Any) -> None:
        stored.append(value)

    return store
