"""Containers with mistakes in them, and such as only look as if."""

import abc
import enum
import functools
import inspect
import sys
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import InitVar, dataclass, field
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, TypeVar
from unittest.mock import MagicMock
from uuid import UUID, uuid4

import msgspec
import pytest
from dependency_injector import providers, resources
from dependency_injector.containers import DeclarativeContainer, DynamicContainer
from dependency_injector.providers import (
    AbstractFactory,
    AbstractSingleton,
    Callable,
    Configuration,
    Coroutine,
    DelegatedFactory,
    Dependency,
    Dict,
    Factory,
    FactoryAggregate,
    List,
    Object,
    Resource,
    Selector,
    Singleton,
    ThreadSafeSingleton,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy_support import run_script

from drive.containers import Container as DriveContainer
from drive.lazy import Channels, Graph, Once, Stub, Tls, sources
from drive.lazy.overriding import override
from drive.lazy.validation import ContainerError, validate
from drive.settings import Settings

if TYPE_CHECKING:
    from decimal import Decimal

STREAMS = "streams_grpc:StreamsStub"
ACCOUNTS = "drive.proto.account_pb2_grpc:AccountServiceStub"


def container_of(**declared: Any) -> Any:
    """Return a container of these providers."""
    container = DynamicContainer()
    container.set_providers(**declared)
    return container


def problems_of(container: Any) -> list[str]:
    """Return what `validate` reports, as a reader sees it."""
    try:
        validate(container)
    except ContainerError as error:
        return [str(problem) for problem in error.problems]
    return []


class Db:
    def __init__(self, url: str, *, timeout_s: float = 1.0) -> None:
        raise AssertionError("validating must not construct what it need not")


class Service:
    def __init__(self, accounts: Any, limit: int = 3) -> None:
        raise AssertionError("validating must not construct what it need not")


class Handlers:
    def __init__(self, service: Any) -> None:
        raise AssertionError("validating must not construct what it need not")


@dataclass(frozen=True, slots=True)
class Config:
    url: str = "http://127.0.0.1:1"
    timeout_s: float = 1.0


# ── The report ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_problems_are_in_one_report_each_with_its_path() -> None:
    """The path begins with what nothing else needs; then what is wrong, and the nearest right name."""

    class Services(DeclarativeContainer):
        settings: Any = Dependency(instance_of=Config)
        channels = Singleton(Channels)
        accounts: "Stub[Any]" = Stub(STREAMS, channels, endpoint=settings.provided.urll)
        uploads = Singleton(Service, accountz=accounts)

    class Outer(DeclarativeContainer):
        settings = Singleton(Config)
        services: Any = providers.Container(Services, settings=settings)
        handlers = List(Singleton(Handlers, services.uploads), Singleton(Handlers))

    with pytest.raises(ContainerError) as raised:
        validate(Outer())
    assert str(raised.value) == (
        "The container has 3 problems:\n"
        "  handlers → Handlers → services.uploads → services.accounts → services.settings.urll: "
        "there is no attribute 'urll'. Did you mean 'url'?\n"
        "  handlers → Handlers → services.uploads: Service takes no argument 'accountz'. Did you mean 'accounts'?\n"
        "  handlers → Handlers: Handlers needs the argument 'service'. Pass it service=…"
    )
    assert len(raised.value.problems) == 3
    assert raised.value.problems[1].path == "handlers → Handlers → services.uploads"
    assert raised.value.problems[1].what == "Service takes no argument 'accountz'"
    assert raised.value.problems[1].hint == "Did you mean 'accounts'?"


def test_one_problem_is_one() -> None:
    with pytest.raises(ContainerError, match=r"^The container has 1 problem:\n  db: "):
        validate(container_of(db=Singleton(Db)))


def test_nothing_wrong_is_reported_by_nothing() -> None:
    validate(container_of(db=Singleton(Db, "url")))


def test_a_problem_of_what_several_need_is_reported_once() -> None:
    db = Singleton(Db)
    container = container_of(db=db, one=Singleton(Handlers, db), two=Singleton(Handlers, db), alias=db)
    assert problems_of(container) == ["one → db: Db needs the argument 'url'. Pass it url=…"]


# ── Arguments ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Plain:
    """Takes nothing."""


class WithSlots:
    __slots__ = ("a",)

    def __init__(self, a: int, /, b: int = 0) -> None:
        self.a = a


class New:
    def __new__(cls, a: int) -> Self:
        return super().__new__(cls)


class Inherits(Service):
    pass


class ByClassMethod:
    @classmethod
    def make(cls, a: int) -> "ByClassMethod":
        return cls()

    @staticmethod
    def make_static(a: int) -> int:
        return a

    def method(self, a: int) -> int:
        return a

    def __call__(self, a: int) -> int:
        return a


@dataclass
class Fields:
    a: int
    b: int = 0
    c: list[int] = field(default_factory=list)
    d: int = field(default=0, init=False)
    e: InitVar[int] = 3


class Struct(msgspec.Struct, kw_only=True):
    a: int
    b: int = 0


class Named(NamedTuple):
    a: int
    b: int = 0


class Color(enum.Enum):
    RED = 1


T = TypeVar("T")


class Typed(Generic[T]):
    def __init__(self, a: T) -> None:
        raise AssertionError


def function(a: "Decimal | int", *, b: "Decimal | int" = 0) -> "Decimal":
    raise AssertionError


def of_any(*args: Any, **kwargs: Any) -> None:
    raise AssertionError


def named_like_theirs(a: int, /, **kwargs: Any) -> None:
    raise AssertionError


async def coroutine_function(a: int) -> None:
    raise AssertionError


def injecting(function: Any) -> Any:
    """Decorate a function, giving it an argument."""

    @functools.wraps(function)
    def inject(*args: Any, **kwargs: Any) -> Any:
        return function(1, *args, **kwargs)

    return inject


@injecting
def injected(given: int, a: int) -> None:
    raise AssertionError


def generator(a: int) -> Iterator[int]:
    yield a


async def async_generator(a: int) -> AsyncIterator[int]:
    yield a


class OldResource(resources.Resource[int]):
    def init(self, a: int) -> int:
        return a


class OldAsyncResource(resources.AsyncResource[int]):
    async def init(self, a: int) -> int:
        return a


class InheritedResource(OldResource):
    pass


NEEDS_A = [
    WithSlots,
    New,
    Fields,
    Named,
    Typed,
    function,
    coroutine_function,
    ByClassMethod.make,
    ByClassMethod.make_static,
    ByClassMethod().method,
    ByClassMethod(),
    named_like_theirs,
    functools.partial(function, b=1),
]


@pytest.mark.parametrize("made", NEEDS_A)
@pytest.mark.parametrize("kind", [Singleton, ThreadSafeSingleton, Resource])
def test_a_missing_argument(kind: Any, made: Any) -> None:
    assert problems_of(container_of(x=kind(made, 1))) == []
    (problem,) = problems_of(container_of(x=kind(made)))
    assert problem.startswith("x: ")
    assert " needs the argument 'a'. Pass it " in problem


@pytest.mark.parametrize("made", [generator, async_generator, OldResource, OldAsyncResource, InheritedResource])
def test_a_missing_argument_of_a_resource(made: Any) -> None:
    assert problems_of(container_of(x=Resource(made, 1))) == problems_of(container_of(x=Resource(made, a=1))) == []
    (problem,) = problems_of(container_of(x=Resource(made)))
    assert "needs the argument 'a'. Pass it a=…" in problem


@pytest.mark.parametrize(
    ("made", "args", "kwargs", "expected"),
    [
        (Plain, (1,), {}, ["Plain takes 0 positional arguments, not 1. Name them, or leave them out"]),
        (Plain, (), {"a": 1}, ["Plain takes no argument 'a'. Leave it out"]),
        (Service, (), {"account": 1}, ["Service takes no argument 'account'. Did you mean 'accounts'?"]),
        (Service, (), {"accounts": 1, "account": 1}, ["Service takes no argument 'account'. It has limit"]),
        (Inherits, (1, 2, 3), {}, ["Inherits takes 2 positional arguments, not 3. Name them, or leave them out"]),
        (Service, (1,), {"accounts": 1}, ["Service is given 'accounts' twice. Leave one of them out"]),
        (
            Service,
            (),
            {"xyz": 1},
            [
                "Service takes no argument 'xyz'. It has accounts, limit",
                "Service needs the argument 'accounts'. Pass it accounts=…",
            ],
        ),
        (WithSlots, (), {"b": 1}, ["WithSlots needs the argument 'a'. Pass it by its position"]),
        (
            WithSlots,
            (),
            {"a": 1},
            [
                "WithSlots takes no argument 'a'. It has b",
                "WithSlots needs the argument 'a'. Pass it by its position",
            ],
        ),
        (named_like_theirs, (1,), {"a": 1}, []),
        (Fields, (1,), {"d": 1}, ["Fields takes no argument 'd'. It has b, c, e"]),
        (Struct, (1,), {}, ["Struct takes 0 positional arguments, not 1", "Struct needs the argument 'a'"]),
        (Struct, (), {"a": 1, "c": 1}, ["Struct takes no argument 'c'. It has b"]),
        (Named, (1, 2, 3), {}, ["Named takes 2 positional arguments, not 3. Name them, or leave them out"]),
        (functools.partial(Service, 1), (2, 3), {}, ["Service takes 1 positional arguments, not 2"]),
        (None, (), {}, ["it has nothing to make. Name a class or a function"]),
    ],
)
def test_arguments_that_do_not_fit(made: Any, args: Any, kwargs: Any, expected: list[str]) -> None:
    found = problems_of(container_of(x=Singleton(made, *args, **kwargs)))
    assert len(found) == len(expected)
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(f"x: {start}")


@pytest.mark.parametrize(
    ("made", "args", "kwargs"),
    [
        (Plain, (), {}),
        (Service, (1,), {"limit": 2}),
        (WithSlots, (1, 2), {}),
        (Fields, (1, 2), {"e": 1}),
        (Struct, (), {"a": 1}),
        (Color, (1,), {}),
        (Typed[int], (1,), {}),
        (of_any, (1, 2, 3), {"anything": 1}),
        (functools.partial(function, 1), (), {"b": 2}),
        (functools.partial(function, a=1), (), {"a": 2}),
        (injected, (2,), {}),
        (injected, (), {"a": 2}),
        (asynccontextmanager(async_generator), (1,), {}),
        (functools.cache(function), (), {}),
        (int, ("1",), {}),
        (str, (), {}),
        (dict, (), {"a": 1}),
        (list, ((1,),), {}),
        (Path, ("a", "b"), {}),
        (UUID, (), {"int": 1}),
        (uuid4, (), {}),
        (print, (1, 2), {"sep": ""}),
        (MagicMock(), (1,), {"a": 1}),
        (types.SimpleNamespace, (), {"a": 1}),
        (Exception, (1, 2), {}),
        (lambda: 1, (), {}),
        (lambda *, a=1: a, (), {"a": 2}),
    ],
)
def test_arguments_that_fit_or_of_which_nobody_can_tell(made: Any, args: Any, kwargs: Any) -> None:
    assert problems_of(container_of(x=Singleton(made, *args, **kwargs), y=Factory(made, *args, **kwargs))) == []


PARAMETER_KINDS = [*inspect._ParameterKind]


@st.composite
def signatures(draw: st.DrawFn) -> inspect.Signature:
    names, kinds = iter("abcdef"), sorted(draw(st.lists(st.sampled_from(PARAMETER_KINDS), max_size=6)))
    parameters = []
    for kind in dict.fromkeys(kinds):
        is_several = kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
        for _ in range(1 if is_several else kinds.count(kind)):
            default = inspect.Parameter.empty if is_several or draw(st.booleans()) else 0
            parameters.append(inspect.Parameter(next(names), kind, default=default))
    try:
        return inspect.Signature(parameters)
    except ValueError:  # one without default after one that has one
        return inspect.Signature([one.replace(default=inspect.Parameter.empty) for one in parameters])


@settings(max_examples=300, deadline=None)
@given(signatures(), st.integers(0, 4), st.sets(st.sampled_from("abcdefgh")))
def test_arguments_fit_as_python_says(signature: inspect.Signature, positions: int, names: set[str]) -> None:
    scope: dict[str, Any] = {}
    exec(f"def made{signature}: pass", scope)
    args, kwargs = range(positions), dict.fromkeys(names, 0)
    found = problems_of(container_of(x=Singleton(scope["made"], *args, **kwargs)))
    try:
        scope["made"](*args, **kwargs)
    except TypeError:
        assert found
    else:
        assert found == []
    wrong = [problem for problem in found if "needs the argument" not in problem]
    assert problems_of(container_of(x=Factory(scope["made"], *args, **kwargs))) == wrong


def test_a_factory_may_be_given_the_rest_by_who_calls_it() -> None:
    """But nobody gives it more when it is injected."""
    factory = Factory(Service)
    assert (
        problems_of(container_of(factory=factory, callable=Callable(function), coroutine=Coroutine(coroutine_function)))
        == []
    )
    for passed_on in (factory.provider, DelegatedFactory(Service), FactoryAggregate(a=factory), Object(factory)):
        assert problems_of(container_of(x=Singleton(Handlers, passed_on), factory=factory)) == []
    missing = "Service needs the argument 'accounts'. Pass it accounts=…"
    assert problems_of(container_of(x=Singleton(Handlers, factory), factory=factory)) == [f"x → factory: {missing}"]
    for between in (List(factory), Dict(a=factory), factory.provided, factory.provided.name, factory.provided["x"]):
        (problem,) = problems_of(container_of(x=Singleton(Handlers, between), factory=factory))
        assert problem.endswith(missing)
    (problem,) = problems_of(container_of(factory=Factory(Service, mistake=1)))
    assert problem == "factory: Service takes no argument 'mistake'. It has accounts, limit"


def test_what_passes_arguments_on_may_be_given_the_rest_too() -> None:
    factory = Factory(Service)
    replaced: Any = Dependency()
    replaced.override(factory)
    container = container_of(
        selector=Selector(Object("a"), a=factory),
        aggregate=FactoryAggregate(a=factory),
        attribute=factory.provided.name,
        replaced=replaced,
    )
    assert problems_of(container) == []
    container.user = Singleton(Handlers, container.selector)
    assert len(problems_of(container)) == 1


def test_once() -> None:
    async def open_(url: str, *, timeout_s: float) -> str:
        raise AssertionError

    async def close(opened: str) -> None:
        raise AssertionError

    async def close_without_it() -> None:
        raise AssertionError

    close_nothing: Any = close_without_it

    assert problems_of(container_of(x=Once(open_, close=close, url="", timeout_s=1))) == []
    assert problems_of(
        container_of(
            x=Once(open_, close=close, url="", timeout=1),
            y=Once(open_, close=close_nothing, url="", timeout_s=1),
            z=Once(open_, close=close),
            empty=Once(),
        )
    ) == [
        "x: open_ takes no argument 'timeout'. Did you mean 'timeout_s'?",
        "y: close_without_it takes 0 positional arguments, not 1. Name them, or leave them out",
        "z: open_ needs the argument 'url'. Pass it url=…",
        "z: open_ needs the argument 'timeout_s'. Pass it timeout_s=…",
        "empty: it is empty. Write Once(open_it, close=close_it, …)",
    ]


# ── What is not there ────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_defined() -> None:
    class Inner(DeclarativeContainer):
        db: Any = Dependency()
        repo = Singleton(Handlers, db)

    class Outer(DeclarativeContainer):
        defined: Any = Dependency(default=Object(1))
        given: Any = Dependency()
        abstract = AbstractFactory(Service)
        abstract_singleton = AbstractSingleton(Service)
        gateways: Any = providers.DependenciesContainer()
        inner: Any = providers.Container(Inner)
        user = Singleton(Service, gateways.mail, limit=defined)

    container = Outer(given=Object(1))
    assert problems_of(container) == [
        "abstract: it is abstract. Override it with a provider of what is to be made",
        "abstract_singleton: it is abstract. Override it with a provider of what is to be made",
        "user → gateways.mail: it is not defined. Pass it to the container, or give it a default",
        "inner.repo → inner.db: it is not defined. Pass it to the container, or give it a default",
    ]
    container.abstract.override(Factory(Service, 1))
    container.abstract_singleton.override(Singleton(Service, 1))
    container.gateways.override(container_of(mail=Object(1)))
    container.inner.db.override(Singleton(Db))
    assert problems_of(container) == ["inner.repo → inner.db → Db: Db needs the argument 'url'. Pass it url=…"]


def test_only_what_stands_over_a_provider_counts() -> None:
    container = container_of(db=Singleton(Db), user=Singleton(Handlers, Factory(Db, "url", oops=1)))
    assert len(problems_of(container)) == 2
    with container.db.override(Object(1)), override(container, user=Singleton(Handlers)):
        assert problems_of(container) == ["user → Handlers: Handlers needs the argument 'service'. Pass it service=…"]
    with container.user.override(Singleton(Service)):
        assert len(problems_of(container)) == 2


class Loose:
    """Has an annotation, and more than that."""

    url: str

    def __init__(self) -> None:
        self.more = 1


class Dynamic:
    url: str

    def __getattr__(self, name: str) -> int:
        return 1


class Abstract(abc.ABC):
    __slots__ = ()
    url: str

    @abc.abstractmethod
    def method(self) -> None: ...


class HasUrl(Protocol):
    url: str


@dataclass
class Computing:
    url: str = ""

    def __post_init__(self) -> None:
        self.computed = 1

    @property
    def more(self) -> int:
        return 1


@dataclass(frozen=True)
class FrozenComputing:
    url: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "computed", 1)


