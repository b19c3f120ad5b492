"""A small service whose parts know each other, and what overriding one of them does to the rest."""

import asyncio
import contextvars
import copy
import dataclasses
import functools
import gc
import pickle
import random
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple
from unittest.mock import AsyncMock, MagicMock
from uuid import UUID

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from dependency_injector import errors, providers
from dependency_injector.containers import DeclarativeContainer, DynamicContainer
from dependency_injector.providers import (
    Callable,
    Delegate,
    Dependency,
    Dict,
    Factory,
    List,
    Object,
    Resource,
    Singleton,
    ThreadLocalSingleton,
    ThreadSafeSingleton,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy_support import until

from drive.app import create_app
from drive.clients.accounts import Account
from drive.errors import Code, DriveError
from drive.lazy import Channels, Lazy, Once, OverrideError, Stub, override, replaced
from drive.lazy.overriding import instance_of
from drive.lazy.replaced import in_force, left_open, looking_past, original
from drive.settings import Settings
from drive.worker_container import WorkerContainer


@dataclass
class Config:
    url: str = "real"


class Db:
    """Has its own state, and what it was constructed with."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rows: list[str] = []

    def ask(self) -> str:
        return f"{self.url} answers"


class FakeDb:
    """Has no base class in common with what it stands for."""

    def __init__(self, url: str = "fake") -> None:
        self.url = url

    def ask(self) -> str:
        return f"{self.url} answers"


class Repo:
    def __init__(self, db: Any) -> None:
        self.db = db
        self.name = f"repo of {db.url}"
        self.remembered: dict[str, str] = {}

    def ask(self, key: str = "") -> str:
        return self.remembered.setdefault(key, self.db.ask())

    async def ask_slowly(self, steps: int) -> str:
        for _ in range(steps):
            await asyncio.sleep(0)
        return self.ask()


class Service:
    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    def ask(self) -> str:
        return self.repo.ask()

    async def ask_slowly(self, steps: int) -> str:
        for _ in range(steps):
            await asyncio.sleep(0)
        return self.repo.ask()


class Container(DeclarativeContainer):
    config = Singleton(Config)
    db: "Singleton[Any]" = Singleton(Db, config.provided.url)
    repo = Singleton(Repo, db)
    service = Singleton(Service, repo)
    other = Singleton(Db, "other")
    maker: "Factory[Any]" = Factory(Service, repo)


@pytest.fixture(autouse=True)
def no_trace() -> Iterator[None]:
    """No test leaves an override in force, nor anything in the module's memory."""
    yield
    left, replaced.all_in_force[:] = replaced.all_in_force[:], []
    assert left == []
    assert [one for one in replaced.own_overrides.get() if one.in_force] == []


@pytest.fixture
def container() -> Any:
    return Container()


@pytest.fixture
def built(container: Any) -> Any:
    """Give a container that has built everything."""
    container.service()
    container.other()
    return container


def state(container: Any) -> dict[str, Any]:
    """Return all that an override must restore: providers, objects, their classes and their state."""
    found: Any = container.traverse()
    return {
        str(provider): (
            provider.overridden,
            provider.last_overriding,
            provider.overrides,
            provider.is_async_mode_undefined(),
            id(instance_of(provider)),
            type(instance_of(provider)),
            dict(getattr(instance_of(provider), "__dict__", {})),
        )
        for provider in found
    }


# ── What it reaches ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_built_before_sees_the_replacement(built: Any) -> None:
    """However far it is away, and wherever it is held."""
    held, method = built.service(), built.service().ask
    with override(built, db=FakeDb()):
        assert held.ask() == "fake answers"
        assert method() == "fake answers"
        assert held.repo.name == "repo of fake"
        assert built.service() is held
    assert held.ask() == method() == "real answers"
    assert held.repo.name == "repo of real"


def test_what_is_built_meanwhile_has_the_replacement_and_is_built_anew_afterwards(container: Any) -> None:
    with override(container, db=FakeDb()):
        service = container.service()
        assert service is container.service()
        assert service.ask() == "fake answers"
        assert instance_of(container.service) is None
    assert container.service() is not service
    assert container.service().ask() == "real answers"


def test_everything_is_restored_exactly(built: Any) -> None:
    built.repo().remembered["mine"] = "kept"
    before = state(built)
    with override(built, db=FakeDb(), other=FakeDb()):
        built.repo().remembered["fake"] = "lost"
        built.repo().name = "lost"
        built.service().extra = "lost"
        del built.service().repo
        assert "mine" not in built.repo().remembered
    assert state(built) == before
    assert built.repo().remembered == {"mine": "kept"}


def test_everything_is_restored_where_nothing_was_built(container: Any) -> None:
    before = state(container)
    with override(container, config=Config("fake")):
        assert container.service().ask() == "fake answers"
    assert state(container) == before


def test_what_was_remembered_of_the_replaced_is_forgotten_and_remembered_again(built: Any) -> None:
    """A cache above a fake must not answer for it, nor keep what the fake said."""
    assert built.service().ask() == "real answers"
    with override(built, db=FakeDb()):
        assert built.service().ask() == "fake answers"
    assert built.service().ask() == "real answers"


def test_what_does_not_depend_on_it_is_not_touched(built: Any) -> None:
    with override(built, db=FakeDb()):
        assert type(built.other()) is Db
        assert type(built.config()) is Config
        assert not built.other.overridden


def test_nothing_is_left_in_the_way_when_none_is_in_force(built: Any) -> None:
    """Then an object is of its own class again, so that using it costs what it did."""
    with override(built, db=FakeDb()):
        assert type(built.service()) is not Service
    assert type(built.service()) is Service
    assert type(built.repo()) is Repo
    found: Any = built.traverse()
    assert not any(provider.overridden for provider in found)


def test_it_nests(built: Any) -> None:
    held = built.service()
    with override(built, db=FakeDb("outer")):
        held.repo.remembered["outer"] = "kept"
        with override(built, db=FakeDb("inner"), other=FakeDb()):
            assert held.ask() == "inner answers"
            assert built.other().url == "fake"
        assert held.ask() == "outer answers"
        assert "outer" in held.repo.remembered
        assert built.other().url == "other"
    assert held.ask() == "real answers"


def test_an_inner_one_keeps_what_the_outer_one_replaced(built: Any) -> None:
    with override(built, db=FakeDb()):
        outer = built.service()
        outer.repo.remembered["outer"] = "kept"
        with override(built, other=FakeDb("other fake")):
            assert built.service().ask() == "fake answers"
            assert outer.repo.remembered["outer"] == "kept"
            assert built.other().url == "other fake"


def test_an_inner_one_reaches_what_was_built_under_the_outer_one(container: Any) -> None:
    """As when a fixture overrides the settings and builds the application, and the test overrides more."""
    with override(container, config=Config("outer")):
        held = container.service()
        with override(container, db=FakeDb("inner")):
            assert held.ask() == "inner answers"
            assert container.service() is held
        assert held.ask() == "outer answers"
        assert type(held) is Service
    assert container.service().ask() == "real answers"


def test_what_an_outer_one_did_not_build_is_left_to_it(container: Any) -> None:
    with override(container, config=Config("outer")):
        with override(container, db=FakeDb("inner")):
            assert container.service().ask() == "inner answers"
        assert container.service().ask() == "outer answers"
    assert instance_of(container.service) is None


def test_a_provider_and_what_depends_on_it_at_once(built: Any) -> None:
    held = built.service()
    fake = MagicMock()
    with override(built, db=FakeDb(), repo=fake):
        assert held.repo is fake
        assert built.maker().repo is fake
        assert built.db().url == "fake"
    assert held.ask() == "real answers"


def test_a_wrapper_of_the_original_reaches_it(built: Any) -> None:
    class Recorder:
        def __init__(self, real: Any) -> None:
            self.real = real
            self.asked = 0

        def __getattr__(self, name: str) -> Any:
            self.asked += 1
            return getattr(self.real, name)

    recorder = Recorder(built.db())
    with override(built, db=recorder):
        assert built.service().ask() == "real answers"
    assert recorder.asked > 0


@pytest.mark.parametrize("fake", [None, 0, "", (), False])
def test_a_replacement_may_be_empty(built: Any, fake: Any) -> None:
    with override(built, other=fake):
        assert built.other() == fake
    assert built.other().url == "other"


# ── By name and by provider, as block and as decorator ───────────────────────────────────────────────────────────────


def test_by_provider(built: Any) -> None:
    with override(built, {built.db: FakeDb()}, other=FakeDb()):
        assert built.service().ask() == "fake answers"
        assert built.other().url == "fake"


def test_by_a_provider_without_a_name() -> None:
    class Container(DeclarativeContainer):
        all = List(Singleton(Db, "first"), Singleton(Db, "second"))
        repo = Singleton(Repo, Dict(a=Object(1)).provided["a"])

    container = Container()
    first, _ = container.all()
    with override(container, {container.all.args[0]: FakeDb()}):
        assert [one.url for one in container.all()] == ["fake", "second"]
    assert container.all()[0] is first


def test_the_block_gets_the_override(built: Any) -> None:
    with override(built, db=FakeDb(), other=FakeDb()) as entered:
        assert in_force() == [entered]
        assert repr(entered) == "<override of db, other>"
    assert in_force() == []


def test_it_decorates_a_function_each_time_it_runs(built: Any) -> None:
    @override(built, db=FakeDb())
    def ask(again: int) -> list[str]:
        """Ask."""
        return [built.service().ask(), *(ask(again - 1) if again else [])]

    assert ask(2) == ["fake answers"] * 3
    assert ask(0) == ["fake answers"]
    assert (ask.__name__, ask.__doc__) == ("ask", "Ask.")
    assert built.service().ask() == "real answers"


async def test_it_decorates_a_coroutine_function(built: Any) -> None:
    @override(built, db=FakeDb())
    async def ask() -> str:
        await asyncio.sleep(0)
        return str(built.service().ask())

    coroutine = ask()
    assert built.service().ask() == "real answers"
    assert await coroutine == "fake answers"
    assert [*await asyncio.gather(ask(), ask())] == ["fake answers"] * 2
    assert built.service().ask() == "real answers"


class TestMethods:
    container: Any = Container()

    @override(container, db=FakeDb())
    def test_it_decorates_a_test(self) -> None:
        assert self.container.service().ask() == "fake answers"

    @override(container, db=FakeDb())
    async def test_it_decorates_an_async_test(self, built: Any) -> None:
        assert self.container.service().ask() == "fake answers"
        assert built.service().ask() == "real answers"


def test_it_does_not_decorate_what_would_run_after_it(built: Any) -> None:
    def generator() -> Iterator[None]:
        yield

    async def async_generator() -> AsyncIterator[None]:
        yield

    decorate: Any = override(built, db=FakeDb())
    for one in (generator, async_generator, TestMethods):
        with pytest.raises(OverrideError, match="inside"):
            decorate(one)


def test_it_can_be_entered_again_but_not_twice_at_a_time(built: Any) -> None:
    one = override(built, db=FakeDb())
    for _ in range(2):
        with one:
            assert built.service().ask() == "fake answers"
            with pytest.raises(OverrideError, match="in force already"):
                one.__enter__()
            assert built.service().ask() == "fake answers"
        assert built.service().ask() == "real answers"
    one.__exit__()
    assert built.service().ask() == "real answers"


# ── All is checked before anything is changed ────────────────────────────────────────────────────────────────────────


def test_all_names_are_checked_first(built: Any) -> None:
    before = state(built)
    with pytest.raises(OverrideError) as raised:
        override(built, db=FakeDb(), repos=1, services=2, zzz=3)
    assert "no provider 'repos'. Did you mean 'repo'?" in str(raised.value)
    assert "no provider 'services'. Did you mean 'service'?" in str(raised.value)
    assert "no provider 'zzz'. It has config, db, maker, other, repo, service." in str(raised.value)
    assert state(built) == before


def test_a_provider_must_be_of_the_container(built: Any) -> None:
    with pytest.raises(OverrideError, match="not of this container"):
        override(built, {Container().db: FakeDb()})


def test_a_name_as_a_key_is_told_from_a_provider(built: Any) -> None:
    with pytest.raises(OverrideError, match=r"'db' is a name: write override\(container, db=…\)"):
        override(built, {"db": FakeDb()})


def test_a_container_is_needed_and_not_its_class() -> None:
    with pytest.raises(TypeError, match="instance"):
        override(Container, db=FakeDb())  # type: ignore[arg-type]


def test_a_provider_is_replaced_by_one_thing(built: Any) -> None:
    with pytest.raises(OverrideError, match="twice"):
        override(built, {built.db: FakeDb()}, db=FakeDb())
    with pytest.raises(OverrideError, match="with itself"):
        override(built, db=built.db)


class UnbuildableError(Exception):
    """A constructor's failure."""


class Picky:
    def __init__(self, db: Any) -> None:
        if db.url == "fake":
            raise UnbuildableError
        self.db = db


@pytest.mark.parametrize("failure", [UnbuildableError, KeyboardInterrupt, asyncio.CancelledError])
def test_a_constructor_that_fails_changes_nothing(
    failure: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "UnbuildableError", failure)

    class Container(DeclarativeContainer):
        db = Singleton(Db, "real")
        repo = Singleton(Repo, db)
        picky = Singleton(Picky, repo.provided.db)
        late = Singleton(Service, repo)

    container = Container()
    container.picky()
    before = state(container)
    for outer in ({}, {"late": 1}):
        with ExitStack() as stack:
            if outer:
                stack.enter_context(override(container, **outer))
            with pytest.raises(failure) as raised, override(container, db=FakeDb()):
                pytest.fail("the block must not begin")
            assert len(in_force()) == len(outer)
            assert container.picky().db.url == "real"
        assert state(container) == before
    if issubclass(failure, Exception):
        assert "while constructing" in raised.value.__notes__[0]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
def test_whatever_ends_the_block_ends_the_override(built: Any, failure: type[BaseException]) -> None:
    before = state(built)
    with pytest.raises(failure), override(built, db=FakeDb()):
        raise failure
    assert state(built) == before


@pytest.mark.parametrize("outer_first", [True, False])
def test_they_may_end_in_any_order(container: Any, outer_first: bool) -> None:
    """One that stands on another keeps what that replaced until it ends itself."""
    held, _ = container.repo(), container.other()
    before = state(container)
    outer, inner = override(container, db=FakeDb()), override(container, other=FakeDb("inner"))
    outer.__enter__()
    service = container.service()
    inner.__enter__()
    (outer if outer_first else inner).__exit__()
    assert service.ask() == held.ask() == "fake answers"
    assert container.service() is service
    assert container.other().url == ("inner" if outer_first else "other")
    (inner if outer_first else outer).__exit__()
    assert state(container) == before
    assert container.service().ask() == held.ask() == "real answers"


# ── What else stands over a provider ─────────────────────────────────────────────────────────────────────────────────


def test_a_plain_override_below_is_left_as_it_was() -> None:
    container: Any = Container(config=Object(Config("plain")))
    held = container.service()
    before = state(container)
    with override(container, config=Config("fake")):
        assert held.ask() == "fake answers"
    assert held.ask() == "plain answers"
    assert state(container) == before


def test_a_plain_override_below_a_dependency_is_reached_through(container: Any) -> None:
    plain: Any = Singleton(Db, container.config.provided.url)
    container.db.override(plain)
    held, below = container.service(), plain()
    with override(container, config=Config("fake")):
        assert held.ask() == "fake answers"
        assert container.db() is below
    assert held.ask() == "real answers"
    assert container.db.overridden == (plain,)


def test_a_plain_override_of_a_dependent_stays_over_it(built: Any) -> None:
    real = built.service()
    plain = MagicMock()
    built.service.override(plain)
    with override(built, db=FakeDb()):
        assert built.service() is plain
        assert real.ask() == "fake answers"
    assert built.service() is plain


def test_a_plain_override_of_an_unbuilt_dependent_stays_over_it(container: Any) -> None:
    plain = MagicMock()
    container.service.override(plain)
    with override(container, db=FakeDb()):
        assert container.service() is plain


def test_a_plain_override_above_counts_until_it_ends(built: Any) -> None:
    with override(built, other=FakeDb()):
        with built.other.override(FakeDb("plain")):
            assert built.other().url == "plain"
        assert built.other().url == "fake"
    assert built.other().url == "other"


def test_a_plain_override_that_outlives_it_is_kept(built: Any) -> None:
    below, above = Object(FakeDb("below")), Object(FakeDb("above"))
    built.other.override(below)
    with override(built, other=FakeDb()):
        built.other.override(above)
    assert built.other.overridden == (below, above)
    assert built.other().url == "above"


def test_plain_overrides_may_be_reset_meanwhile(built: Any) -> None:
    with override(built, db=FakeDb(), other=FakeDb()):
        built.reset_override()
        assert built.other().url == "other"
    assert built.other().url == "other"
    assert built.service().ask() == "real answers"
    assert not built.db.overridden


def test_singletons_may_be_reset_meanwhile(built: Any) -> None:
    """What is built after that, with replacements, goes with them."""
    before = built.service()
    with override(built, db=FakeDb()):
        built.reset_singletons()
        after = built.service()
        assert after is not before
        assert after.ask() == "fake answers"
    assert built.service() not in (before, after)
    assert built.service().ask() == before.ask() == "real answers"


# ── All kinds of providers ───────────────────────────────────────────────────────────────────────────────────────────


class Holder:
    """Keeps what it is given, and what it is worth while it is constructed."""

    def __init__(self, given: Any) -> None:
        self.given = given
        self.extra: Any = None
        self.seen = url_of(given)


def url_of(given: Any) -> Any:
    while callable(given):
        given = given()
    if isinstance(given, dict):
        given = [*given.values()]
    if isinstance(given, list):
        given = given[0]
    return getattr(given, "url", given)


def shout(db: Any) -> str:
    return str(db.url)


def between(db: Any) -> dict[str, Any]:
    """Return a provider of each kind that can stand between what is overridden and what depends on it."""
    return {
        "itself": db,
        "list": List(db),
        "dict": Dict(a=db),
        "nested": List(Dict(a=List(db)).provided["a"][0]),
        "factory": Factory(Holder, db).provided.seen,
        "singleton": Singleton(Holder, db).provided.seen,
        "attribute": db.provided.url,
        "call": db.provided.ask.call(),
        "callable": Callable(shout, db),
        "delegate": db.provider,
        "delegated factory": providers.DelegatedFactory(Holder, db).provided.seen,
        "selector": providers.Selector(Object("a"), a=db),
        "factory aggregate": Callable(url_of, Delegate(Factory(Holder, db).provided.seen)),
        "configured": Singleton(Holder, db).add_attributes(extra=db).provided.extra,
        "factory of a singleton": Factory(Holder, Singleton(Holder, db).provided.seen).provided.given,
    }


@pytest.mark.parametrize("kind", [*between(Object(1))])
@pytest.mark.parametrize("was_built", [True, False])
def test_it_reaches_through_every_kind_of_provider(kind: str, was_built: bool) -> None:
    db: Any = Singleton(Db, "real")
    container = DynamicContainer()
    container.db = db
    container.holder = Singleton(Holder, between(db)[kind])
    container.above = Singleton(Holder, container.holder.provided.seen)
    if was_built:
        held, above = container.holder(), container.above()
        before = (held.seen, above.seen)
        assert before[0] == before[1]
    with override(container, db=FakeDb()):
        for one in [container.holder(), container.above(), *([held, above] if was_built else [])]:
            assert one.seen.startswith("fake")
    assert container.holder().seen == container.above().seen
    if was_built:
        assert (container.holder(), container.above()) == (held, above)
        assert (held.seen, above.seen) == before
    assert "fake" not in container.above().seen


def test_a_singletons_attributes_are_injected_into_its_twin() -> None:
    container = DynamicContainer()
    container.db = Singleton(Db, "real")
    container.holder = Singleton(Holder, 1).add_attributes(extra=container.db)
    held = container.holder()
    with override(container, db=FakeDb()):
        assert held.extra.url == "fake"
    assert held.extra.url == "real"


@pytest.mark.parametrize("kind", [Singleton, ThreadSafeSingleton, providers.DelegatedSingleton, ThreadLocalSingleton])
@pytest.mark.parametrize("was_built", [True, False])
def test_every_kind_of_singleton(kind: Any, was_built: bool) -> None:
    """One per thread is found by who depends on it; who holds it elsewhere keeps it."""
    container = DynamicContainer()
    container.db = kind(Db, "real")
    container.repo = kind(Repo, container.db.provider.provided.call())
    container.service = Singleton(Service, container.repo.provider.provided.call())
    held = container.service() if was_built else None
    repo = container.repo() if was_built else None
    with override(container, db=FakeDb()):
        assert container.service().ask() == "fake answers"
        assert container.repo().ask() == "fake answers"
        assert held is None or held.ask() == "fake answers"
    assert container.service().ask() == "real answers"
    assert repo is None or container.repo() is repo


@pytest.mark.parametrize("kind", [Singleton, ThreadSafeSingleton])
def test_whether_a_singleton_was_built_is_found_without_building_it(kind: Any) -> None:
    provider = kind(Db, "real")
    provider.override(Factory(Db, "plain"))
    assert instance_of(provider) is None
    provider.reset_override()
    db = provider()
    provider.override(Factory(Db, "plain"))
    assert instance_of(provider) is db
    assert instance_of(Factory(Db, "x")) is None


def make_fake_db(url: str) -> FakeDb:
    return FakeDb(url)


@pytest.mark.parametrize("fake", [FakeDb, make_fake_db, Factory(FakeDb), Factory(functools.cache(FakeDb))])
def test_a_factory_is_replaced_by_what_is_called_as_it_was(fake: Any) -> None:
    class Container(DeclarativeContainer):
        db: "Factory[Any]" = Factory(Db)

    container = Container()
    with override(container, db=fake):
        assert type(container.db("mine")) is FakeDb
        assert container.db(url="mine").url == "mine"
    assert type(container.db("mine")) is Db


def test_a_factory_is_replaced_by_an_object_that_it_gives_each_time(built: Any) -> None:
    fake = MagicMock()
    with override(built, maker=fake):
        assert built.maker() is built.maker() is fake
    assert type(built.maker()) is Service


async def test_an_async_factory_is_replaced_by_an_async_function(built: Any) -> None:
    async def open_real() -> str:
        return "real"

    async def open_fake() -> str:
        return "fake"

    container = DynamicContainer()
    container.open = Factory(open_real)
    container.coroutine = providers.Coroutine(open_real)
    for _ in range(2):
        with override(container, open=open_fake, coroutine=open_fake):
            assert await container.open() == await container.coroutine() == "fake"
    assert container.open.is_async_mode_undefined()
    assert await container.open() == await container.coroutine() == "real"


async def test_what_is_awaited_cannot_stand_for_what_is_not(built: Any) -> None:
    """Whoever depends on it would be given a coroutine, or become a future for good."""

    async def fake() -> Any:
        raise AssertionError

    coroutine = fake()
    future = asyncio.get_running_loop().create_future()
    for wrong in (coroutine, future):
        with pytest.raises(OverrideError, match="awaited"):
            override(built, db=wrong)
    with pytest.raises(OverrideError, match="not async"):
        override(built, maker=fake)
    coroutine.close()
    with override(built, other=fake):
        assert built.other() is fake


def test_no_provider_is_made_async_or_not_by_a_replacement(container: Any) -> None:
    with override(container, db=FakeDb(), maker=FakeDb()):
        container.service()
        container.maker()
    for provider in (container.db, container.repo, container.service, container.maker):
        assert provider.is_async_mode_undefined()


async def test_async_singletons_work_as_before() -> None:
    class Container(DeclarativeContainer):
        db: Any = Singleton(AsyncMock(side_effect=Db), "real")
        repo: Any = Singleton(Repo, db)

    container = Container()
    with override(container, db=FakeDb()):
        assert container.repo().ask() == "fake answers"
    for _ in range(2):
        assert (await container.repo()).ask() == "real answers"
        with override(container, db=FakeDb()):
            assert (await container.repo()).ask() == "fake answers"
        assert (await container.repo()).ask() == "real answers"


def test_a_dependency_is_replaced_with_and_without_default(container: Any) -> None:
    class Nested(DeclarativeContainer):
        defined: Any = Dependency(default=Object(FakeDb("default")))
        undefined = Dependency(instance_of=FakeDb)
        repo = Singleton(Repo, undefined)

    nested = Nested()
    with override(nested, defined=FakeDb(), undefined=FakeDb()):
        assert nested.defined().url == "fake"
        assert nested.repo().ask() == "fake answers"
        with looking_past():
            assert nested.defined().url == "default"
    assert nested.defined().url == "default"
    with override(nested, undefined=3), pytest.raises(errors.Error, match="not an instance"):
        nested.undefined()
    with pytest.raises(errors.Error, match="not defined"):
        nested.undefined()


def test_what_cannot_be_overridden_is_said_first() -> None:
    class Nested(DeclarativeContainer):
        db = Singleton(Db, "real")

    class Container(DeclarativeContainer):
        config = providers.Configuration()
        aggregate = providers.FactoryAggregate(a=Factory(Db))
        abstract = providers.AbstractFactory(Db)
        needing = Singleton(Holder, providers.AbstractSingleton(Repo, Object(1)))
        nested = providers.Container(Nested)
        db = Singleton(Db, config.url)

    container = Container()
    before = state(container)
    for wrong in (container.config, container.config.url, container.aggregate, container.abstract, container.nested):
        with pytest.raises(OverrideError, match="override what is given it"):
            override(container, {wrong: Factory(FakeDb), container.db: 1})
    assert state(container) == before
    with pytest.raises(OverrideError, match="no provider 'nested'"):
        override(container, nested=Nested())


def test_what_a_resource_was_made_with_cannot_be_replaced() -> None:
    def connect(db: Any) -> Iterator[str]:
        yield db.url

    class Container(DeclarativeContainer):
        db = Singleton(Db, "real")
        connection = Resource(connect, db)
        repo = Singleton(Holder, connection)

    container = Container()
    before = state(container)
    with pytest.raises(OverrideError, match="Make it a Once, or override it too"), override(container, db=FakeDb()):
        pytest.fail("the block must not begin")
    assert state(container) == before
    with override(container, db=FakeDb(), connection="fake connection"):
        assert container.repo().given == "fake connection"


def test_nested_containers() -> None:
    class Inner(DeclarativeContainer):
        url = Dependency(instance_of=str)
        db: "Singleton[Any]" = Singleton(Db, url)

    class Middle(DeclarativeContainer):
        inner: Any = providers.Container(Inner, url="real")
        repo = Singleton(Repo, inner.db)

    class Outer(DeclarativeContainer):
        middle: Any = providers.Container(Middle)
        gateways: Any = providers.DependenciesContainer()
        service = Singleton(Service, middle.repo)
        mailer = Singleton(Holder, gateways.mail)

    outer = Outer(gateways=DynamicContainer())
    outer.gateways.mail.override(Object(Db("mail")))
    held, mailer = outer.service(), outer.mailer()
    fakes: list[Any] = [
        override(outer, **{"middle.inner.db": FakeDb()}),
        override(outer.middle.inner.container, db=FakeDb()),
        override(outer, {outer.middle.inner.db: FakeDb()}),
        override(outer, **{"middle.inner.url": "fake"}),
    ]
    for fake in fakes:
        with fake, override(outer, **{"gateways.mail": FakeDb("fake mail")}):
            assert held.ask() == "fake answers"
            assert mailer.seen == "fake mail"
            assert outer.middle.repo().name == "repo of fake"
        assert held.ask() == "real answers"
        assert mailer.seen == "mail"


def test_replacements_may_be_providers_of_the_container(container: Any) -> None:
    held = container.service()
    with override(container, db=Singleton(Db, container.config.provided.url), config=Config("fake")):
        assert held.ask() == "fake answers"
        with override(container, config=Config("inner")):
            assert held.ask() == "inner answers"
        assert held.ask() == "fake answers"
    with override(container, db=container.other):
        assert held.ask() == "other answers"
    assert held.ask() == "real answers"


def test_cycles_through_factories() -> None:
    class Container(DeclarativeContainer):
        db = Singleton(Db, "real")
        repo: Any = Singleton(Repo, db)
        service: Any = Singleton(Service, repo)

    container = Container()
    container.repo.add_attributes(service=container.service.provider)
    held = container.service()
    with override(container, db=FakeDb()):
        assert held.ask() == held.repo.service().ask() == "fake answers"
    assert held.repo.service() is held
    assert held.ask() == "real answers"


# ── Stubs and what is opened ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Pool:
    url: str
    closed: bool = False


opened_pools: list[Pool] = []


async def open_pool(url: str) -> Pool:
    opened_pools.append(Pool(url))
    return opened_pools[-1]


async def close_pool(pool: Pool) -> None:
    assert not pool.closed
    pool.closed = True


class Lazily(DeclarativeContainer):
    config = Singleton(Config)
    pool: "Once[Pool]" = Once(open_pool, close=close_pool, url=config.provided.url)
    holder = Singleton(Holder, List(pool).provided[0].provider)
    user = Singleton(Service, pool)


@pytest.fixture
def lazily() -> Any:
    opened_pools.clear()
    return Lazily()


async def test_a_once_is_replaced_by_its_value(lazily: Any) -> None:
    held, user = lazily.pool(), lazily.user()
    real = await held()
    for fake in (Pool("fake"), AsyncMock(), MagicMock()):
        with override(lazily, pool=fake):
            assert await lazily.pool()() is fake
            assert await user.repo() is fake
            assert lazily.pool().peek() is fake
        assert await user.repo() is await held() is real
    assert opened_pools == [real]
    await held.aclose()


async def test_a_once_is_replaced_by_a_function_that_opens_it(lazily: Any) -> None:
    opened = []

    async def open_fake(url: str = "fake") -> Pool:
        opened.append(url)
        return Pool(url)

    for fake in (open_fake, functools.partial(open_fake, "partial")):
        opened.clear()
        with override(lazily, pool=fake):
            assert opened == []
            pools = await asyncio.gather(lazily.pool()(), lazily.pool()(), lazily.user().repo())
            assert len(opened) == 1
            assert all(pool is pools[0] for pool in pools)
    assert left_open(lazily) == []
    assert opened_pools == []


async def test_a_once_is_replaced_by_another(lazily: Any) -> None:
    other = Once(open_pool, close=close_pool, url="fake")
    lazy: Lazy[Pool] = Lazy(functools.partial(open_pool, "lazy"), close=close_pool)
    with override(lazily, pool=other):
        assert (await lazily.user().repo()).url == "fake"
    with override(lazily, pool=lazy):
        assert (await lazily.user().repo()).url == "lazy"
    parts = left_open(lazily)
    assert parts == [other()]
    for part in (*parts, lazy):
        await part.aclose()


async def test_a_value_that_was_open_stays_open_and_comes_back(lazily: Any) -> None:
    held = lazily.pool()
    real = await held()
    with override(lazily, config=Config("fake")):
        assert held.peek() is None
        assert held.opened_as is None
        fake = await held()
        assert fake.url == "fake"
        assert await lazily.pool()() is fake
    assert held.peek() is await held() is real
    assert not real.closed
    assert opened_pools == [real, fake]
    (part,) = left_open(lazily)
    await part.aclose()
    assert fake.closed
    await held.aclose()
    assert real.closed


async def test_what_was_opened_meanwhile_is_handed_over_to_be_closed(lazily: Any) -> None:
    """Once, whether it was built before or meanwhile, or is being opened at the end of the block."""
    with override(lazily, config=Config("fake")):
        await lazily.pool()()
        (part,) = left_open(lazily)
        await part.aclose()
        assert left_open(lazily) == []
        await lazily.pool()()
    (part,) = left_open(lazily)
    assert left_open(lazily) == []
    await part.aclose()
    assert all(pool.closed for pool in opened_pools)
    with override(lazily, config=Config("fake")):
        opening = asyncio.create_task(lazily.pool()())
        await asyncio.sleep(0)
    (part,) = left_open(lazily)
    pool = await opening
    await part.aclose()
    assert pool.closed
    with override(lazily, config=Config("fake")):
        lazily.pool()
    assert left_open(lazily) == []


async def test_what_was_opened_after_a_reset_meanwhile_is_handed_over_too(lazily: Any) -> None:
    lazily.pool()
    with override(lazily, config=Config("fake")):
        lazily.reset_singletons()
        await lazily.pool()()
    (part,) = left_open(lazily)
    await part.aclose()
    assert [pool.url for pool in opened_pools if pool.closed] == ["fake"]


def test_what_was_opened_on_a_loop_is_handed_over_also_outside_of_it(lazily: Any) -> None:
    """A fixture that is not async ends its overrides between the runs of the loop."""
    with asyncio.Runner() as runner:
        with override(lazily, config=Config("fake")):
            runner.run(lazily.pool()())
        parts = left_open(lazily)
        assert len(parts) == 1
        runner.run(parts[0].aclose())
    assert opened_pools[0].closed


async def test_the_original_can_be_closed_while_it_is_overridden(lazily: Any) -> None:
    """When the application ends inside of the block."""
    real = await lazily.pool()()
    with override(lazily, config=Config("fake"), user=MagicMock()):
        fake = await lazily.pool()()
        assert original(lazily.user).repo is lazily.pool()
        with looking_past():
            assert await lazily.pool()() is real
            await lazily.pool().aclose()
        assert real.closed
        assert not fake.closed
        assert await lazily.pool()() is fake
        (part,) = left_open(lazily)
        await part.aclose()
        assert fake.closed


def test_the_original_of_what_was_not_built_has_no_replacement_in_it(container: Any) -> None:
    with override(container, db=FakeDb()):
        assert original(container.service).ask() == "real answers"
        assert container.service().ask() == "fake answers"
    assert container.service().ask() == "real answers"


def test_a_container_that_is_forgotten_takes_what_it_left_open_along(lazily: Any) -> None:
    with override(lazily, config=Config("fake")):
        lazily.pool()
    assert lazily in replaced._left_open
    before = len(replaced._left_open)
    container = Lazily()
    with override(container, config=Config("fake")):
        container.pool()
    del container
    gc.collect()
    assert len(replaced._left_open) == before


def test_stubs() -> None:
    """A fake in place of a stub; and a stub of another endpoint, where the settings are overridden."""

    class Container(DeclarativeContainer):
        config = Singleton(Config, "http://real:1")
        channels = Singleton(Channels)
        stub: "Stub[Any]" = Stub("streams_grpc:StreamsStub", channels, endpoint=config.provided.url)
        client = Singleton(Slotted, stub)

    container = Container()
    stub, client = container.stub(), container.client()
    method = stub.Echo
    fake = MagicMock()
    with override(container, stub=fake):
        assert container.stub() is client.db is fake
    with override(container, config=Config("http://fake:1")):
        assert repr(stub) == "<lazy StreamsStub at http://fake:1>"
        assert repr(stub.Echo) == "<lazy rpc Streams.Echo at http://fake:1>"
        assert stub.Other is stub.Other
    assert repr(stub) == "<lazy StreamsStub at http://real:1>"
    assert stub.Echo is method
    assert "Other" not in vars(stub)
    assert left_open(container) == []


# ── All kinds of objects ─────────────────────────────────────────────────────────────────────────────────────────────


class Slotted:
    __slots__ = ("__weakref__", "db")

    def __init__(self, db: Any) -> None:
        self.db = db


@dataclass(frozen=True, slots=True)
class Frozen:
    db: Any


@dataclass
class Inherited(Config):
    db: Any = None


class Guarded:
    def __init__(self, db: Any) -> None:
        object.__setattr__(self, "_db", db)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name) if name == "url" else object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise TypeError(name)

    @property
    def db(self) -> Any:
        return self._db


