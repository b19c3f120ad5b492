"""The pytest plugin: looks for leaks of every test, and the fixtures that need no event loop."""

import importlib
import os
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import pytest

from drive.testing.leaks import KINDS, no_leaks, report
from drive.testing.loops import Loops

if TYPE_CHECKING:
    from dependency_injector.containers import Container

    from drive.testing.channels import ChannelLog

_WATCH: Final = pytest.StashKey[no_leaks]()
"""What watches the test that runs."""


_SHARED_LOOPS: Final = pytest.StashKey[WeakSet[AbstractEventLoop]]()
"""On these run fixtures of a module or session, which may open something while a test runs."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what pyproject.toml may say of us."""
    parser.addini("drive_container", 'what the fixture `container` makes: "package.containers:Container"')


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker, and where pytest-asyncio runs asynchronous tests, the asynchronous fixtures."""
    config.addinivalue_line("markers", f"leaks(*kinds): the test leaves these open on purpose ({', '.join(KINDS)})")
    config.stash[_SHARED_LOOPS] = WeakSet()
    if config.pluginmanager.hasplugin("asyncio"):
        config.pluginmanager.import_plugin("drive.testing.fixtures")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Let a fixture of a module or session keep open what it opens: now, and on its event loop also later."""
    if fixturedef.scope == "function":
        return (yield)
    watch, loops = request.config.stash.get(_WATCH, None), Loops()
    loops.watch()
    try:
        with watch.excused() if watch else nullcontext():
            return (yield)
    finally:
        loops.unwatch()
        request.config.stash[_SHARED_LOOPS].update(loops.ran)


@pytest.fixture(autouse=True)
def _drive_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves something open. First of its fixtures, and so the last to be torn down."""
    stash, session = request.config.stash, request.session
    failed_before = session.testsfailed
    shared = stash[_SHARED_LOOPS]
    watch = stash[_WATCH] = no_leaks(*_allowed(request.node), shared=shared)
    watch.__enter__()
    yield
    del stash[_WATCH]
    leaks = watch.end()
    if leaks and session.testsfailed > failed_before:  # it has failed for a reason of its own
        request.node.add_report_section("teardown", "leaks", report(leaks))
    elif leaks:
        pytest.fail(report(leaks), pytrace=False)


def _allowed(item: pytest.Item) -> list[str]:
    allowed: list[str] = []
    for marker in item.iter_markers("leaks"):
        allowed += marker.args or KINDS
    return allowed


@pytest.fixture
def container_class(request: pytest.FixtureRequest) -> "Callable[[], Container]":
    """Give what makes the container of `container`. Override it where `drive_container` is not enough."""
    path: str = request.config.getini("drive_container")
    if not path:
        raise pytest.UsageError(
            "The fixture `container` does not know which: set drive_container = "
            '"package.containers:Container" in [tool.pytest.ini_options], or override the fixture container_class.'
        )
    module, colon, name = path.partition(":")
    if not colon:
        raise pytest.UsageError(f"drive_container = {path!r}: write package.module:Class.")
    found = getattr(importlib.import_module(module), name or "", None)
    if found is None:
        raise pytest.UsageError(f"drive_container = {path!r}: {module} has no {name!r}; write package.module:Class.")
    return found  # type: ignore[no-any-return]


@pytest.fixture
def channel_log() -> "Iterator[ChannelLog]":
    """Give what is logged about channels from now on."""
    from drive.testing.channels import channel_log as recorded

    with recorded() as log:
        yield log


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """Give the address of a PostgreSQL server whose user may create databases."""
    if url := os.environ.get("DRIVE_TEST_DATABASE_URL"):
        yield url
        return
    from drive.embedded import EmbeddedPostgres

    with EmbeddedPostgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def migrate_database() -> Callable[[str], Awaitable[object]]:
    """Give an async function that prepares the new database at an address; override it with your migrations."""

    async def leave_empty(_url: str) -> None:
        """Do nothing."""

    return leave_empty


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """Give the address of a Redis server, with the number of a database that may be emptied."""
    if url := os.environ.get("DRIVE_TEST_REDIS_URL"):
        if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
            pytest.fail("Workers would empty each other's database: unset DRIVE_TEST_REDIS_URL or run without -n")
        yield url
        return
    from drive.embedded import EmbeddedValkey

    with EmbeddedValkey() as server:
        yield server.url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """Give an empty Redis database."""
    import redis

    with redis.Redis.from_url(redis_server_url) as client:
        client.flushdb()
    return redis_server_url