class OnlySlots:
    __slots__ = ("url",)
    more: int


def load() -> Config:
    raise AssertionError


def load_unknown() -> "Decimal":
    raise AssertionError


def load_unknown_argument(path: "Decimal") -> Config:
    raise AssertionError


def load_optional() -> Config | None:
    raise AssertionError


def load_any() -> Any:
    raise AssertionError


def load_object() -> object:
    raise AssertionError


def load_protocol() -> HasUrl:
    raise AssertionError


def load_broken() -> Any:
    raise AssertionError


load_broken.__annotations__["return"] = "not even an expression"


class More(Loose):
    more: int


@dataclass
class BaseConfig:
    old: str = ""


class ExtendedConfig(BaseConfig):
    urll: str = ""


def load_base_config() -> BaseConfig:
    raise AssertionError


KNOWN: list[Any] = [
    Singleton(load),
    Singleton(load_unknown_argument, "x"),
    Singleton(Config),
    Factory(Config),
    Callable(load),
    Object(Config()),
    Object(Computing()),
    Singleton(Struct, a=1),
    Singleton(Named, a=1),
    Singleton(Computing),
    Singleton(FrozenComputing),
    Singleton(OnlySlots),
]
UNKNOWN: list[Any] = [
    Singleton(load_unknown),
    Singleton(load_optional),
    Singleton(load_any),
    Singleton(load_object),
    Singleton(load_protocol),
    Singleton(load_broken),
    Singleton(Loose),
    Singleton(Dynamic),
    Singleton(Plain),
    Singleton(Abstract),
    Singleton(More),
    Singleton(lambda: 1),
    Singleton(load_base_config),
    Object(MagicMock()),
    Object(types.SimpleNamespace(url=1)),
    Object(type("Open", (), {"url": ""})()),
    Dependency(default=Object(1)),
    Dict(a=1),
    Singleton(load).provided.url,
    Singleton(Factory(Config)),
]