class Watched:
    def __init__(self, db: Any) -> None:
        self.kept = db

    def __getattribute__(self, name: str) -> Any:
        return object.__getattribute__(self, "kept" if name == "db" else name)


class Special:
    """Is called, entered, counted, compared and walked through."""

    limit: ClassVar[int] = 3

    def __init__(self, db: Any) -> None:
        self.db = db

    def __call__(self) -> str:
        return str(self.db.url)

    def __len__(self) -> int:
        return len(self.db.url)

    def __iter__(self) -> Iterator[str]:
        return iter(self.db.url)

    def __enter__(self) -> str:
        return str(self.db.url)

    def __exit__(self, *_: object) -> None:
        self.left = self.db.url

    def __contains__(self, text: str) -> bool:
        return text in self.db.url

    @functools.cached_property
    def cached(self) -> str:
        return str(self.db.url)

    @classmethod
    def of_class(cls) -> str:
        return cls.__name__

    @staticmethod
    def of_nothing() -> int:
        return Special.limit

    @property
    def again(self) -> "Special":
        return type(self)(self.db)


class Registered:
    registry: ClassVar[list[type]] = []

    def __init__(self, db: Any) -> None:
        self.db = db


class Sealed(Registered):
    def __init_subclass__(cls) -> None:
        raise TypeError("sealed")


