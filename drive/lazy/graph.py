"""What depends on what in a container."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import dropwhile
from operator import is_not
from typing import Any, Final

from dependency_injector import containers, providers

from drive.lazy.replaced import check_instance

Provider = Any  # providers are of many kinds, and what they have in common is typed too widely to help

# What has a meaning of its own where mermaid expects the name of a node.
_MERMAID_WORDS: Final = frozenset(
    {"call", "class", "classDef", "click", "default", "end", "flowchart", "graph", "href", "interpolate"}
    | {"linkStyle", "style", "subgraph"}
)


class Graph:
    """A container's providers, the anonymous ones between them included, each with a name and a path to it.

    Reading it builds nothing. Where a provider is overridden, what it was replaced by counts.
    """

    def __init__(self, container: containers.Container) -> None:
        check_instance(container)
        self.names = dict(named(container.providers))
        """The providers that have a name, by it; those of nested containers as `nested.name`."""
        found, _ = walk(self.names.values(), needed)
        self.providers = [one for one in found if not isinstance(one, providers.Container)]
        """All of them, each after what it needs."""
        self._names = {provider: name for name, provider in reversed(self.names.items())}
        self._parents = self._nearest_parents()

    def name(self, provider: Provider) -> str:
        """Return the name in the container, or for an anonymous provider that of what it provides."""
        name = self._names.get(provider, "")
        if name and not _is_private(name):
            return name
        if isinstance(provider, providers.AttributeGetter):
            return f"{self.name(provider.provides)}.{provider.name}"
        if isinstance(provider, providers.ConfigurationOption):
            return str(provider.get_name())
        # A dependency would answer for what stands over it.
        made = None if isinstance(provider, providers.Dependency) else getattr(provider, "provides", None)
        if providers.is_provider(made):
            return self.name(made)
        return name or str(getattr(made, "__name__", type(provider).__name__))

    def path(self, provider: Provider) -> str:
        """Return how the provider is reached: `handlers → uploads → accounts`, from something that nothing needs."""
        way = [provider]
        while (parent := self._parents.get(way[-1])) is not None:
            way.append(parent)
        return self.arrows(reversed(way))

    def arrows(self, way: Iterable[Provider]) -> str:
        """Write a way through the graph: `handlers → uploads`; `x` and `x.provided` are one station of it."""
        names = [self.name(provider) for provider in way]
        return " → ".join(name for name, before in zip(names, ["", *names], strict=False) if name != before)

    def cycles(self) -> list[list[Provider]]:
        """Return providers that cannot be built since they need each other, each time as the way around."""
        return walk(self.providers, resolved)[1]

    def mermaid(self) -> str:
        """Return the graph as a mermaid flowchart of the named providers; anonymous ones are drawn through."""
        shown = {name: provider for name, provider in self.names.items() if not _is_private(name)}
        nodes = _nodes(shown)
        lines = ["flowchart LR"]
        for name, provider in shown.items():
            lines.append(f'    {nodes[name]}["{name}<br/><small>{type(provider).__name__}</small>"]')
            lines += [f"    {nodes[name]} --> {nodes[other]}" for other in self._shown_needs(provider, shown)]
        return "\n".join(lines) + "\n"

    def _shown_needs(self, provider: Provider, shown: dict[str, Provider]) -> list[str]:
        found: dict[str, None] = {}
        waiting, seen = deque(needed(provider)), set()
        while waiting:
            one = waiting.popleft()
            name = self._names.get(one, "")
            if name in shown:
                found[name] = None
            elif one not in seen:
                seen.add(one)
                waiting.extend(needed(one))
        return list(found)

    def _nearest_parents(self) -> dict[Provider, Provider]:
        """Return, for each provider that something needs, the one through which a root reaches it soonest."""
        parents: dict[Provider, Provider] = {}
        needed_by_some = {one for provider in self.providers for one in needed(provider)}
        waiting = deque(one for one in self.providers if one not in needed_by_some)
        seen = set(waiting)
        while waiting:
            provider = waiting.popleft()
            for one in needed(provider):
                if one not in seen:
                    seen.add(one)
                    parents[one] = provider
                    waiting.append(one)
        return parents


def named(declared: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Provider]]:
    """Yield what has a name, with it: a container's providers, and as `nested.name` those of nested containers."""
    for name, provider in declared.items():
        if isinstance(provider, providers.Container | providers.DependenciesContainer):
            nested: Any = provider.providers
            yield from named(nested, f"{prefix}{name}.")
        elif not isinstance(provider, providers.Self):
            yield prefix + name, provider


def related(provider: Provider) -> list[Provider]:
    """Return all that a provider was declared with, and what overrides it."""
    return [one for one in provider.related if one is not None]


def needed(provider: Provider) -> list[Provider]:
    """Return what a provider was declared with; of an overridden one, what replaced it."""
    if provider.overridden:
        return [provider.last_overriding]
    return [one for one in related(provider) if not isinstance(one, providers.Container)]


def resolved(provider: Provider) -> list[Provider]:
    """Return what is called when a provider is called: not what it passes on for others to call."""
    if isinstance(provider, providers.Delegate | providers.Object):
        return []
    return [one for one in needed(provider) if not providers.is_delegated(one)]


def walk(
    roots: Iterable[Provider], edges: Callable[[Provider], list[Provider]]
) -> tuple[list[Provider], list[list[Provider]]]:
    """Follow the edges from the roots, however deep. Return all that was found, needs first, and the cycles."""
    found: dict[Provider, None] = {}
    cycles = []
    for root in roots:
        way = {} if root in found else {root: iter(edges(root))}
        while way:
            one = next(next(reversed(way.values())), None)
            if one is None:
                found[way.popitem()[0]] = None
            elif one in way:
                cycles.append(list(dropwhile(partial(is_not, one), way)))
            elif one not in found:
                way[one] = iter(edges(one))
    return list(found), cycles


def _is_private(name: str) -> bool:
    return name.rpartition(".")[2].startswith("_")


def _nodes(names: Iterable[str]) -> dict[str, str]:
    """Return what mermaid calls each: a word that is its own and none of mermaid's."""
    nodes: dict[str, str] = {}
    taken = set(_MERMAID_WORDS)
    for name in names:
        node = name.replace(".", "_")
        while node in taken:
            node += "_"
        taken.add(node)
        nodes[name] = node
    return nodes