@pytest.mark.parametrize("source", KNOWN)
def test_an_attribute_that_is_not_there(source: Any) -> None:
    right = "a" if source.provides in (Struct, Named) else "url"
    assert problems_of(container_of(settings=source, x=Singleton(Handlers, getattr(source.provided, right)))) == []
    (problem,) = problems_of(container_of(settings=source, x=Singleton(Handlers, source.provided.urll)))
    assert problem.startswith("x → settings.urll: there is no attribute 'urll'. ")
    if right == "url":
        assert problem.endswith("Did you mean 'url'?")


@pytest.mark.parametrize("source", UNKNOWN)
def test_an_attribute_of_which_nobody_can_tell(source: Any) -> None:
    assert problems_of(container_of(settings=source, x=Singleton(Handlers, source.provided.urll))) == []


@pytest.mark.parametrize("source", [Singleton(Computing), Singleton(FrozenComputing)])
def test_attributes_that_a_dataclass_computes(source: Any) -> None:
    assert problems_of(container_of(x=List(source.provided.computed))) == []


def test_attributes_of_what_a_provider_was_replaced_by() -> None:
    class Container(DeclarativeContainer):
        settings = Singleton(Config)
        _s = settings.provided
        x = Singleton(Handlers, _s.old)
        _y = _s.timeout_s
        y = Singleton(Handlers, _y)

    assert problems_of(Container()) == ["x → settings.old: there is no attribute 'old'. It has timeout_s, url"]
    assert problems_of(Container(settings=Object(BaseConfig()))) == [
        "y → settings.timeout_s: there is no attribute 'timeout_s'. It has old"
    ]