class Meta(type):
    made: ClassVar[list[str]] = []

    def __new__(cls, *args: Any) -> Any:
        cls.made.append(args[0])
        return super().__new__(cls, *args)


class WithMeta(metaclass=Meta):
    def __init__(self, db: Any) -> None:
        self.db = db


class Dictlike(dict[str, Any]):
    @property
    def db(self) -> Any:
        return self["db"]


class Tupled(NamedTuple):
    db: Any


class Struct(msgspec.Struct):
    db: Any


def closure(db: Any) -> Any:
    def ask() -> None:
        """Have an attribute."""

    vars(ask)["db"] = db
    return ask


CHANGEABLE = [Slotted, Frozen, functools.partial(Inherited, ""), Guarded, Watched, Special, Registered, WithMeta]
UNCHANGEABLE = [Sealed, lambda db: Dictlike(db=db), Tupled, Struct, closure]


@pytest.mark.parametrize("kind", CHANGEABLE)
def test_objects_keep_their_identity(kind: Any) -> None:
    container = DynamicContainer()
    container.db = Singleton(Db, "real")
    container.object = Singleton(kind, container.db)
    container.holder = Singleton(Holder, container.object)
    held, cls = container.object(), type(container.object())
    text = str(held) if kind is Frozen else None
    by_identity, equal_before = {id(held): held}, held.__hash__ and hash(held)
    made = len(Meta.made)
    with override(container, db=FakeDb()):
        assert held.db.url == "fake"
        assert container.object() is held is container.holder().given
        assert isinstance(held, cls)
        assert held.__class__ is cls
        assert type(held).__name__ == cls.__name__
        assert (type(held).__module__, type(held).__qualname__) == (cls.__module__, cls.__qualname__)
        assert id(held) in by_identity
    assert held.db.url == "real"
    assert type(held) is cls
    assert text is None or str(held) == text
    assert held.__hash__ is None or hash(held) == equal_before
    assert len(Meta.made) == made


