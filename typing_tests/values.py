"""`Once` gives a `Lazy` of what its function opens; `lifespan` gives back the container."""

from typing import assert_type

from drive.lazy import Lazy, Once, lifespan
from typing_tests.wiring import Container, Greeter, Pool, Settings, close_pool, open_pool


async def close_file(file: int) -> None:
    """Close something that is no pool."""
    del file


def close_at_once(pool: Pool) -> None:
    """Close without being awaited."""
    del pool


async def awaiting_it_gives_the_value(container: Container) -> None:
    """Without an annotation: the type is that of the opening function."""
    assert_type(container.pool, Once[Pool])
    assert_type(container.pool(), Lazy[Pool])
    assert_type(await container.pool()(), Pool)
    assert_type(await (await container.pool()()).fetch("select"), list[str])
    assert_type(container.pool().peek(), Pool | None)


async def forgetting_to_await_or_to_open_is_refused(container: Container) -> None:
    """The mistakes of everybody's first day."""
    await container.pool().fetch("select")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    await container.pool()().fetch("select")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    await container.pool().peek().fetch("select")  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]


def a_wrong_declaration_is_refused() -> None:
    """What is never closed, or closed as something else, and what is not awaited."""
    Once(open_pool, url="postgresql://")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Once(open_pool, close=close_file)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    Once(open_pool, close=close_at_once)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Once(Pool, close=close_pool)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Once(close=close_pool)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Once[Settings](open_pool, close=close_pool)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def a_lifespan_gives_the_container(container: Container) -> None:
    """Of its own class, so that its providers keep their types."""
    async with lifespan(container, close_timeout_s=1.0) as same:
        assert_type(same, Container)
        assert_type(same.greeter(), Greeter)


async def a_lifespan_of_something_else_is_refused(container: Container) -> None:
    """The class in place of an instance; a plain `with`; a misspelt time limit."""
    async with lifespan(Container):  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
        pass
    with lifespan(container):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    async with lifespan(container, timeout_s=1.0):  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        pass
