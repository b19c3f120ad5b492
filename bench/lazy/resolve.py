"""
What asking a container costs, beside the other frameworks.

What `container.x()` costs, and the same in dishka (`container.get(X)`), that-depends (`Container.x.resolve_sync()`), wireup (`container.get(X)`) and in dependency-injector's own `@inject`. **Built already** is a Singleton without dependencies; a `Stub` is one that is written in Python, and takes a little longer for it. **Made anew** is an object that needs another, which needs a third, all made at each call. A batch is 1 000 expressions, timed by `timeit`.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from timeit import Timer
from typing import Any, Final

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Factory, Singleton
from dependency_injector.wiring import Provide, inject

from bench.lazy.graph import Leaf, Middle, Service, Top
from bench.lazy.peers import is_installed
from bench.measure import Effort, by_name, in_child, interleaved
from bench.tables import Table, compared
from drive.lazy import Channels, Stub

_SINGLETON: Final = "container.x(), a Singleton"
_STUB: Final = "container.x(), a Stub"
_FACTORY: Final = "container.x(), Factories"
_INJECTED: Final = "dependency-injector's @inject"
_INJECTED_NOTE: Final = "with the call of the function that it is injected into"
_SCOPE_NOTE: Final = "asked of a scope that stays open; its container gives no such thing"


class Container(DeclarativeContainer):
    """Has one provider of each kind."""

    service = Singleton(Service)
    leaf = Factory(Leaf)
    middle = Factory(Middle, leaf)
    top = Factory(Top, middle)
    channels = Singleton(Channels)
    accounts: "Stub[Any]" = Stub("drive.proto.account_pb2_grpc:AccountServiceStub", channels, endpoint="http://[::1]:1")


@inject
def injected_service(service: Service = Provide[Container.service]) -> Service:
    """Return what is injected."""
    return service


@inject
def injected_top(top: Top = Provide[Container.top]) -> Top:
    """Return what is injected."""
    return top


@dataclass(frozen=True, slots=True)
class Way:
    """How one framework is asked: two expressions, and what their names mean."""

    singleton: str
    graph: str
    names: dict[str, Any]


def tables(effort: Effort) -> list[Table]:
    """Measure all ways in each round, in small batches that take turns."""
    rounds = [in_child(one_round, effort.count(100), effort.count(1000)) for _ in range(effort.rounds)]
    singletons, graphs = (by_name(one) for one in zip(*rounds, strict=True))
    return [
        Table(
            "Asking for what is built already",
            f"Time of one resolution; the ratio is to: {_SINGLETON}.",
            compared(singletons, _SINGLETON, "ns", notes={_INJECTED: _INJECTED_NOTE}),
        ),
        Table(
            "Asking for what is made anew, with what it depends on, three deep",
            f"Time of one resolution, three constructors included; the ratio is to: {_FACTORY}.",
            compared(graphs, _FACTORY, "ns", notes={_INJECTED: _INJECTED_NOTE, "wireup": _SCOPE_NOTE}),
        ),
    ]


def one_round(turns: int, batch: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the nanoseconds of each way to ask for a Singleton, and for a graph of Factories."""
    container = Container()
    container.wire(modules=[__name__])
    ours = {"container": container}
    with ExitStack() as stack:
        ways = {_INJECTED: Way("injected_service()", "injected_top()", globals())}
        ways |= {peer: make(stack) for peer, make in _PEERS.items() if is_installed(peer)}
        singletons = {_SINGLETON: ("container.service()", ours), _STUB: ("container.accounts()", ours)}
        graphs = {_FACTORY: ("container.top()", ours)}
        singletons |= {name: (way.singleton, way.names) for name, way in ways.items()}
        graphs |= {name: (way.graph, way.names) for name, way in ways.items()}
        return _timed(singletons, turns, batch), _timed(graphs, turns, batch)


def _timed(expressions: dict[str, tuple[str, dict[str, Any]]], turns: int, batch: int) -> dict[str, float]:
    def side(expression: str, names: dict[str, Any]) -> Callable[[], float]:
        timer = Timer(expression, globals=names)
        return lambda: timer.timeit(batch) / batch * 1e9

    return interleaved({name: side(*expression) for name, expression in expressions.items()}, turns)


def _dishka(stack: ExitStack) -> Way:
    from dishka import Provider, Scope, make_container  # type: ignore[import-not-found] # only in .venv-bench

    provider = Provider(scope=Scope.APP)
    provider.provide(Service)
    for made_anew in (Leaf, Middle, Top):
        provider.provide(made_anew, cache=False)
    container = stack.enter_context(closing(make_container(provider)))
    return Way("container.get(Service)", "container.get(Top)", {"container": container, "Service": Service, "Top": Top})


def _that_depends(_stack: ExitStack) -> Way:
    from that_depends import BaseContainer, providers  # type: ignore[import-not-found] # only in .venv-bench

    class Peer(BaseContainer):  # type: ignore[misc] # its type is not known here
        service = providers.Singleton(Service)
        leaf = providers.Factory(Leaf)
        middle = providers.Factory(Middle, leaf.cast)
        top = providers.Factory(Top, middle.cast)

    return Way("Peer.service.resolve_sync()", "Peer.top.resolve_sync()", {"Peer": Peer})


def _wireup(stack: ExitStack) -> Way:
    from wireup import create_sync_container, injectable  # type: ignore[import-not-found] # only in .venv-bench

    made_anew = [injectable(one, lifetime="transient") for one in (Leaf, Middle, Top)]
    container = stack.enter_context(closing(create_sync_container(injectables=[injectable(Service), *made_anew])))
    scope = stack.enter_context(container.enter_scope())
    names = {"container": container, "scope": scope, "Service": Service, "Top": Top}
    return Way("container.get(Service)", "scope.get(Top)", names)


_PEERS: Final = {"dishka": _dishka, "that-depends": _that_depends, "wireup": _wireup}