@pytest.mark.parametrize("kind", UNCHANGEABLE)
def test_objects_that_cannot_be_something_else_are_replaced_for_who_depends_on_them(kind: Any) -> None:
    """Who holds one outside of the container keeps the original."""
    container = DynamicContainer()
    container.db = Singleton(Db, "real")
    container.object = Singleton(kind, container.db)
    container.holder = Singleton(Holder, List(container.object))
    held, holder = container.object(), container.holder()
    before = state(container)
    with override(container, db=FakeDb()):
        assert holder.given[0] is container.object()
        assert container.object().db.url == "fake"
        assert held.db.url == "real"
    assert container.object() is holder.given[0] is held
    assert state(container) == before


def test_an_object_of_another_class_is_given_to_who_depends_on_it() -> None:
    """As where the class is chosen by a setting."""
    container = DynamicContainer()
    container.db = Singleton(Db, "real")
    container.object = Singleton(lambda db: Slotted(db) if db.url == "real" else Special(db), container.db)
    container.holder = Singleton(Slotted, container.object)
    held, holder = container.object(), container.holder()
    with override(container, db=FakeDb()):
        assert type(container.object()) is Special
        assert holder.db is container.object()
    assert container.object() is holder.db is held
    assert type(held) is Slotted


def test_an_object_that_is_passed_on_stays_what_it_is_for_others() -> None:
    """As where one of several parts is chosen by a setting."""
    container = DynamicContainer()
    container.config = Object("first")
    container.first, container.second = Singleton(Holder, "first"), Singleton(Holder, "second")
    container.both = Dict(first=container.first, second=container.second)
    container.chosen = Singleton(lambda name, both: both[name], container.config, container.both)
    container.users = List(Singleton(Holder, container.chosen), Singleton(Holder, container.first))
    users = container.users()
    with override(container, config="second"):
        assert container.chosen() is users[0].given is container.second()
        assert users[1].given.given == container.first().given == "first"
        assert type(container.first()) is Holder
    assert users[0].given is users[1].given is container.chosen() is container.first()


