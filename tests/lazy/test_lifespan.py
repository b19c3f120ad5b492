import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import structlog
from dependency_injector import providers
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Dependency, List, Object, Singleton
from lazy_support import STREAMS, Server, steps, until
from structlog.testing import capture_logs

from drive.lazy import Channels, ChannelsClosedError, Lazy, Once, Stub, lifespan, override

log = structlog.get_logger()


async def open_(*, name: str, on: Lazy[str] | None = None) -> str:
    if on is not None:
        await on()
    log.info("opened", part=name)
    return name


async def close(name: str) -> None:
    log.info("closed", part=name)


async def fail(name: str) -> None:
    raise OSError(f"{name} is broken")


async def hang(_name: str) -> None:
    await asyncio.Event().wait()


async def give_up(_name: str) -> None:
    raise asyncio.CancelledError


def container_of(**parts: Any) -> Any:
    """Return a container with these providers."""
    return type("Container", (DeclarativeContainer,), parts)()


def once(name: str, close: Callable[[str], Awaitable[object]] = close) -> "Once[str]":
    return Once(open_, close=close, name=name)


def events(lines: list[Any]) -> list[str]:
    return [f"{line['event']} {line.get('part', '')}".rstrip() for line in lines]


async def use(container: Any, names: str, error: Exception | None = None, close_timeout_s: float = 5.0) -> None:
    """Enter the lifespan, open these parts, and leave it, with an error of the application if one is given."""
    async with lifespan(container, close_timeout_s=close_timeout_s):
        for name in names:
            await container.providers[name]()()
        if error is not None:
            raise error


class TestOrder:
    """Closes in reverse order of opening."""

    async def test_across_values_and_channels(self, server: Server) -> None:
        channels = Singleton(Channels)
        container = container_of(
            channels=channels,
            streams=Stub(STREAMS, channels, endpoint=server.url),
            a=once("a"),
            b=once("b"),
            c=once("c"),
        )
        with capture_logs() as lines:
            async with lifespan(container):
                await container.b()()
                await container.streams().Echo(b"hello")
                await container.c()()
                await container.a()()
        assert events(lines) == [
            *("opened b", "Creating gRPC channel", "opened c", "opened a"),
            *("closed a", "closed c", "Closing gRPC channel", "closed b"),
        ]

    async def test_what_was_opened_to_stand_on_is_closed_after_what_stands_on_it(self) -> None:
        foundation = once("foundation")
        container = container_of(house=Once(open_, close=close, name="house", on=foundation), foundation=foundation)
        with capture_logs() as lines:
            async with lifespan(container):
                await container.house()()
        assert events(lines)[2:] == ["closed house", "closed foundation"]

    async def test_a_channel_that_was_reopened_keeps_its_place(self, server: Server) -> None:
        channels = Singleton(Channels, idle_timeout_s=0.0)
        container = container_of(channels=channels, streams=Stub(STREAMS, channels, endpoint=server.url), a=once("a"))
        async with lifespan(container):
            await container.streams().Echo(b"hello")
            first = container.channels().opened_as
            await until(lambda: not container.channels()._here().open)
            await container.a()()
            await container.streams().Echo(b"hello")
            assert container.channels().opened_as == first < container.a().opened_as

    async def test_an_opening_under_way_is_abandoned_before_anything_is_closed(self) -> None:
        begun = asyncio.Event()

        async def open_for_ever() -> str:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                log.info("abandoned")
            return "never"

        container = container_of(slow=Once(open_for_ever, close=close), a=once("a"))
        with capture_logs() as lines:
            async with lifespan(container):
                waiter = asyncio.create_task(container.slow()())
                await begun.wait()
                await container.a()()
        assert events(lines) == ["opened a", "abandoned", "closed a"]
        with pytest.raises(RuntimeError, match="open_for_ever was closed while it was being opened"):
            await waiter