def test_configuration_is_not_known_before_it_is_loaded() -> None:
    class Container(DeclarativeContainer):
        config = Configuration(strict=True)
        db = Singleton(Db, config.db.url, timeout_s=config.db.timeout_s.as_float())
        other = Singleton(Db, config.db["url"].required(), timeout_s=config.x.as_(Config, 1))

    assert problems_of(Container()) == []


# ── Cycles ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cycle_is_reported_once_as_the_way_around() -> None:
    a, b, c = Singleton(Handlers), Singleton(Handlers), Singleton(Handlers)
    a.set_args(List(b))
    b.set_args(c.provided.x)
    c.set_args(a)
    container = container_of(user=Singleton(Handlers, a), a=a, b=b, c=c)
    (problem,) = problems_of(container)
    way, _, _ = problem.partition(":")
    assert way in {"a → List → b → c.x → c → a", "b → c.x → c → a → List → b", "c → a → List → b → c.x → c"}
    assert problem.endswith(": these need each other. Pass one of them as a factory: name.provider")
    c.set_args(a.provider)
    assert problems_of(container) == []


def test_cycles_are_found_whichever_way_leads_to_them() -> None:
    """Also where the way that is gone first leads through something that is only passed on."""
    a, b = Singleton(Service), Singleton(Service)
    a.set_args(b.provider, b)
    b.set_args(a)
    assert len(problems_of(container_of(a=a, b=b))) == 1
    itself = Singleton(Handlers)
    itself.set_args(itself)
    assert problems_of(container_of(itself=itself))[0].startswith("itself → itself: these need each other.")
    for passed_on in (a.provider, DelegatedFactory(Handlers, a), Object(a)):
        b.set_args(passed_on)
        a.set_args(b)
        assert problems_of(container_of(a=a, b=b)) == []