def test_special_methods_and_all_that_a_class_gives() -> None:
    container = DynamicContainer()
    container.db = Singleton(Db, "real")
    container.special = Singleton(Special, container.db)
    held = container.special()
    assert held.cached == "real"
    with override(container, db=FakeDb("fakes")):
        assert held() == "".join(held) == held.cached == "fakes"
        assert len(held) == 5
        assert "fakes" in held
        assert held.again() == "fakes"
        assert type(held.again) is Special
        assert held.of_class() == "Special"
        assert held.of_nothing() == held.limit == 3
        with held as url:
            assert url == "fakes"
        assert held.left == "fakes"
        with pytest.raises(AttributeError, match="nothing"):
            _ = held.nothing
        assert {"db", "cached", "left", "again"} < set(dir(held))
    assert held.cached == "real"
    assert not hasattr(held, "left")


@pytest.mark.parametrize("kind", [Slotted, Frozen, Special, Holder])
def test_copies_and_pickles_are_of_what_is_seen(kind: Any) -> None:
    container = DynamicContainer()
    container.db = Object(Config("real"))
    container.other = Object(1)
    container.object = Singleton(kind, container.db)
    container.unrelated = Singleton(Holder, container.other)
    held, cls = container.object(), type(container.object())
    name = "given" if kind is Holder else "db"
    with override(container, db=Config("fake")):
        copies = [
            copy.copy(held),
            copy.deepcopy(held),
            *([] if kind is Slotted else [pickle.loads(pickle.dumps(held))]),
        ]
        with looking_past():
            copies.append(copy.copy(held))
            assert held.__class__ is cls
    assert [getattr(one, name).url for one in copies] == ["fake"] * (len(copies) - 1) + ["real"]
    assert {type(one) for one in [*copies, held]} == {cls}


