"""What drive.lazy promises holds in whatever order things happen, and wherever a task is cancelled.

A failure names its seed: `run_shuffled(range(seed, seed + 1), …)` runs that schedule again.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any, TypeAlias

import grpc.aio
import pytest
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Object, Singleton
from grpc import StatusCode
from http2_support import OK, REFUSED, UNAVAILABLE, Http2Server, http2_server
from lazy_support import STREAMS, Server, calling, container_of, forget_imports, logged_channels, serving, steps
from schedules_support import Crowd, each_await, pause, run_shuffled, run_shuffled_beside, soon

from drive.lazy import Channels, ChannelsClosedError, Lazy, Once, Stub, lifespan, override, retrying, warm
from drive.lazy.channel import OpenChannel, open_channels
from drive.lazy.once import open_values
from drive.lazy.replaced import in_force

Way: TypeAlias = Callable[[Any], Awaitable[object]]

CHUNKS = [range(start, start + 500) for start in (0, 500)]
seeds = pytest.mark.parametrize("seeds", CHUNKS, ids=lambda chunk: f"{chunk.start}-{chunk.stop}")
# Where its tasks begin late, a server of gRPC forgets those that were cancelled before.
beside_grpc = pytest.mark.filterwarnings("ignore:coroutine '_handle_rpc' was never awaited:RuntimeWarning")


class Part:
    """Opens and closes something, each after a while, and fails at random; keeps the book of both."""

    def __init__(
        self, random: Random, *, failing: float = 0.0, stubborn: float = 0.0, journal: list[object] | None = None
    ) -> None:
        self.failing = failing
        self.stubborn = stubborn
        self.opened: list[object] = []
        self.closed: list[object] = []
        self._random = random
        self._journal = [] if journal is None else journal
        self._opening: set[asyncio.Task[Any] | None] = set()

    @property
    def is_closed(self) -> bool:
        """Whether each value that was opened was closed, once."""
        return sorted(map(id, self.opened)) == sorted(map(id, self.closed))

    async def open(self) -> object:
        # One that was abandoned may still be cleaning up while the next one begins.
        assert all(task is not None and task.cancelling() for task in self._opening), "opened by two at a time"
        task = asyncio.current_task()
        self._opening.add(task)
        try:
            await pause(self._random)
        except asyncio.CancelledError:
            if self._random.random() >= self.stubborn:
                raise
        finally:
            self._opening.discard(task)
        if self._random.random() < self.failing:
            raise OSError("refused")
        value = object()
        self.opened.append(value)
        return value

    async def close(self, value: object) -> None:
        self.closed.append(value)
        await pause(self._random)
        self._journal.append(value)  # not where closing was cut off

    def lazy(self) -> Lazy[object]:
        return Lazy(self.open, close=self.close, name="part")


async def outcome_of(waiting: Awaitable[object]) -> object:
    try:
        return await waiting
    except (OSError, RuntimeError) as failure:
        return failure


def assert_all_is_closed(*parts: Part) -> None:
    assert all(part.is_closed for part in parts)
    assert not open_values
    assert not open_channels


class TestOnce:
    """Opened by one at a time, whoever waits, fails, is cancelled or closes it meanwhile."""

    @seeds
    def test_shuffled(self, seeds: range) -> None:
        run_shuffled(seeds, self.scenario)

    async def scenario(self, random: Random) -> None:
        part = Part(random, failing=random.choice([0.0, 0.4]), stubborn=0.3)
        lazy, crowd, closers = part.lazy(), Crowd(random), random.choice([0, 0, 1, 2])

        async def use() -> object:
            outcome = await outcome_of(lazy())
            if not isinstance(outcome, OSError):
                return outcome
            again = await outcome_of(lazy())
            assert again is not outcome, "it was not tried again"
            return again

        for _ in range(8):
            crowd.add(use, doomed=0.4)
        for _ in range(closers):
            crowd.add(lazy.aclose)
        for outcome in await crowd.ended():
            self._is_fine(outcome, part, closers)
        if not closers and not part.failing:
            assert len(part.opened) == 1
        part.failing = 0.0
        assert await lazy() is part.opened[-1]
        assert open_values == {lazy}
        await lazy.aclose()
        assert_all_is_closed(part)

    def _is_fine(self, outcome: object, part: Part, closers: int) -> None:
        if isinstance(outcome, RuntimeError):
            assert str(outcome) == "part was closed while it was being opened."
            assert closers
        elif isinstance(outcome, OSError):
            assert part.failing
        else:
            assert outcome in [None, *part.opened]


async def read(stub: Any) -> object:
    call = stub.Count(b"X")
    return b"".join([message async for message in call])


async def echo(stub: Any) -> object:
    return await stub.Echo(b"x")


async def join(stub: Any) -> object:
    async def requests() -> AsyncIterator[bytes]:
        yield b"X"

    return await stub.Join(requests())


def waiting_on(channel: OpenChannel) -> list[Any]:
    """Return the calls that wait to be sent again."""
    return list(channel.waiting)


async def no_calls_in_flight(channels: list[OpenChannel]) -> None:
    await soon(lambda: not any(channel.in_flight or channel.waiting for channel in channels))


@beside_grpc
class TestFirstCalls:
    """Import gRPC, open one channel, log one line."""

    @seeds
    def test_shuffled(self, seeds: range) -> None:
        run_shuffled_beside(serving, seeds, self.scenario)

    async def scenario(self, server: Server, random: Random) -> None:
        forget_imports()
        with logged_channels() as log:
            async with calling(server.url) as container:
                crowd = Crowd(random)
                for _ in range(random.randint(1, 6)):
                    way = random.choice([echo, echo, read, join])
                    crowd.add(lambda way=way: way(container.streams()), doomed=0.4)  # type: ignore[misc]
                answers = await crowd.ended()
                assert answers == [b"X"] * len(answers)
                assert crowd.outcomes_of_doomed() in [[b"X"] * n for n in range(7)]
                assert log.verbs == ["Creating"] if answers else log.verbs in ([], ["Creating"])
                await no_calls_in_flight([*open_channels])
        assert_all_is_closed()


@beside_grpc
class TestIdleClosing:
    """A channel that is closed whenever no call is under way fails none."""

    @seeds
    def test_shuffled(self, seeds: range) -> None:
        run_shuffled_beside(serving, seeds, self.scenario)

    async def scenario(self, server: Server, random: Random) -> None:
        with logged_channels() as log:
            async with calling(server.url, idle_timeout_s=0.0) as container:
                crowd = Crowd(random)

                async def call() -> list[object]:
                    answers = []
                    for way in random.choices([echo, echo, read, join], k=2):
                        answers.append(await way(container.streams()))
                        await pause(random)
                    return answers

                for _ in range(random.randint(1, 3)):
                    crowd.add(call, doomed=0.3)
                answers = await crowd.ended()
                assert answers == [[b"X", b"X"]] * len(answers)
                await soon(lambda: not open_channels)
                snapshots = container.channels().snapshot()
                assert all(one.calls_in_flight == 0 and one.failures.keys() <= {"CANCELLED"} for one in snapshots)
        assert log.verbs == (["Creating", "Closing"] + ["Reopening", "Closing"] * len(log.verbs))[: len(log.verbs)]
        assert_all_is_closed()


@beside_grpc
class TestClosingChannels:
    """Whoever calls while the application shuts down is answered or told why not."""

    @seeds
    def test_shuffled(self, seeds: range) -> None:
        run_shuffled_beside(serving, seeds, self.scenario)

    async def scenario(self, server: Server, random: Random) -> None:
        if random.random() < 0.3:
            forget_imports()
        grace_s, hold = random.choice([(30.0, b"x"), (0.0, b"x"), (0.0, b"hold")])
        container = container_of(server.url, close_grace_s=grace_s)
        stub, crowd, closers = container.streams(), Crowd(random), Crowd(random)

        async def call() -> object:
            request = random.choice([b"x", hold])
            ways: list[Way] = [lambda stub: stub.Echo(request), read, join]
            return await random.choice(ways)(stub)

        async def close() -> None:
            await pause(random, 40)
            await container.channels().aclose()

        for _ in range(random.randint(1, 5)):
            crowd.add(call, doomed=0.2)
        for _ in range(random.randint(1, 2)):
            closers.add(close, doomed=0.3)
        assert set(await closers.ended()) <= {None}
        await container.channels().aclose()  # where all of them were cancelled before they began
        for outcome in [*await crowd.ended(), *crowd.outcomes_of_doomed()]:
            self._is_fine(outcome)
        assert_all_is_closed()
        assert all(one.calls_in_flight == 0 for one in container.channels().snapshot())

    def _is_fine(self, outcome: object) -> None:
        if isinstance(outcome, grpc.aio.AioRpcError):
            assert outcome.code() in {StatusCode.UNAVAILABLE, StatusCode.CANCELLED}
        else:
            is_told = isinstance(outcome, ChannelsClosedError | asyncio.CancelledError)
            assert is_told or outcome == b"X"


class TestRetrying:
    """A call that is sent again ends as any other, and none is left waiting."""

    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retrying, "_FIRST_BACKOFF_S", 0.0002)
        monkeypatch.setattr(retrying, "_BACKOFF_MAX_S", 0.001)

    @seeds
    def test_shuffled(self, seeds: range) -> None:
        run_shuffled_beside(lambda: http2_server(OK), seeds, self.scenario)

    async def scenario(self, server: Http2Server, random: Random) -> None:
        server.streams = 0
        server.answers = [*random.choices([OK, REFUSED, UNAVAILABLE], [2, 3, 1], k=15), OK]
        container = client_of(server.url, close_grace_s=0.0)
        crowd, is_closed_early = Crowd(random), random.random() < 0.3

        async def cancel() -> object:
            call = container.streams().Echo(b"?")
            await pause(random, 40)
            call.cancel()
            await asyncio.wait([asyncio.ensure_future(call.code())])
            return b"yes"

        async with lifespan(container):
            for _ in range(random.randint(1, 5)):
                way = random.choice([echo, echo, read, lambda _stub: cancel()])
                crowd.add(lambda way=way: way(container.streams()), doomed=0.3)  # type: ignore[misc]
            if is_closed_early:
                await pause(random, 60)
            else:
                await crowd.ended()
            channels = [*open_channels]
        for outcome in [*await crowd.ended(), *crowd.outcomes_of_doomed()]:
            self._is_fine(outcome, is_closed_early=is_closed_early)
        await no_calls_in_flight(channels)
        assert_all_is_closed()

    def _is_fine(self, outcome: object, *, is_closed_early: bool) -> None:
        if isinstance(outcome, grpc.aio.AioRpcError):
            assert outcome.code() is StatusCode.UNAVAILABLE or is_closed_early
        elif outcome != b"yes":
            assert is_closed_early
            assert isinstance(outcome, asyncio.CancelledError | ChannelsClosedError)


def client_of(url: str, timeout_s: float | None = 30.0, **options: Any) -> Any:
    class Container(DeclarativeContainer):
        channels = Singleton(Channels, **options)
        streams: "Stub[Any]" = Stub(STREAMS, channels, endpoint=url, timeout_s=timeout_s, idempotent=("Echo",))

    return Container()


def container_with(**parts: Any) -> Any:
    """Return a container with these providers, and a `Once` for each `Part`."""
    once = {name: Once(part.open, close=part.close) for name, part in parts.items() if isinstance(part, Part)}
    return type("Container", (DeclarativeContainer,), parts | once)()


class TestLifespan:
    """All is closed, in reverse order, however often who leaves is cancelled."""

    @seeds
    def test_shuffled(self, seeds: range) -> None:
        run_shuffled(seeds, self.scenario)

    async def scenario(self, random: Random) -> None:
        closed: list[object] = []
        parts = {name: Part(random, journal=closed) for name in "abcd"}
        container, crowd = container_with(**parts), Crowd(random)
        order: list[str] = []

        async def use() -> None:
            async with lifespan(container):
                openers = [crowd.add(container.providers[name]()) for name in parts]
                try:
                    await pause(random, 20)
                finally:
                    for opener in openers:
                        opener.cancel()  # what nobody waits for is opened all the same
                    places = {container.providers[name]().opened_as: name for name in parts}
                    order.extend(places[place] for place in sorted({*places} - {None, sys.maxsize}))

        leaving = asyncio.create_task(use())
        is_cancelled = False
        for _ in range(random.randint(0, 3)):
            await pause(random, 20)
            is_cancelled |= leaving.cancel()
        await asyncio.wait([leaving])
        assert leaving.cancelled() == is_cancelled
        await crowd.ended()
        under_way = len(closed) - len(order)
        assert closed[under_way:] == [parts[name].opened[0] for name in reversed(order)]
        assert_all_is_closed(*parts.values())


class Service:
    """Depends on a name."""

    def __init__(self, name: str) -> None:
        self.name = name


def named_container() -> Any:
    name = Object("original")
    return container_with(name=name, service=Singleton(Service, name))


class TestOverride:
    """Each task sees its own."""

    @seeds
    def test_shuffled(self, seeds: range) -> None:
        run_shuffled(seeds, self.scenario)

    async def scenario(self, random: Random) -> None:
        container, crowd = named_container(), Crowd(random)
        held = container.service() if random.random() < 0.5 else None
        names = {"original", *map(str, range(6)), *(f"{place} inside" for place in range(6))}

        async def look(seen: set[str]) -> None:
            for _ in range(3):
                assert container.name() in seen
                assert container.service().name in seen
                assert held is None or held.name in seen
                await pause(random)

        async def replace(name: str) -> None:
            with override(container, name=name):
                await look({name})
                await override(container, name=f"{name} inside")(look)({f"{name} inside"})
                await look({name})
            assert container.name() in names

        for place in range(random.randint(1, 6)):
            crowd.add(lambda place=place: replace(str(place)), doomed=0.4)  # type: ignore[misc]
        crowd.add(lambda: look(names))
        assert set(await crowd.ended()) == {None}
        assert not in_force()
        await look({"original"})


@beside_grpc
class TestWarm:
    """What was opened is closed, though it was cancelled or failed."""

    @seeds
    def test_shuffled(self, seeds: range) -> None:
        run_shuffled_beside(serving, seeds, self.scenario)

    async def scenario(self, server: Server, random: Random) -> None:
        channels = Singleton(Channels)
        stubs: dict[str, Stub[Any]] = {
            f"stub{place}": Stub(STREAMS, channels, endpoint=server.url) for place in range(2)
        }
        parts = {name: Part(random, failing=random.choice([0.0, 0.3])) for name in "ab"}
        container, crowd = container_with(channels=channels, **stubs, **parts), Crowd(random)
        if random.random() < 0.3:
            forget_imports()
        with logged_channels() as log:
            async with lifespan(container):
                for _ in range(random.randint(1, 2)):
                    crowd.add(lambda: warm(container), doomed=0.6)
                for outcome in await crowd.ended():
                    self._is_fine(outcome, parts)
        assert log.verbs in ([], ["Creating", "Closing"])
        assert_all_is_closed(*parts.values())

    def _is_fine(self, outcome: object, parts: dict[str, Part]) -> None:
        if isinstance(outcome, ExceptionGroup):
            assert {type(failure) for failure in outcome.exceptions} == {OSError}
            assert any(part.failing for part in parts.values())
        else:
            assert isinstance(outcome, dict)
            assert outcome.keys() == {"stub0", "stub1", "a", "b"}


class Steady(Random):
    """Makes every pause three turns long."""

    def randint(self, _a: int, _b: int) -> int:
        return 3


async def talk(stub: Any) -> object:
    call = stub.Talk()
    try:
        await call.write(b"x")
        answer = await call.read()
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
    finally:
        call.cancel()  # gRPC leaves that to who writes
    return answer


async def read_one(stub: Any) -> object:
    call = stub.Count(b"X")
    return await call.read()


async def ask_for_the_code(stub: Any) -> object:
    call = stub.Echo(b"x")
    assert await call.code() is StatusCode.OK
    return await call


ways = pytest.mark.parametrize("way", [echo, read, read_one, join, talk, ask_for_the_code])


@pytest.mark.parametrize("late", [False, True], ids=["when it begins to wait", "when it is about to go on"])
class TestCancelledAtEachAwait:
    """Nothing is left behind, and the next one succeeds."""

    @ways
    @pytest.mark.parametrize("is_first", [True, False])
    async def test_a_call(self, server: Server, way: Way, is_first: bool, late: bool) -> None:
        for cancelling in each_await(late=late):
            forget_imports()
            async with calling(server.url) as container:
                with logged_channels() as log:
                    if not is_first:
                        await echo(container.streams())
                    await cancelling.run(way(container.streams()))
                    assert await way(container.streams()) == b"X"
                    assert log.verbs == ["Creating"]
                await no_calls_in_flight([*open_channels])
            assert_all_is_closed()

    async def test_a_call_that_is_sent_again(self, late: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retrying, "_FIRST_BACKOFF_S", 0.0005)
        for way in (echo, read, read_one, ask_for_the_code):
            for cancelling in each_await(late=late):
                async with http2_server(REFUSED, REFUSED, OK) as http2, lifespan(client_of(http2.url)) as container:
                    await cancelling.run(way(container.streams()))
                    assert await way(container.streams()) == b"yes"
                    await no_calls_in_flight([*open_channels])

    async def test_a_call_is_over_with_who_awaits_it(self, late: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also where an attempt is refused in the turn in which that one is cancelled."""
        monkeypatch.setattr(retrying, "_FIRST_BACKOFF_S", 0.05)
        for cancelling in each_await(late=late):
            async with http2_server(OK, REFUSED, OK) as http2, lifespan(client_of(http2.url)) as container:
                await echo(container.streams())  # is connected: the server may end as soon as the call does
                calls: list[Any] = []

                async def ask(container: Any = container, calls: list[Any] = calls) -> object:
                    calls.append(container.streams().Echo(b"?"))
                    return await calls[0]

                await cancelling.run(ask())
                assert calls[0].done()

    async def test_opening(self, late: bool) -> None:
        for cancelling in each_await(late=late):
            part = Part(Steady())
            lazy = part.lazy()
            other = asyncio.create_task(lazy())
            await cancelling.run(lazy())
            assert await lazy() is await other
            await lazy.aclose()
            assert len(part.opened) == 1
            assert_all_is_closed(part)

    async def test_closing_a_value(self, late: bool) -> None:
        for cancelling in each_await(late=late):
            part = Part(Steady())
            lazy = part.lazy()
            first = await lazy()
            await cancelling.run(lazy.aclose())
            assert part.closed == [first]
            assert not open_values
            assert await lazy() is not first
            await lazy.aclose()
            assert_all_is_closed(part)

    async def test_closing_what_is_being_opened(self, late: bool) -> None:
        for cancelling in each_await(late=late):
            part = Part(Steady())
            lazy = part.lazy()
            waiter = asyncio.create_task(lazy())
            await steps(2)
            await cancelling.run(lazy.aclose())
            assert (await asyncio.gather(waiter, return_exceptions=True))[0] is not None
            assert await lazy() in part.opened
            await lazy.aclose()
            assert_all_is_closed(part)

    async def test_closing_channels(self, server: Server, late: bool) -> None:
        for cancelling in each_await(late=late):
            server.released = asyncio.Event()
            async with calling(server.url, close_grace_s=30.0) as container:
                call = container.streams().Echo(b"hold")
                await soon(lambda: server.held)
                asyncio.get_running_loop().call_later(0.01, server.released.set)
                await cancelling.run(container.channels().aclose())
                await soon(lambda call=call: call.done() and not open_channels)  # type: ignore[misc]
                with pytest.raises(ChannelsClosedError):
                    await echo(container.streams())

    async def test_a_lifespan(self, server: Server, late: bool) -> None:
        closed: list[object] = []
        parts = {name: Part(Steady(), journal=closed) for name in "ab"}
        container = container_with(**parts)

        async def use() -> None:
            async with lifespan(container):
                await container.a()()
                await container.b()()

        for cancelling in each_await(late=late):
            await cancelling.run(use())
            assert_all_is_closed(*parts.values())
            closed.clear()
            await use()
            assert closed == [parts["b"].opened[-1], parts["a"].opened[-1]]
            assert_all_is_closed(*parts.values())

    async def test_a_lifespan_with_channels(self, server: Server, late: bool) -> None:
        for cancelling in each_await(late=late):
            part, channels = Part(Steady()), Singleton(Channels)
            streams: Stub[Any] = Stub(STREAMS, channels, endpoint=server.url)
            container = container_with(channels=channels, streams=streams, part=part)

            async def use(container: Any = container) -> None:
                async with lifespan(container):
                    await container.part()()
                    await echo(container.streams())

            await cancelling.run(use())
            assert_all_is_closed(part)

    async def test_warm(self, server: Server, late: bool) -> None:
        for cancelling in each_await(late=late):
            forget_imports()
            part, channels = Part(Steady()), Singleton(Channels)
            streams: Stub[Any] = Stub(STREAMS, channels, endpoint=server.url)
            async with lifespan(container_with(channels=channels, streams=streams, part=part)) as container:
                await cancelling.run(warm(container))
                assert (await warm(container)).keys() == {"streams", "part"}
                assert len(part.opened) == len(open_channels) == 1
            assert_all_is_closed(part)

    async def test_override_as_a_decorator(self, late: bool) -> None:
        container = named_container()
        held = container.service()

        @override(container, name="replaced")
        async def use() -> None:
            for _ in range(3):
                assert container.service().name == held.name == "replaced"
                await asyncio.sleep(0)

        for cancelling in each_await(late=late):
            await cancelling.run(use())
            assert not in_force()
            assert container.service().name == held.name == "original"
            assert type(held) is Service
            await use()