def test_two_cycles_are_two_problems_and_others_are_found_beside_them() -> None:
    a, b, c = Singleton(Service), Singleton(Handlers), Singleton(Handlers)
    a.set_args(b, c)
    b.set_args(a)
    c.set_args(a)
    container = container_of(
        a=a, b=b, c=c, db=Singleton(Db), stub=Stub(STREAMS, Singleton(Channels), endpoint=a.provided.url)
    )
    assert len(problems_of(container)) == 3


# ── Stubs and channels ───────────────────────────────────────────────────────────────────────────────────────────────


def stub_of(path: str, endpoint: Any = "http://127.0.0.1:1") -> Any:
    return container_of(stub=Stub(path, Singleton(Channels), endpoint=endpoint))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (ACCOUNTS, None),
        (STREAMS, None),
        (
            "drive.proto.account_pb2_grpc:AccountStub",
            "drive.proto.account_pb2_grpc has no class 'AccountStub'. Did you mean 'AccountServiceStub'?",
        ),
        (
            "drive.proto.acount_pb2_grpc:AccountServiceStub",
            "there is no module 'drive.proto.acount_pb2_grpc'. Did you mean drive.proto.account_pb2_grpc?",
        ),
        (
            "drive.proto.account_pb2_grpc",
            "'drive.proto.account_pb2_grpc' names no class after a colon. It has AccountServiceStub, ",
        ),
        ("stream_grpc:StreamsStub", "there is no module 'stream_grpc'. Did you mean streams_grpc?"),
        ("qqqxxx:Stub", "there is no module 'qqqxxx'. Write package.module_pb2_grpc:ServiceStub"),
        ("drive.nowhere.at_all:Stub", "there is no module 'drive.nowhere.at_all'. Write "),
        ("email.charset.inside:Stub", "there is no module 'email.charset.inside'. Write "),
        ("", "there is no module ''. Write package.module_pb2_grpc:ServiceStub"),
        (".relative:Stub", "there is no module '.relative'. Write "),
        ("a/b:Stub", "there is no module 'a/b'. Write "),
    ],
)
def test_the_class_of_a_stub(path: str, expected: str | None) -> None:
    found = problems_of(stub_of(path))
    if expected is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(f"stub: {expected}")


