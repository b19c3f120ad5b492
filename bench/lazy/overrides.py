"""
What replacing a part of a container costs, beside the other frameworks.

One use in a test: begin the override, ask for what depends on the replaced part, end it, ask again. How far the replacement reaches is tried at each run, not claimed:

| | |
|---|---|
| reaches what is held | objects that were built and are held anywhere see the replacement, and are as they were afterwards |
| reaches what is asked for anew | what depends on the replaced is built again when the container is asked; what holds the old objects keeps the original |
| the rest is dropped | after the override, the container builds everything again: another pool, another cache |
| reaches nothing that is built | only what is built for the first time sees it |

So only rows of one kind do the same work. dishka has no override in a container that exists; its way is another container, made with the replacement.

**Drive's own container** is the one that `drive serve` runs, with every provider built and none opened.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Object, Singleton

from bench.lazy.graph import Accounts, Client, FakeAccounts, Files
from bench.lazy.peers import is_installed
from bench.measure import Effort, by_name, in_child, interleaved
from bench.tables import Table, compared
from drive.lazy import override

if TYPE_CHECKING:
    from collections.abc import Iterator

_OVERRIDE: Final = "override(container, accounts=fake)"
_INJECTOR: Final = "dependency-injector's override"
_RESET: Final = "the same in reset_singletons()"


@dataclass(frozen=True, slots=True)
class Way:
    """How one framework replaces: `replacing` begins and ends it, `files` asks for what depends on the replaced."""

    replacing: Callable[[], AbstractContextManager[Any]]
    files: Callable[[Any], Files]
    """Takes what `replacing` gave."""
    held: Files
    """What was built before, and is held somewhere."""


class Container(DeclarativeContainer):
    """Two things that depend on the one that is replaced."""

    accounts = Singleton(Accounts)
    client = Singleton(Client, accounts)
    files = Singleton(Files, client)


def tables(effort: Effort) -> list[Table]:
    """Measure all ways in each round, one use after another, taking turns."""
    small, own = [], []
    notes: dict[str, str] = {}
    for _ in range(effort.rounds):
        times, notes = in_child(small_round, effort.count(500))
        small.append(times)
        own.append(in_child(own_round, effort.count(100)))
    about = f"Begin, ask for what depends on the replaced, end, ask again; the ratio is to: {_OVERRIDE}."
    own_notes = {name: notes[name] for name in own[0]}
    return [
        Table("Replacing one part of three, all built", about, compared(by_name(small), _OVERRIDE, "µs", notes=notes)),
        Table(
            "Replacing the accounts of Drive's own container, all built",
            about,
            compared(by_name(own), _OVERRIDE, "µs", notes=own_notes),
        ),
    ]


def small_round(turns: int) -> tuple[dict[str, float], dict[str, str]]:
    """Return each way's microseconds on a container of three, and how far the replacement reaches."""
    fake = FakeAccounts()
    with ExitStack() as stack:
        ways = {_OVERRIDE: _override(fake), _INJECTOR: _injector(fake), _RESET: _reset(fake)}
        ways |= {name: make(fake, stack) for name, (peer, make) in _PEERS.items() if is_installed(peer)}
        reach = {name: _reach(way, fake) for name, way in ways.items()}
        return interleaved({name: _timed(way.replacing, way.files) for name, way in ways.items()}, turns), reach


def own_round(turns: int) -> dict[str, float]:
    """Return the microseconds on the container that `drive serve` runs."""
    from drive.containers import Container as Drive
    from drive.settings import Settings

    drive = Drive(settings=Settings())
    for provider in drive.providers.values():
        provider()
    accounts, uploads = drive.accounts, drive.uploads
    fake = Object(FakeAccounts())
    ways: dict[str, Callable[[], AbstractContextManager[Any]]] = {
        _OVERRIDE: lambda: override(drive, accounts=fake),
        _INJECTOR: lambda: accounts.override(fake),
        _RESET: lambda: _in_reset(drive, accounts, fake),
    }
    return interleaved({name: _timed(replacing, lambda _: uploads()) for name, replacing in ways.items()}, turns)