class TestWhatIsClosed:
    """Everything in the container that can have been opened, and nothing else is touched."""

    async def test_nothing_is_opened_or_closed_where_nothing_was_used(self) -> None:
        container = container_of(channels=Singleton(Channels), a=once("a"))
        with capture_logs() as lines:
            async with lifespan(container) as entered:
                assert entered is container
        assert lines == []

    async def test_channels_refuse_calls_from_then_on_though_none_was_made_before(self, server: Server) -> None:
        """A task that outlives the application must not open what nobody would close."""
        channels = Singleton(Channels)
        container = container_of(channels=channels, streams=Stub(STREAMS, channels, endpoint=server.url))
        async with lifespan(container):
            echo = container.streams().Echo
        with pytest.raises(ChannelsClosedError):
            await echo(b"hello")

    async def test_parts_of_parts_are_found(self) -> None:
        class Inner(DeclarativeContainer):
            pool = once("inner")

        class Special(Channels):
            """Of somebody's own."""

        inner, listed, special = providers.Container(Inner), once("listed"), Singleton(Special)
        container = container_of(inner=inner, all=List(Singleton(dict, pool=listed)), channels=special)
        with capture_logs() as lines:
            async with lifespan(container):
                await container.inner.pool()()
                await container.all()[0]["pool"]()
        assert events(lines) == ["opened inner", "opened listed", "closed listed", "closed inner"]
        assert container.channels()._here().closed

    async def test_what_cannot_be_built_was_not_opened_and_stops_nothing(self) -> None:
        container = container_of(a=once("a"), broken=Once(open_, close=close, name=Dependency(instance_of=str)))
        with capture_logs() as lines:
            async with lifespan(container):
                await container.a()()
        assert events(lines) == ["opened a", "closed a"]

    async def test_what_replaces_a_part_and_has_nothing_to_close_is_left_alone(self) -> None:
        container = container_of(a=once("a"))
        with container.a.override(Object("fake")):
            async with lifespan(container):
                assert container.a() == "fake"

    async def test_a_value_can_be_opened_again_in_the_next_lifespan(self) -> None:
        container = container_of(a=once("a"))
        with capture_logs() as lines:
            for _ in range(2):
                async with lifespan(container):
                    await container.a()()
        assert events(lines) == ["opened a", "closed a"] * 2


class TestFailures:
    """Whatever happens, everything is attempted."""

    async def test_all_are_attempted_and_the_failures_gathered(self) -> None:
        container = container_of(a=once("a"), b=once("b", fail), c=once("c"), d=once("d", fail))
        with capture_logs() as lines, pytest.raises(ExceptionGroup) as raised:
            await use(container, "abcd")
        assert [str(error) for error in raised.value.exceptions] == ["d is broken", "b is broken"]
        assert [error.__notes__ for error in raised.value.exceptions] == [["while closing d"], ["while closing b"]]
        assert events(lines)[4:] == ["Closing failed d", "closed c", "Closing failed b", "closed a"]

    async def test_each_has_its_own_time_limit(self) -> None:
        container = container_of(a=once("a"), b=once("b", hang), c=once("c"), d=once("d", hang))
        with capture_logs() as lines, pytest.raises(ExceptionGroup) as raised:
            await use(container, "abcd", close_timeout_s=0.01)
        assert [type(error) for error in raised.value.exceptions] == [TimeoutError, TimeoutError]
        assert events(lines)[4:] == ["Closing failed d", "closed c", "Closing failed b", "closed a"]

    async def test_calls_under_way_are_cancelled_where_the_limit_is_shorter_than_their_grace(
        self, server: Server
    ) -> None:
        channels = Singleton(Channels, close_grace_s=30.0)
        container = container_of(channels=channels, streams=Stub(STREAMS, channels, endpoint=server.url), a=once("a"))
        call = container.streams().Echo(b"hold")
        await until(lambda: server.held == 1)
        with capture_logs() as lines, pytest.raises(ExceptionGroup):
            await use(container, "a", close_timeout_s=0.01)
        await until(call.cancelled)
        assert events(lines) == ["opened a", "closed a", "Closing gRPC channel", "Closing failed channels"]

    async def test_a_part_that_is_cancelled_from_within_is_a_failure_like_any_other(self) -> None:
        container = container_of(a=once("a"), b=once("b", give_up))
        with capture_logs() as lines, pytest.raises(ExceptionGroup) as raised:
            await use(container, "ab")
        assert [str(error) for error in raised.value.exceptions] == ["closing was cancelled"]
        assert events(lines)[2:] == ["Closing failed b", "closed a"]

    async def test_an_error_of_the_application_passes_through(self) -> None:
        with capture_logs() as lines, pytest.raises(ValueError, match="wrong"):
            await use(container_of(a=once("a")), "a", ValueError("wrong"))
        assert events(lines) == ["opened a", "closed a"]

    async def test_an_error_of_the_application_is_the_context_of_failures_to_close(self) -> None:
        error = ValueError("wrong")
        with pytest.raises(ExceptionGroup) as raised:
            await use(container_of(a=once("a", fail)), "a", error)
        assert raised.value.__context__ is error