class TestClosingWhileCancelled:
    """Whoever closes may be cancelled, and something may end at the same moment."""

    async def test_channels_close_though_who_closes_them_is_cancelled_at_once(self, server: Server) -> None:
        async with calling(server.url) as container:
            await echo(container.streams())
            closing = asyncio.create_task(container.channels().aclose())
            await steps(1)
            closing.cancel()
            await asyncio.wait([closing])
            await steps(20)
            left = [*open_channels]
            for channel in left:  # on a loop that is over, gRPC would crash
                await channel.close(0.0)
            assert left == []

    async def test_cancelling_one_who_closes_channels_harms_no_other(self, server: Server) -> None:
        async with calling(server.url, close_grace_s=30.0) as container:
            call = container.streams().Echo(b"hold")
            await soon(lambda: server.held)
            one, other = (asyncio.create_task(container.channels().aclose()) for _ in range(2))
            await steps(3)
            one.cancel()
            await asyncio.wait([one, other])
            assert one.cancelled()
            assert not other.cancelled()
            await soon(call.done)

    async def test_a_value_that_is_closed_in_the_turn_in_which_it_was_opened_is_not_told_as_open(self) -> None:
        for moment in range(8):
            part = Part(Steady())
            lazy = part.lazy()
            waiter = asyncio.create_task(lazy())
            await steps(moment)
            await lazy.aclose()
            await asyncio.wait([waiter])
            await lazy.aclose()  # at the first moment the waiter has not begun
            assert_all_is_closed(part)

    async def test_a_call_in_the_turn_in_which_opening_failed_tries_again(self) -> None:
        for moment in range(8):
            part = Part(Steady(), failing=1.0)
            lazy = part.lazy()
            waiter = asyncio.create_task(lazy())
            await steps(moment)
            failure, another = await outcome_of(lazy()), await outcome_of(lazy())
            await outcome_of(waiter)
            assert another is not failure

    async def test_a_value_that_comes_though_abandoned_is_closed_by_the_next_who_closes(self) -> None:
        """Who closed it first was cancelled."""
        part = Part(Steady(), stubborn=1.0)
        lazy = part.lazy()
        waiter = asyncio.create_task(lazy())
        await steps(3)
        closing = asyncio.create_task(lazy.aclose())
        await steps(1)
        closing.cancel()
        await asyncio.wait([closing, waiter])
        await lazy.aclose()
        assert_all_is_closed(part)


async def test_who_iterates_is_told_why_though_the_channel_is_closed_before_another_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The iterator of the failed attempt has told its failure already, and has nothing more to say."""
    monkeypatch.setattr(retrying, "_FIRST_BACKOFF_S", 1000.0)
    monkeypatch.setattr(retrying, "_BACKOFF_MAX_S", 1000.0)
    async with http2_server(REFUSED) as http2, lifespan(client_of(http2.url, None, close_grace_s=0.0)) as container:
        reader = asyncio.create_task(read(container.streams()))
        await soon(
            lambda: any(call._waiting._callbacks for channel in open_channels for call in waiting_on(channel))
        )  # the reader waits, too
        await container.channels().aclose()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await reader
        assert raised.value.code() is StatusCode.UNAVAILABLE


async def test_who_reads_is_cancelled_before_grpc_has_begun_to_send() -> None:
    """GRPC's own call then never ends; it would be counted as in flight for ever."""
    async with serving() as server, calling(server.url, close_grace_s=0.0) as container:
        await echo(container.streams())
        (channel,) = open_channels
        reader = asyncio.create_task(read(container.streams()))
        await steps(1)
        reader.cancel()
        await asyncio.wait([reader])
        await steps(20)
        assert channel.in_flight == 0