def test_dataclasses_compare_and_show_as_what_is_seen() -> None:
    container = DynamicContainer()
    container.db = Object("real")
    container.object = Singleton(Frozen, container.db)
    held = container.object()
    with override(container, db="fake"):
        assert held == Frozen("fake")
        assert repr(held) == "Frozen(db='fake')"
        assert dataclasses.replace(held, db="x") == Frozen("x")
        assert dataclasses.asdict(held) == {"db": "fake"}
        assert msgspec.json.encode(held) == b'{"db":"fake"}'
        with pytest.raises(dataclasses.FrozenInstanceError):
            held.db = 1
        with pytest.raises(dataclasses.FrozenInstanceError):
            del held.db
    assert held == Frozen("real")


# ── Memory ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_remembered_of_it(built: Any) -> None:
    fake, entered = FakeDb(), override(built, db=FakeDb())
    with override(built, db=fake), entered:
        twin = weakref.ref(built.service().repo)
        built.service().ask()
    held = weakref.ref(fake)
    classes = weakref.ref(type(built.service()))
    del fake, entered
    gc.collect()
    assert held() is None
    assert [*Service.__subclasses__(), *Repo.__subclasses__(), *Db.__subclasses__()] == []
    assert classes() is Service
    assert twin() is built.repo()
    assert replaced.all_in_force == []
    assert built not in replaced._left_open


def test_a_container_and_its_objects_are_collected_after_it() -> None:
    container: Any = Container()
    service, gone = weakref.ref(container.service()), weakref.ref(container)
    with override(container, db=FakeDb()):
        container.service().ask()
    contextvars.copy_context().run(override(container, db=FakeDb()).__enter__)
    in_force()[0].__exit__()
    del container
    gc.collect()
    assert service() is None
    assert gone() is None


# ── Tasks and threads ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(50))
async def test_tasks_that_override_at_a_time_each_see_their_own(built: Any, seed: int) -> None:
    """Twenty of them, whose steps come in any order: with objects built before, and such as each builds itself."""
    schedule = random.Random(seed)
    if schedule.random() < 0.5:
        built.reset_singletons()
    held, before = built.service() if schedule.random() < 0.5 else None, state(built)

    async def pause() -> None:
        for _ in range(schedule.randrange(4)):
            await asyncio.sleep(0)

    async def override_and_ask(number: int) -> None:
        await pause()
        name = schedule.choice(["db", "repo"])
        fake = FakeDb(f"fake {number}")
        with override(built, **{name: fake if name == "db" else Repo(fake)}):
            for _ in range(schedule.randrange(4)):
                await pause()
                service = schedule.choice([built.service(), held or built.service(), built.maker()])
                assert service.ask() == await service.ask_slowly(schedule.randrange(4)) == f"fake {number} answers"
                assert built.service().repo.name == f"repo of fake {number}"
                with override(built, db=FakeDb(f"inner {number}"), repo=Repo(FakeDb(f"inner {number}"))):
                    await pause()
                    assert built.service().ask() == f"inner {number} answers"
                await asyncio.gather(*(asyncio.to_thread(built.service().ask) for _ in range(schedule.randrange(2))))

    await asyncio.gather(*map(override_and_ask, range(20)))
    assert state(built) == before
    assert built.service().ask() == "real answers"


async def test_tasks_are_cancelled_anywhere(built: Any) -> None:
    """Each sees its own until its end, wherever that is."""
    before = state(built)
    for steps in range(12):

        async def override_and_ask(number: int, steps: int = steps) -> None:
            with override(built, db=FakeDb(str(number))):
                for _ in range(steps % 4):
                    assert await built.service().ask_slowly(2) == f"{number} answers"

        tasks = [asyncio.create_task(override_and_ask(number)) for number in range(5)]
        for _ in range(steps):
            await asyncio.sleep(0)
        tasks[steps % 5].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert state(built) == before


