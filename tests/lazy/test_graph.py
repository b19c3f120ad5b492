"""What is drawn and named of containers, and the way through them."""

import re
from typing import Any

import pytest
from dependency_injector import providers
from dependency_injector.containers import DeclarativeContainer, DynamicContainer
from dependency_injector.providers import (
    Callable,
    Configuration,
    Delegate,
    Dependency,
    Dict,
    Factory,
    List,
    Object,
    Singleton,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from drive.containers import Container as DriveContainer
from drive.lazy import Channels, Once, Stub
from drive.lazy.graph import Graph, needed, resolved, walk
from drive.lazy.overriding import override
from drive.settings import Settings


class Part:
    """Takes anything."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("reading the graph must not build anything")


async def opening(*args: Any, **kwargs: Any) -> None:
    raise AssertionError


class Inner(DeclarativeContainer):
    db = Singleton(Part)
    _secret = Singleton(Part, db)
    repo = Singleton(Part, _secret)


class Outer(DeclarativeContainer):
    settings = Singleton(Part)
    _s = settings.provided
    gateways: Any = providers.DependenciesContainer()
    inner: Any = providers.Container(Inner)
    channels = Singleton(Channels, max_connections=_s.most)
    stub: "Stub[Any]" = Stub("module:Stub", channels, endpoint=_s.endpoint)
    pool: "Once[Any]" = Once(opening, close=opening, url=_s.url)
    service = Factory(Part, stub, List(Dict(a=pool)), inner.repo, make=inner.db.provider, mail=gateways.mail)
    alias = service


@pytest.fixture
def graph() -> Graph:
    return Graph(Outer())


def test_names(graph: Graph) -> None:
    """Nested containers' providers are named as they are reached."""
    public = [name for name in graph.names if "_" not in name]
    assert public == [
        "settings",
        "gateways.mail",
        "inner.db",
        "inner.repo",
        "channels",
        "stub",
        "pool",
        "service",
        "alias",
    ]


def test_a_provider_is_known_by_its_name_or_by_what_it_makes() -> None:
    container: Any = Outer()
    config = Configuration("config")
    container.a = Singleton(Part)
    container._private = Singleton(Part)
    container._attribute = container.a.provided.x
    container.user = List(Part, config.db.url, container.a.provided.b.c["d"])
    graph = Graph(container)
    names = {
        "a": container.a,
        "service": container.alias,
        "inner.repo": container.inner.repo,
        "settings": container._s,
        "settings.most": container.channels.kwargs["max_connections"],
        "a.x": container._attribute,
        "_private": container._private,
        "Part": Singleton(Part),
        "opening": Singleton(opening),
        "List": List(),
        "Dependency": Dependency(default=Object(1)),
        "config.db.url": config.db.url,
        "inner.db": Delegate(container.inner.db),
        "a.b.c": container.user.args[2],
    }
    assert {name: graph.name(provider) for name, provider in names.items()} == {name: name for name in names}


def test_all_that_something_leads_to_is_in_it_after_what_it_needs(graph: Graph) -> None:
    place = {provider: place for place, provider in enumerate(graph.providers)}
    assert len(place) == len(graph.providers)
    assert set(graph.names.values()) <= place.keys()
    for provider in graph.providers:
        assert not isinstance(provider, providers.Container)
        assert all(place[one] < place[provider] for one in needed(provider))


def test_the_path_is_the_shortest_from_what_nothing_needs(graph: Graph) -> None:
    names = graph.names
    assert graph.path(names["service"]) == "service"
    assert graph.path(names["inner.db"]) == "service → inner.db"
    assert graph.path(names["inner._secret"]) == "service → inner.repo → inner._secret"
    assert graph.path(names["pool"]) == "service → List → Dict → pool"
    assert graph.path(names["settings"]) == "service → stub → settings.endpoint → settings"


def test_what_stands_over_a_provider_counts_and_not_what_is_below() -> None:
    container: Any = Outer(settings=Singleton(Part, Singleton(Channels)))
    below = Singleton(Part)
    container.channels.set_args(below)
    with override(container, channels=Factory(Part, container.inner.db)):
        graph = Graph(container)
        assert below not in graph.providers
        assert graph.path(container.inner.db) == "service → inner.db"
        assert Graph(container).mermaid().count("channels --> inner_db\n") == 1
    assert below in Graph(container).providers


def test_it_is_drawn_as_a_mermaid_flowchart(graph: Graph) -> None:
    """Private names are left out, and anonymous providers drawn through, as are they."""
    assert graph.mermaid() == (
        "flowchart LR\n"
        '    settings["settings<br/><small>Singleton</small>"]\n'
        '    gateways_mail["gateways.mail<br/><small>Dependency</small>"]\n'
        '    inner_db["inner.db<br/><small>Singleton</small>"]\n'
        '    inner_repo["inner.repo<br/><small>Singleton</small>"]\n'
        "    inner_repo --> inner_db\n"
        '    channels["channels<br/><small>Singleton</small>"]\n'
        "    channels --> settings\n"
        '    stub["stub<br/><small>Stub</small>"]\n'
        "    stub --> channels\n"
        "    stub --> settings\n"
        '    pool["pool<br/><small>Once</small>"]\n'
        "    pool --> settings\n"
        '    service["service<br/><small>Factory</small>"]\n'
        "    service --> stub\n"
        "    service --> inner_repo\n"
        "    service --> gateways_mail\n"
        "    service --> inner_db\n"
        "    service --> pool\n"
        '    alias["alias<br/><small>Factory</small>"]\n'
        "    alias --> stub\n"
        "    alias --> inner_repo\n"
        "    alias --> gateways_mail\n"
        "    alias --> inner_db\n"
        "    alias --> pool\n"
    )


def nodes_of(drawn: str) -> dict[str, str]:
    """Read a drawing as mermaid does: each node's name with its label. Fails where a line is neither node nor edge."""
    first, *lines = drawn.splitlines()
    assert first == "flowchart LR"
    nodes: dict[str, str] = {}
    ends: set[str] = set()
    for line in lines:
        if node := re.fullmatch(r'    (\w+)\["([^"]+)<br/><small>\w+</small>"\]', line):
            assert node[1] not in nodes
            nodes[node[1]] = node[2]
        else:
            edge = re.fullmatch(r"    (\w+) --> (\w+)", line)
            assert edge, line
            ends.update(edge.groups())
    assert ends <= nodes.keys()
    return nodes


def test_nodes_are_named_apart_and_not_as_mermaids_own_words() -> None:
    class Inner(DeclarativeContainer):
        b = Singleton(Part)
        end = Singleton(Part)

    container: Any = DynamicContainer()
    container.a_b = container.end = Singleton(Part)
    container.end_ = Singleton(Part, container.end)
    container.a = providers.Container(Inner)
    container.style = Singleton(Part, container.a.b)
    container.ünïcode = Singleton(Part)
    nodes = nodes_of(Graph(container).mermaid())
    assert sorted(nodes.values()) == ["a.b", "a.end", "a_b", "end", "end_", "style", "ünïcode"]
    assert not nodes.keys() & {"end", "style", "graph", "class"}


def test_drive_is_drawn() -> None:
    container: Any = DriveContainer(settings=Object(Settings()))
    drawn = Graph(container).mermaid()
    nodes = nodes_of(drawn)
    assert set(nodes.values()) == {name for name in container.providers if not name.startswith("_")}
    assert "    uploads --> accounts_client\n" in drawn
    assert "    handlers --> uploads\n" in drawn


def test_reading_it_builds_and_changes_nothing() -> None:
    container: Any = Outer()
    for _ in range(2):
        graph = Graph(container)
        graph.mermaid()
        graph.cycles()
    for provider in graph.providers:
        assert provider.is_async_mode_undefined()


def test_what_is_passed_on_is_needed_but_not_resolved() -> None:
    a, b = Singleton(Part), Singleton(Part)
    for passed_on in (Delegate(a), Object(a)):
        assert needed(passed_on) == [a]
        assert resolved(passed_on) == []
    b.set_args(providers.DelegatedSingleton(Part), a)
    assert resolved(b) == [a]
    attribute = a.provided.x
    assert resolved(Callable(Part, attribute)) == [attribute]
    assert needed(Delegate()) == []


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=4), max_size=8))
def test_a_walk_finds_all_in_order_and_a_cycle_where_there_is_one(edges: dict[int, list[int]]) -> None:
    found, cycles = walk(edges, lambda one: edges.get(one, []))
    assert sorted(found) == sorted({*edges, *(one for ones in edges.values() for one in ones)})
    for cycle in cycles:
        assert len(set(cycle)) == len(cycle)
        for one, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert following in edges[one]
    place = {one: place for place, one in enumerate(found)}
    is_ordered = all(place[following] < place[one] for one in edges for following in edges[one])
    assert is_ordered == (not cycles)


def test_a_walk_goes_as_deep_as_it_has_to() -> None:
    found, cycles = walk([0], lambda one: [one + 1] if one < 100_000 else [0])
    assert found == list(range(100_000, -1, -1))
    assert [len(cycle) for cycle in cycles] == [100_001]