def test_the_class_of_a_stub_where_its_module_has_no_source_or_gets_it_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing it may work, so that it is not reported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "forwarding_grpc.py").write_text("from streams_grpc import StreamsStub\n")
    (tmp_path / "space" / "within").mkdir(parents=True)
    (tmp_path / "space" / "within" / "some_grpc.py").write_text("class SomeStub: ...\n")
    (tmp_path / "failing").mkdir()
    (tmp_path / "failing" / "__init__.py").write_text("raise AssertionError\n")
    (tmp_path / "failing" / "some_grpc.py").write_text("class SomeStub: ...\n")
    (tmp_path / f"native_grpc{EXTENSION_SUFFIXES[0]}").write_bytes(b"\x7fELF")
    monkeypatch.setitem(sys.modules, "made_grpc", types.ModuleType("made_grpc"))
    vars(sys.modules["made_grpc"])["MadeStub"] = object
    right = ["forwarding_grpc:StreamsStub", "space.within.some_grpc:SomeStub", "failing.some_grpc:SomeStub"]
    for path in [*right, "made_grpc:MadeStub", "native_grpc:NativeStub"]:
        assert problems_of(stub_of(path)) == []
    for path in ("failing.some_grpc:OtherStub", "made_grpc:OtherStub"):
        assert len(problems_of(stub_of(path))) == 1


def test_the_endpoint_of_a_stub() -> None:
    assert problems_of(stub_of(STREAMS, Callable(lambda: "https://somewhere"))) == []
    (problem,) = problems_of(stub_of(STREAMS, "127.0.0.1:1"))
    assert problem.startswith("stub: its endpoint cannot be called. '127.0.0.1:1' is no endpoint: ")
    assert "Write http://host:port" in problem
    for wrong in (None, 1, b"http://127.0.0.1:1"):
        assert problems_of(stub_of(STREAMS, Object(wrong))) == [
            f"stub: its endpoint is {wrong!r}. Give it an address, http://host:port"
        ]


def test_a_stub_without_class_or_channels() -> None:
    without: Stub[Any] = Stub(STREAMS, endpoint="http://127.0.0.1:1")  # type: ignore[call-overload]
    assert problems_of(container_of(empty=Stub(), stub=without)) == [
        "empty: it is empty. Write Stub('package.module_pb2_grpc:ServiceStub', channels, endpoint=…)",
        "stub: it has no channels. Write Stub(path, channels, endpoint=…)",
    ]


def test_settings_that_cannot_be_loaded_are_reported_once() -> None:
    """Not again for each endpoint that depends on them; and not at all as a second problem of what is wrong already."""

    def fail() -> Config:
        raise ValueError("DRIVE_X is no number. Write DRIVE_X=1")

    class Container(DeclarativeContainer):
        settings = Singleton(fail)
        channels = Singleton(Channels, max_connections=settings.provided.timeout_s)
        first: "Stub[Any]" = Stub(STREAMS, channels, endpoint=settings.provided.url)
        second: "Stub[Any]" = Stub(STREAMS, channels, endpoint=Callable(str, settings.provided.url))

    (problem,) = problems_of(Container())
    assert problem.endswith("settings: it cannot be made (ValueError). DRIVE_X is no number. Write DRIVE_X=1")
    (problem,) = problems_of(Container(settings=Singleton(Config, oops=1)))
    assert problem.endswith("Config takes no argument 'oops'. It has timeout_s, url")