class Closing:
    """A part whose closing the test holds up."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.allowed = asyncio.Event()

    async def close(self, name: str) -> None:
        self.begun.set()
        await self.allowed.wait()
        log.info("closed", part=name)


class TestCancelling:
    """Whoever leaves the lifespan may be cancelled meanwhile."""

    @pytest.fixture
    async def closing(self) -> Closing:
        return Closing()

    @pytest.mark.parametrize("times", [1, 3])
    async def test_all_is_closed_first_and_then_the_cancellation_passed_on(self, closing: Closing, times: int) -> None:
        container = container_of(a=once("a"), b=once("b", closing.close), c=once("c", closing.close))
        with capture_logs() as lines:
            leaving = asyncio.create_task(use(container, "abc"))
            await closing.begun.wait()
            for _ in range(times):
                leaving.cancel()
                await steps(3)
            assert not leaving.done()
            closing.allowed.set()
            await asyncio.wait([leaving])
        assert leaving.cancelled()
        assert events(lines)[3:] == ["closed c", "closed b", "closed a"]

    async def test_an_application_that_is_cancelled_is_closed(self) -> None:
        running = asyncio.Event()
        container = container_of(a=once("a"))

        async def run() -> None:
            async with lifespan(container):
                await container.a()()
                running.set()
                await asyncio.Event().wait()

        with capture_logs() as lines:
            application = asyncio.create_task(run())
            await running.wait()
            application.cancel()
            await asyncio.wait([application])
        assert application.cancelled()
        assert events(lines) == ["opened a", "closed a"]

    async def test_failures_are_in_the_log_where_the_cancellation_wins(self, closing: Closing) -> None:
        container = container_of(a=once("a", fail), b=once("b", closing.close))
        with capture_logs() as lines:
            leaving = asyncio.create_task(use(container, "ab"))
            await closing.begun.wait()
            leaving.cancel()
            await steps(3)
            closing.allowed.set()
            await asyncio.wait([leaving])
        assert leaving.cancelled()
        assert events(lines)[2:] == ["closed b", "Closing failed a"]

    async def test_a_limit_on_the_whole_is_told_after_all_was_closed(self, closing: Closing) -> None:
        container = container_of(a=once("a"), b=once("b", closing.close))
        limit = asyncio.timeout(None)

        async def use_within_limit() -> None:
            async with limit:
                await use(container, "ab")

        with capture_logs() as lines:
            leaving = asyncio.create_task(use_within_limit())
            await closing.begun.wait()
            limit.reschedule(asyncio.get_running_loop().time())
            await until(limit.expired)
            closing.allowed.set()
            with pytest.raises(TimeoutError):
                await leaving
        assert events(lines)[2:] == ["closed b", "closed a"]


class TestOverrides:
    """What overrides replaced, and what was opened under them, is not forgotten."""

    async def test_what_was_replaced_and_what_replaced_it_are_closed_inside_of_the_block(self) -> None:
        container = container_of(a=once("real a"), b=once("real b"))
        with capture_logs() as lines:
            async with lifespan(container):
                await container.a()()
                with override(container, a=once("fake a")):
                    await container.b()()
                    await container.a()()
        assert [line["part"] for line in lines if line["event"] == "closed"] == ["fake a", "real b", "real a"]

    async def test_an_application_that_ends_inside_of_the_block(self) -> None:
        container = container_of(a=once("real a"))
        with capture_logs() as lines:
            lifetime = lifespan(container)
            await lifetime.__aenter__()
            await container.a()()
            with override(container, a=once("fake a")):
                await container.a()()
                await lifetime.__aexit__(None, None, None)
            assert events(lines) == ["opened real a", "opened fake a", "closed fake a", "closed real a"]

    async def test_what_was_opened_by_settings_that_were_replaced(self) -> None:
        container: Any = container_of(name=Object("real"), a=Object(None))
        container.a = Once(open_, close=close, name=container.name)
        held = container.a()
        with capture_logs() as lines:
            async with lifespan(container):
                await held()
                with override(container, name="fake"):
                    await held()
        assert events(lines) == ["opened real", "opened fake", "closed fake", "closed real"]

    async def test_channels_that_were_replaced(self, server: Server) -> None:
        channels: Any = Singleton(Channels)
        container = container_of(channels=channels, streams=Stub(STREAMS, channels, endpoint=server.url))
        with capture_logs() as lines:
            async with lifespan(container):
                await container.streams().Echo(b"hello")
                with override(container, channels=Singleton(Channels, max_connections=1)):
                    await container.streams().Echo(b"hello")
        verbs = [line["event"].split()[0] for line in lines]
        assert verbs == ["Creating", "Creating", "Closing", "Closing"]


async def test_a_class_is_refused_at_the_beginning() -> None:
    class Container(DeclarativeContainer):
        a = once("a")

    not_made: Any = Container
    with pytest.raises(TypeError, match=r"Container is the class: give an instance, Container\(\)"):
        async with lifespan(not_made):
            raise AssertionError