async def test_tasks_that_override_different_providers_see_only_their_own(built: Any) -> None:
    held, both = built.service(), asyncio.Barrier(2)

    async def override_db() -> None:
        with override(built, db=FakeDb()):
            await both.wait()
            assert (held.ask(), built.other().url) == ("fake answers", "other")
            await both.wait()

    async def override_other() -> None:
        with override(built, other=FakeDb()):
            await both.wait()
            assert (held.ask(), built.other().url) == ("real answers", "fake")
            assert held.__class__ is Service
            vars(built.repo())["extra"] = "of the original"
            del built.repo().extra
            await both.wait()

    await asyncio.gather(override_db(), override_other())


async def test_what_a_task_builds_that_does_not_see_an_override_stays(container: Any) -> None:
    """It is the original, though another task overrides what it depends on."""
    entered, done = asyncio.Event(), asyncio.Event()

    async def override_db() -> None:
        with override(container, db=FakeDb()):
            entered.set()
            await done.wait()
            assert container.service().ask() == "fake answers"

    task = asyncio.create_task(override_db())
    await entered.wait()
    with override(container, other=FakeDb()):
        service = container.service()
        assert service.ask() == "real answers"
        done.set()
        await task
    assert container.service() is service
    assert type(service) is Service


async def test_a_task_that_overrides_nothing_sees_the_newest(built: Any) -> None:
    held, asked = built.service(), asyncio.Queue[str]()
    ask, answers = asyncio.Event(), asyncio.Queue[str]()

    async def serve() -> None:
        while await asked.get():
            answers.put_nowait(held.ask())

    async def answer() -> str:
        asked.put_nowait("ask")
        return await answers.get()

    server = asyncio.create_task(serve())
    assert await answer() == "real answers"
    with override(built, db=FakeDb("first")):
        assert await answer() == "first answers"

        async def override_more() -> None:
            with override(built, db=FakeDb("second")):
                await ask.wait()

        more = asyncio.create_task(override_more())
        await until(lambda: len(in_force()) == 2)
        assert await answer() == "second answers"
        assert held.ask() == "first answers"
        ask.set()
        await more
        assert await answer() == "first answers"
    assert await answer() == "real answers"
    server.cancel()


async def test_a_server_that_was_started_under_an_override_sees_what_is_overridden_on_top(container: Any) -> None:
    """A fixture overrides the settings and starts the application; its requests inherit that. Tests override more."""
    asked, answers = asyncio.Queue[str](), asyncio.Queue[str]()

    async def serve() -> None:
        while await asked.get():
            answers.put_nowait(container.service().ask())

    async def answer() -> str:
        asked.put_nowait("ask")
        return await answers.get()

    with override(container, config=Config("settings")):
        server = asyncio.create_task(serve())
        assert await answer() == "settings answers"
        with override(container, db=FakeDb("test")):
            assert await answer() == "test answers"
        assert await answer() == "settings answers"
    assert await answer() == "real answers"
    server.cancel()


async def test_a_task_outlives_the_block_that_it_was_started_in(built: Any) -> None:
    go_on, held = asyncio.Event(), built.service()

    async def ask_twice() -> tuple[str, str, str]:
        first = held.ask()
        with override(built, other=FakeDb("inner")):
            await go_on.wait()
            second = held.ask()
        return first, second, held.ask()

    with override(built, db=FakeDb()):
        task = asyncio.create_task(ask_twice())
        await until(lambda: len(in_force()) == 2)
    assert held.ask() == "fake answers"  # like a request: the newest stands upon the one that is over
    go_on.set()
    assert await task == ("fake answers", "fake answers", "real answers")
    assert built.other().url == "other"


async def test_a_method_that_still_runs_at_the_end_of_the_block(built: Any) -> None:
    """Its own object stays what it was when the method began; what that depends on is the original again."""
    with override(built, db=FakeDb()):
        service = asyncio.create_task(built.service().ask_slowly(5))
        repo = asyncio.create_task(built.repo().ask_slowly(5))
        await asyncio.sleep(0)
    assert (await service, await repo) == ("real answers", "fake answers")
    assert built.repo().remembered == {"": "real answers"}


async def test_it_may_be_entered_and_left_in_different_contexts(built: Any) -> None:
    """As the setting up and tearing down of async fixtures are, with some plugins."""
    before = state(built)
    one = override(built, db=FakeDb())
    await asyncio.create_task(_run(one.__enter__))
    assert built.service().ask() == "fake answers"
    await asyncio.create_task(_run(one.__exit__))
    assert state(built) == before


async def _run(call: Any) -> None:
    call()


def test_threads_each_see_their_own(built: Any) -> None:
    held, before, together = built.service(), state(built), threading.Barrier(8)

    def override_and_ask(number: int) -> set[str]:
        together.wait(20)
        answers = set()
        for _ in range(20):
            with override(built, db=FakeDb(str(number))):
                answers |= {held.ask(), built.service().ask(), built.maker().ask()}
        return answers

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(override_and_ask, range(8))) == [{f"{number} answers"} for number in range(8)]
    assert state(built) == before


def test_a_constructor_may_override_itself(built: Any) -> None:
    class Overriding:
        def __init__(self, db: Any) -> None:
            with override(built, other=FakeDb("in a constructor")):
                self.asked = built.other().url, built.service().ask(), db.url
            self.asked_later = (built.other().url, built.service().ask())

    built.overriding = Singleton(Overriding, built.db)
    held = built.overriding()
    with override(built, db=FakeDb()):
        assert held.asked == ("in a constructor", "fake answers", "fake")
        assert held.asked_later == ("other", "fake answers")
    assert held.asked == ("in a constructor", "real answers", "real")
    assert held.asked_later == ("other", "real answers")


def test_containers_do_not_know_of_each_other(built: Any) -> None:
    another: Any = Container()
    held = another.service()
    with override(built, db=FakeDb()):
        assert held.ask() == "real answers"
        with override(another, db=FakeDb("another")):
            assert (built.service().ask(), held.ask()) == ("fake answers", "another answers")
        assert (built.service().ask(), held.ask()) == ("fake answers", "real answers")


# ── A running application ────────────────────────────────────────────────────────────────────────────────────────────


class Handlers:
    def __init__(self, service: Service) -> None:
        self.service = service

    async def get(self, request: web.Request) -> web.Response:
        return web.Response(text=await self.service.ask_slowly(2))


class Web(Container):
    handlers = Singleton(Handlers, Container.service)


@pytest.fixture
def served() -> Any:
    return Web()


@pytest.fixture
async def client(served: Any) -> AsyncIterator[Any]:
    """Give a client of an application whose handlers were built before any test overrides something."""
    app = web.Application()
    app.router.add_get("/", served.handlers().get)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
def sync_override(served: Any) -> Iterator[override]:
    with override(served, other=FakeDb(), db=FakeDb("sync fixture")) as entered:
        yield entered


@pytest.fixture
async def async_override(served: Any) -> AsyncIterator[override]:
    with override(served, other=FakeDb(), db=FakeDb("async fixture")) as entered:
        yield entered


async def ask(client: Any) -> str:
    async with client.get("/") as response:
        return str(await response.text())


async def test_a_running_application(client: Any, served: Any) -> None:
    assert await ask(client) == "real answers"
    for name in ("config", "db", "repo"):
        fake = {"config": Config("fake"), "db": FakeDb(), "repo": FakeDb()}[name]
        with override(served, **{name: fake}):
            assert await asyncio.gather(*(ask(client) for _ in range(10))) == ["fake answers"] * 10
        assert await ask(client) == "real answers"