def test_files_that_are_missing(tmp_path: Path) -> None:
    ca, cert, key = (tmp_path / f"{name}.pem" for name in ("ca", "cert", "key"))
    cert.write_text("there")
    key.mkdir()  # there, but no file
    channels = Singleton(Channels, tls=Singleton(Tls, ca_file=ca, cert_file=cert, key_file=key))
    container = container_of(channels=channels, stub=Stub(STREAMS, channels, endpoint="http://127.0.0.1:1"))
    assert problems_of(container) == [
        f"stub → channels: the file {file} is missing. Put it there, or correct the setting" for file in (ca, key)
    ]
    container.channels.add_kwargs(max_connection=1)
    assert len(problems_of(container)) == 3
    channels.override(Object(MagicMock()))
    assert problems_of(container) == []


@pytest.mark.parametrize(
    ("path", "methods"),
    [(ACCOUNTS, "GetAccount, GetAccountBatch"), ("streams_grpc:StreamsStub", "It has Count, Echo, Join, Talk")],
)
def test_idempotent_methods_that_the_service_lacks(path: str, methods: str) -> None:
    channels = Singleton(Channels)
    fine = methods.removeprefix("It has ").split(", ")
    stub: Stub[Any] = Stub(path, channels, endpoint="http://127.0.0.1:1", idempotent=[*fine, "Nonsense"])
    (problem,) = problems_of(container_of(channels=channels, stub=stub))
    cls = path.partition(":")[2]
    assert problem.startswith(f"stub: {cls} has no method 'Nonsense' to be idempotent. It has ")
    assert methods in problem
    stub = Stub(path, channels, endpoint="http://127.0.0.1:1", idempotent=[fine[0] + "s"])
    (problem,) = problems_of(container_of(channels=channels, stub=stub))
    assert problem.endswith(f"Did you mean {fine[0]!r}?")


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"channels": Channels()}, "its channels are no provider. Write channels = Singleton(Channels), and pass that"),
        ({"channels": Channels}, "its channels are no provider. Write channels = Singleton(Channels), and pass that"),
        ({"path": Channels}, "Name the class as text: 'package.module_pb2_grpc:ServiceStub'"),
        ({"path": ACCOUNTS.replace("Stub", "Servicer")}, "Servicer is no stub. Did you mean 'AccountServiceStub'?"),
        ({"path": "drive.proto.ring_pb2:Empty"}, "has messages and no stubs. Did you mean drive.proto.ring_pb2_grpc?"),
        ({"timeout_s": "5"}, "its timeout_s is '5'. Give it a number of seconds above 0, or None"),
        ({"timeout_s": Object(-1)}, "its timeout_s is -1. Give it a number of seconds above 0, or None"),
    ],
)
def test_a_stub_is_given_something_else(declared: dict[str, Any], told: str) -> None:
    """Each is reported, and hides no other mistake."""
    arguments: Any = {
        "path": ACCOUNTS,
        "channels": Singleton(Channels),
        "endpoint": "http://127.0.0.1:1",
        "timeout_s": 5.0,
    }
    stub: Any = Stub(**arguments | declared)
    problems = problems_of(container_of(stub=stub, other=Singleton(Config, oops=1)))
    assert len(problems) == 2
    assert any(problem.endswith(told) for problem in problems), problems


def test_a_class_or_no_container_at_all_is_refused_at_once() -> None:
    takers: list[Any] = [validate, Graph]
    for take in takers:
        with pytest.raises(TypeError, match=r"^Container is the class: give an instance, Container\(\)\.$"):
            take(DriveContainer)
        with pytest.raises(TypeError, match=r"^3 is no container"):
            take(3)


def test_channels_that_each_stub_would_have_its_own_of() -> None:
    channels: Any = Factory(Channels)
    container = container_of(channels=channels, stub=Stub(STREAMS, channels, endpoint="http://127.0.0.1:1"))
    (problem,) = problems_of(container)
    assert problem == (
        "stub: its channels are made anew for each stub, and with them the connections. Make them a Singleton"
    )


def test_a_certificate_without_its_key() -> None:
    channels = Singleton(Channels, tls=Singleton(Tls, cert_file=Path("cert.pem")))
    (problem,) = problems_of(container_of(channels=channels))
    assert problem.endswith(
        "Tls: it cannot be made (ValueError). cert_file and key_file belong together: name both, or neither"
    )