def _timed(replacing: Callable[[], AbstractContextManager[Any]], ask: Callable[[Any], object]) -> Callable[[], float]:
    def use() -> float:
        started = perf_counter()
        with replacing() as given:
            ask(given)
        ask(None)
        return (perf_counter() - started) * 1e6

    ask(None)  # builds
    return use


def _reach(way: Way, fake: Accounts) -> str:
    """Try it: who sees the replacement?"""
    with way.replacing() as given:
        if way.held.client.accounts is fake:
            reach = "reaches what is held"
        elif way.files(given).client.accounts is fake:
            reach = "reaches what is asked for anew"
        else:
            reach = "reaches nothing that is built"
    again = way.files(None)
    if again.client.accounts is fake:
        raise RuntimeError("The replacement is still there after its end: this is no test override.")
    return reach if again is way.held else f"{reach}; the rest is dropped"


def _override(fake: Accounts) -> Way:
    container = Container()
    return Way(lambda: override(container, accounts=fake), lambda _: container.files(), container.files())


def _injector(fake: Accounts) -> Way:
    container = Container()
    return Way(lambda: container.accounts.override(fake), lambda _: container.files(), container.files())


def _reset(fake: Accounts) -> Way:
    container = Container()
    return Way(lambda: _in_reset(container, container.accounts, fake), lambda _: container.files(), container.files())


@contextmanager
def _in_reset(container: Any, accounts: Any, fake: Any) -> "Iterator[None]":
    with container.reset_singletons(), accounts.override(fake):
        yield


def _dishka(fake: Accounts, stack: ExitStack) -> Way:
    from dishka import Provider, Scope, make_container  # type: ignore[import-not-found] # only in .venv-bench

    provider, faking = Provider(scope=Scope.APP), Provider(scope=Scope.APP)
    for one in (Accounts, Client, Files):
        provider.provide(one)
    faking.provide(lambda: fake, provides=Accounts, override=True)
    container = stack.enter_context(closing(make_container(provider)))
    return Way(
        lambda: closing(make_container(provider, faking)),
        lambda given: (given or container).get(Files),
        container.get(Files),
    )


def _that_depends(fake: Accounts, tear_down: bool) -> Way:  # noqa: FBT001 - as its own argument
    from that_depends import BaseContainer, providers  # type: ignore[import-not-found] # only in .venv-bench

    class Peer(BaseContainer):  # type: ignore[misc] # its type is not known here
        accounts = providers.Singleton(Accounts)
        client = providers.Singleton(Client, accounts.cast)
        files = providers.Singleton(Files, client.cast)

    @contextmanager
    def replacing() -> "Iterator[None]":
        Peer.accounts.override_sync(fake, tear_down_children=tear_down)
        yield
        Peer.accounts.reset_override_sync(tear_down_children=tear_down)

    return Way(replacing, lambda _: Peer.files.resolve_sync(), Peer.files.resolve_sync())


def _wireup(fake: Accounts, stack: ExitStack) -> Way:
    from wireup import create_sync_container, injectable  # type: ignore[import-not-found] # only in .venv-bench

    parts = [injectable(one) for one in (Accounts, Client, Files)]
    container = stack.enter_context(closing(create_sync_container(injectables=parts)))
    return Way(
        lambda: container.override({Accounts: fake}),
        lambda _: container.get(Files),
        container.get(Files),
    )


_PEERS: Final = {
    "dishka, another container": ("dishka", _dishka),
    "that-depends": ("that-depends", lambda fake, _: _that_depends(fake, tear_down=False)),
    "that-depends, tear_down_children": ("that-depends", lambda fake, _: _that_depends(fake, tear_down=True)),
    "wireup": ("wireup", _wireup),
}
