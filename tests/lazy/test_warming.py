import asyncio
from typing import Any

import pytest
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Object, Singleton
from lazy_support import STREAMS, Server, logged_channels, serving, until

from drive.lazy import Channels, ForkedChannelsError, Once, Stub, lifespan, override, warm

opened: list[str] = []


@pytest.fixture(autouse=True)
def nothing_opened() -> None:
    opened.clear()


async def open_(*, name: str, failure: Exception | None = None) -> str:
    if failure is not None:
        raise failure
    opened.append(name)
    return name


async def hang(**_arguments: Any) -> str:
    await asyncio.Event().wait()
    return "never"


async def close(name: str) -> None:
    opened.remove(name)


def container_of(**parts: Any) -> Any:
    return type("Container", (DeclarativeContainer,), parts)()


def stubs(*urls: str) -> dict[str, Any]:
    channels = Singleton(Channels)
    return {"channels": channels} | {
        f"stub{place}": Stub(STREAMS, channels, endpoint=url) for place, url in enumerate(urls)
    }


async def test_it_opens_everything_and_says_what_each_took(server: Server) -> None:
    async with serving() as other:
        container = container_of(
            **stubs(server.url, server.url, other.url), pool=Once(open_, close=close, name=Object("pool"))
        )
        async with lifespan(container):
            with logged_channels() as log:
                took_s = await warm(container)
            assert sorted(took_s) == ["pool", "stub0", "stub1", "stub2"]
            assert all(0 <= one < 10 for one in took_s.values())
            assert log.verbs == ["Creating", "Creating"]
            assert server.connections() == other.connections() == 1
            assert opened == ["pool"]
            with logged_channels() as log:
                await container.stub0().Echo(b"hello")
                await warm(container)
            assert log.verbs == []
        assert opened == []


async def test_all_failures_are_told_at_once_and_the_rest_is_open() -> None:
    """Each with the part's name: what fails, what does not answer in time, and what cannot even be built."""
    container = container_of(
        **stubs("http://127.0.0.1:1", "nonsense"),
        fine=Once(open_, close=close, name="fine"),
        broken=Once(open_, close=close, name="broken", failure=OSError("no such host")),
        silent=Once(hang, close=close),
    )
    async with lifespan(container):
        with pytest.raises(ExceptionGroup) as raised:
            await warm(container, timeout_s=0.2)
        messages = "\n".join(map(str, raised.value.exceptions))
        assert (
            "<lazy StreamsStub at http://127.0.0.1:1> did not open within 0.2 s. Is what it needs running?" in messages
        )
        told = {error.__notes__[0]: type(error).__name__ for error in raised.value.exceptions}
        assert told == {
            "while opening stub0": "TimeoutError",
            "while opening stub1": "EndpointError",
            "while opening broken": "OSError",
            "while opening silent": "TimeoutError",
        }
        assert opened == ["fine"]
    assert opened == []


async def test_cancelling_it_leaves_what_was_opened_to_be_closed() -> None:
    container = container_of(fine=Once(open_, close=close, name="fine"), silent=Once(hang, close=close))
    async with lifespan(container):
        warming = asyncio.create_task(warm(container))
        await until(lambda: opened == ["fine"])
        warming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await warming
    assert opened == []


async def test_what_is_overridden_is_not_opened(server: Server) -> None:
    container = container_of(**stubs(server.url), pool=Once(open_, close=close, name="pool"))
    async with lifespan(container):
        with override(container, stub0=object(), pool="replacement"):
            assert list(await warm(container)) == ["pool"]
        assert opened == []
        assert server.connections() == 0


async def test_an_empty_container_has_nothing_to_open() -> None:
    assert await warm(container_of()) == {}


async def test_it_fails_where_calls_would(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """In a forked child, for one."""
    monkeypatch.setattr("drive.lazy.channels._fork.inherited_channels", True)
    with pytest.raises(ExceptionGroup) as raised:
        await warm(container_of(**stubs(server.url)))
    assert isinstance(raised.value.exceptions[0], ForkedChannelsError)