async def test_fixtures_of_both_kinds_before_the_application(
    sync_override: override, async_override: override, client: Any, served: Any
) -> None:
    assert await ask(client) == "async fixture answers"
    with override(served, repo=FakeDb("test")):
        assert await ask(client) == served.service().ask() == "test answers"
        assert served.other().url == "fake"
    assert await ask(client) == "async fixture answers"


async def test_fixtures_of_both_kinds_after_the_application(
    client: Any, async_override: override, sync_override: override, served: Any
) -> None:
    assert await ask(client) == "sync fixture answers"
    with override(served, repo=FakeDb("test")):
        assert await ask(client) == served.service().ask() == "test answers"
        assert served.other().url == "fake"
    assert await ask(client) == "sync fixture answers"


async def test_a_request_that_is_under_way(client: Any, served: Any) -> None:
    """It sees the replacement from its next step on, and the original again."""
    held = served.service()
    began, go_on = asyncio.Event(), asyncio.Event()

    async def ask_slowly(steps: int) -> str:
        began.set()
        await go_on.wait()
        return str(held.repo.ask())

    held.ask_slowly = ask_slowly
    request = asyncio.create_task(ask(client))
    await began.wait()
    with override(served, db=FakeDb()):
        go_on.set()
        assert await request == "fake answers"
        assert await ask(client) == "fake answers"
    assert held.ask_slowly is ask_slowly


# ── Any graph, any order ─────────────────────────────────────────────────────────────────────────────────────────────


class Node:
    def __init__(self, name: str, *needs: Any) -> None:
        self.name = name
        self.needs = needs
        self.worth = (name, *(need.worth for need in needs))

    def ask(self) -> Any:
        return self.name, *(need.ask() for need in self.needs)


class SlottedNode(Node):
    __slots__ = ("unused",)


class StructNode(msgspec.Struct):
    """Cannot be something else, so that whoever depends on it is given another."""

    name: str
    needs: tuple[Any, ...]

    @property
    def worth(self) -> Any:
        return self.name, *(need.worth for need in self.needs)

    def ask(self) -> Any:
        return self.name, *(need.ask() for need in self.needs)


def struct_node(name: str, *needs: Any) -> StructNode:
    return StructNode(name, needs)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[Any, Any, list[str]]]:
    """Draw providers: each by its name, with a kind, a class and the names of what it needs."""
    graph: dict[str, tuple[Any, Any, list[str]]] = {}
    for number in range(draw(st.integers(1, 7))):
        needs = draw(st.lists(st.sampled_from(sorted(graph)), max_size=3)) if graph else []
        kind = draw(st.sampled_from([Singleton, Singleton, ThreadSafeSingleton, Factory]))
        graph[f"n{number}"] = kind, draw(st.sampled_from([Node, SlottedNode, struct_node])), needs
    return graph


@settings(max_examples=300, deadline=None)
@given(graphs(), st.data())
def test_any_graph_overridden_in_any_way(  # noqa: C901 - a model beside what it is the model of
    graph: dict[str, tuple[Any, Any, list[str]]], data: st.DataObject
) -> None:
    """What each provider gives, and what each object is that is held, is what the replacements make of it."""
    container: Any = DynamicContainer()
    for name, (kind, made, needs) in graph.items():
        setattr(container, name, kind(made, name, *(getattr(container, need) for need in needs)))
    names = sorted(graph)
    held: dict[str, Any] = {}
    layers: list[tuple[override, dict[str, str]]] = []

    def expected(name: str) -> Any:
        fake = layers[-1][1].get(name) if layers else None
        return (fake or name, *(() if fake else map(expected, graph[name][2])))

    def check() -> None:
        for name, node in held.items():
            if not layers or name not in layers[-1][1]:
                assert node.worth == node.ask() == expected(name)
                assert getattr(container, name)() is node

    def end(layer: int) -> None:
        layers.pop(layer)[0].__exit__()
        check()

    try:
        for step in range(data.draw(st.integers(1, 12), "steps")):
            match data.draw(st.sampled_from(["get", "get", "override", "end"]), "step"):
                case "get":
                    name = data.draw(st.sampled_from(names), "name")
                    node = getattr(container, name)()
                    assert node.worth == node.ask() == expected(name)
                    if not layers and graph[name][0] is not Factory and graph[name][1] is not struct_node:
                        held[name] = node
                case "override":
                    fakes = dict.fromkeys(data.draw(st.sets(st.sampled_from(names), min_size=1)), f"fake {step}")
                    layer = override(container, **{name: Node(fake) for name, fake in fakes.items()})
                    below = layers[-1][1] if layers else {}
                    layers.append((layer.__enter__(), {**below, **fakes}))
                case "end" if layers:
                    end(data.draw(st.integers(0, len(layers) - 1), "layer"))
            check()
    finally:
        while layers:
            end(-1)
    for name in names:
        assert getattr(container, name)().ask() == expected(name)
        assert not getattr(container, name).overridden
    assert all(type(node) in {Node, SlottedNode} for node in held.values())


# ── Drive itself ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def drive_container() -> Any:
    """Give Drive's container, with all built that the application and the worker build."""
    container: Any = WorkerContainer(settings=Settings())
    create_app(container)
    container.handlers()
    container.authenticator()
    container.worker()
    return container


@pytest.mark.parametrize("name", [*WorkerContainer.providers])
def test_any_part_of_drive_is_replaced_and_comes_back(drive_container: Any, name: str) -> None:
    if name.startswith("_"):
        return
    before = state(drive_container)
    fake = Settings(quota_base_mib=7) if name == "settings" else MagicMock()
    with override(drive_container, **{name: fake}):
        if name not in {"database_pool", "redis", "http_session", "nats", "media_work"}:
            assert getattr(drive_container, name)() is fake
        create_app(drive_container) if name not in {"handlers", "feed"} else None
        drive_container.worker()
    assert state(drive_container) == before


async def test_drives_running_application() -> None:
    """Its handlers were built, and a token remembered, before the settings and the clients are replaced."""
    container: Any = WorkerContainer(settings=Settings())
    accounts, database = AsyncMock(), AsyncMock()
    accounts.tier.return_value = 0
    accounts.authenticate.return_value = None
    database.fetchval.return_value = 0
    token = {"Authorization": "Bearer any"}
    async with TestClient(TestServer(create_app(container))) as client:
        with override(container, accounts_client=accounts, database=database):
            assert (await client.get("/api/billing/quota", headers=token)).status == 401
            accounts.authenticate.return_value = Account(UUID(int=1), "somebody", is_superuser=False)
            for least in (1, 2):
                with override(container, settings=Settings(quota_base_mib=least)):
                    answer = await client.get("/api/billing/quota", headers=token)
                    assert (await answer.json())["based_quota"] == least
            answer = await client.get("/api/billing/quota", headers=token)
            assert (await answer.json())["based_quota"] == Settings().quota_base_mib
            accounts.authenticate.return_value = None
            assert (await client.get("/api/billing/quota", headers=token)).status == 200
            with override(container, accounts_client=accounts):
                assert (await client.get("/api/billing/quota", headers=token)).status == 401


async def test_what_drives_application_is_first_asked_under_an_override() -> None:
    """What is built then, by the first request of all, is not kept for when the override has ended."""
    container: Any = WorkerContainer(settings=Settings())
    health, authenticator = AsyncMock(), AsyncMock()
    health.health.return_value = web.Response(text="replaced")
    authenticator.identify.side_effect = DriveError(Code.FORBIDDEN, "replaced")
    async with TestClient(TestServer(create_app(container))) as client:
        with override(container, health=health, authenticator=authenticator):
            assert await (await client.get("/health")).text() == "replaced"
            assert (await client.get("/api/pools")).status == 403
        assert (await (await client.get("/health")).json())["status"] == "healthy"
        assert (await client.get("/api/pools")).status == 401
        with override(container, authenticator=authenticator):
            assert (await client.get("/api/pools")).status == 403