# ── Size ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ten_thousand_providers_in_a_chain() -> None:
    """They are more than Python can call within each other."""
    first = before = Singleton(Handlers, 1)
    container = container_of(n0=first)
    for number in range(1, 10_000):
        before = Singleton(Handlers, before)
        setattr(container, f"n{number}", before)
    assert problems_of(container) == []
    first.set_args(before)
    assert len(problems_of(container)) == 1


def test_ten_thousand_stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each module is read once."""
    read: list[str] = []
    read_source = sources._read_source

    def counted(spec: Any) -> str:
        read.append(spec.name)
        return read_source(spec)

    monkeypatch.setattr(sources, "_read_source", counted)
    channels, config = Singleton(Channels), Singleton(Config)
    stubs: list[Stub[Any]] = [Stub(ACCOUNTS, channels, endpoint=config.provided.url) for _ in range(10_000)]
    assert problems_of(container_of(all=List(*stubs))) == []
    assert read == ["drive.proto.account_pb2_grpc"]


# ── Drive, and any container ─────────────────────────────────────────────────────────────────────────────────────────


def test_drive_is_valid() -> None:
    assert problems_of(DriveContainer(settings=Singleton(Settings))) == []


def test_mistakes_in_drive_are_found() -> None:
    container: Any = DriveContainer(settings=Singleton(Settings, pass_endpoint="pass:5001", acounts_endpoint=""))
    container.local_store.set_args()
    container.uploads.add_kwargs(acounts=1)
    assert [problem.partition(":")[2] for problem in problems_of(container)] == [
        " Settings takes no argument 'acounts_endpoint'. Did you mean 'accounts_endpoint'?",
        " LocalStore needs the argument 'root'. Pass it root=…",
        " Uploads takes no argument 'acounts'. Leave it out",
    ]


def test_validating_drive_imports_and_opens_nothing() -> None:
    """Neither gRPC nor protobuf nor a generated module nor even their package."""
    script = """
import socket, sys

def refuse(*_args, **_kwargs):
    raise AssertionError("validating must not connect")

socket.socket.connect = refuse
from drive.containers import Container
from drive.lazy import Channels
from drive.lazy.validation import validate
from drive.settings import Settings
from dependency_injector.providers import Singleton

before = set(sys.modules)
validate(Container(settings=Singleton(Settings)), importing=False)
print(sorted(name for name in set(sys.modules) - before if name.partition(".")[0] in {"grpc", "google", "drive"}))
validate(Container(settings=Singleton(Settings)))
print(sorted(name for name in set(sys.modules) - before if name.startswith(("grpc", "google", "drive.proto"))))
"""
    assert run_script(script) == "[]\n[]\n"


class Node:
    def __init__(self, *needs: Any, name: str, other: Any = None) -> None:
        raise AssertionError


@st.composite
def containers(draw: st.DrawFn) -> Any:
    """Draw a container without mistakes."""
    declared: dict[str, Any] = {}
    for number in range(draw(st.integers(1, 8))):
        choose = st.lists(st.sampled_from(sorted(declared)), max_size=3) if declared else st.just([])
        needs = [declared[name] for name in draw(choose)]
        wrap = draw(st.sampled_from([lambda one: one, List, lambda one: Dict(a=one), lambda one: one.provider]))
        kind = draw(st.sampled_from([Singleton, Factory, ThreadSafeSingleton, Callable]))
        declared[f"n{number}"] = kind(Node, *map(wrap, needs), name=f"n{number}")
    return container_of(**declared)


def forget(provider: Any) -> None:
    provider.set_kwargs()


def misspell(provider: Any) -> None:
    provider.add_kwargs(othr=1)


def leave_open(provider: Any) -> None:
    provider.add_kwargs(other=Dependency())


def name_no_module(provider: Any) -> None:
    provider.add_kwargs(other=Stub("nowhere:NoStub", Singleton(Channels), endpoint="http://127.0.0.1:1"))


def name_no_attribute(provider: Any) -> None:
    provider.add_kwargs(other=Singleton(Config).provided.nothing)


def name_no_endpoint(provider: Any) -> None:
    provider.add_kwargs(other=Stub(STREAMS, Singleton(Channels), endpoint="nowhere"))


@settings(max_examples=200, deadline=None)
@given(containers(), st.data())
def test_as_many_problems_are_found_as_there_are(container: Any, data: st.DataObject) -> None:
    assert problems_of(container) == []
    names = data.draw(st.sets(st.sampled_from(sorted(container.providers))))
    mistakes = [forget, misspell, leave_open, name_no_module, name_no_attribute, name_no_endpoint]
    for name in names:
        mistake = data.draw(st.sampled_from(mistakes[not isinstance(getattr(container, name), Singleton) :]))
        mistake(getattr(container, name))
    assert len(problems_of(container)) == len(names)
