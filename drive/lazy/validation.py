"""Find what is wrong with a container before the first request does."""

import functools
import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, is_dataclass
from difflib import get_close_matches
from itertools import chain
from types import FunctionType, SimpleNamespace
from typing import Any, Final, get_type_hints

from dependency_injector import containers, providers, resources

from drive.lazy.channels import Channels
from drive.lazy.endpoint import Endpoint, EndpointError
from drive.lazy.graph import Graph, Provider, needed, resolved, walk
from drive.lazy.once import Once
from drive.lazy.part import Named, Part
from drive.lazy.sources import nearest_module, source_of
from drive.lazy.stub import Stub

_ABSTRACT: Final = (
    providers.AbstractFactory,
    providers.AbstractCallable,
    providers.AbstractCoroutine,
    providers.AbstractSingleton,
)
# What gives the arguments that it is called with to what it calls.
_PASSING_ON: Final = (
    providers.Aggregate,
    providers.AttributeGetter,
    providers.ItemGetter,
    providers.ProvidedInstance,
    providers.Selector,
)

_FAILED: Final = object()

# What is wrong, and what to write.
Wrong = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what, and what to write."""

    path: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}. {self.hint}"


_AS_IT_IS: Final = "Write package.module:Class, as it is"


class ContainerError(Exception):
    """All that is wrong with a container."""

    def __init__(self, problems: list[Problem]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"The container has {count}:", *(f"  {problem}" for problem in problems)]))
        self.problems = problems


def validate(container: containers.Container, *, importing: bool = True) -> None:
    """Check every provider: nothing undefined, no cycle, arguments that fit, endpoints, stub classes and TLS files.

    Nothing is opened or connected, and no generated module imported. Settings that endpoints depend on are read.
    Where something may be right and only running it would tell, it is not reported.

    Args:
        container: what to check.
        importing: whether to import the classes of all `Part`s, so that their arguments are checked, too. Without it
            a class that nobody has imported is looked for in its module's source: what a service that starts has
            time for, where a test has done the rest.

    Raises:
        ContainerError: with all problems.

    """
    inspection = _Inspection(Graph(container))
    if importing:
        inspection.import_parts()
    inspection.run()
    if inspection.problems:
        raise ContainerError(inspection.problems)


class _Inspection:
    """Collects the problems of a container."""

    def __init__(self, graph: Graph) -> None:
        self.problems: list[Problem] = []
        self._graph = graph
        self._injected = _injected(graph)
        self._useless: set[Provider] = set()  # they, or what they need, have a problem: they cannot be called
        self._source_of = functools.cache(source_of)
        self._unimportable: dict[str, Exception] = {}  # by module

    def import_parts(self) -> None:
        named: list[Any] = [one.provides for one in self._graph.providers if isinstance(one, Part)]
        for module in {one.module for one in named if one is not None}:
            try:
                importlib.import_module(module)
            except Exception as error:  # noqa: BLE001 - whatever keeps it from being imported is for the report
                self._unimportable[module] = error

    def run(self) -> None:
        for cycle in self._graph.cycles():
            self._useless.update(cycle)
            way = self._graph.arrows([*cycle, cycle[0]])
            way = way if "→" in way else f"{way} → {way}"
            self.problems.append(Problem(way, "these need each other", "Pass one of them as a factory: name.provider"))
        for provider in self._graph.providers:
            if not self._useless.isdisjoint(needed(provider)):
                self._useless.add(provider)
            for what, hint in [] if provider.overridden else list(self._wrong(provider)):
                self._report(provider, what, hint)

    def _report(self, provider: Provider, what: str, hint: str) -> None:
        self._useless.add(provider)
        self.problems.append(Problem(self._graph.path(provider), what, hint))

    def _wrong(self, provider: Provider) -> Wrong:
        if isinstance(provider, providers.Dependency):
            if not provider.is_defined:
                yield "it is not defined", "Pass it to the container, or give it a default"
        elif isinstance(provider, _ABSTRACT):
            yield "it is abstract", "Override it with a provider of what is to be made"
        elif isinstance(provider, providers.AttributeGetter):
            yield from _absent_attribute(provider)
        elif isinstance(provider, Stub):
            yield from self._wrong_stub(provider)
        elif isinstance(provider, Once):
            yield from _wrong_once(provider)
        elif isinstance(provider, providers.BaseSingleton | providers.BaseResource):
            yield from self._wrong_singleton(provider)
        elif isinstance(provider, providers.Factory | providers.Callable):
            # One that is not injected may be given the rest by who calls it.
            yield from _misfit(
                provider.provides, provider.args, provider.kwargs, is_complete=provider in self._injected
            )

    def _wrong_singleton(self, provider: Provider) -> Wrong:
        made = _made_by(provider)
        if made is None and isinstance(provider, Part):
            yield from self._wrong_name(provider.provides)
        else:
            yield from _misfit(made, provider.args, provider.kwargs)
        if inspect.isclass(made) and issubclass(made, Channels):
            yield from self._missing_files(provider)

    def _wrong_stub(self, provider: Provider) -> Wrong:
        if not provider.args:
            yield "it is empty", "Write Stub('package.module_pb2_grpc:ServiceStub', channels, endpoint=…)"
            return
        path, channels, endpoint, timeout_s = provider.args
        yield from self._wrong_channels(channels)
        if isinstance(path, str):
            yield from self._wrong_class(path)
            yield from self._wrong_methods(path, provider.kwargs.get("idempotent", ()))
        else:
            yield f"its path is {path!r}", "Name the class as text: 'package.module_pb2_grpc:ServiceStub'"
        url = self._given(endpoint) if providers.is_provider(endpoint) else endpoint
        if url is not _FAILED:
            yield from _wrong_endpoint(url)
        seconds = self._given(timeout_s) if providers.is_provider(timeout_s) else timeout_s
        if seconds not in {_FAILED, None} and not (isinstance(seconds, int | float) and seconds > 0):
            yield f"its timeout_s is {seconds!r}", "Give it a number of seconds above 0, or None"

    def _wrong_channels(self, channels: Provider) -> Wrong:
        if channels is None:
            yield "it has no channels", "Write Stub(path, channels, endpoint=…)"
        elif not providers.is_provider(channels):
            yield "its channels are no provider", "Write channels = Singleton(Channels), and pass that"
        elif isinstance(channels, providers.Factory) and not bool(channels.overridden):
            yield "its channels are made anew for each stub, and with them the connections", "Make them a Singleton"

    def _wrong_class(self, path: str) -> Wrong:
        """Look for the generated class in the module's source: importing it would import gRPC."""
        module, _, name = path.partition(":")
        source = self._source_of(module)
        if source is None:
            yield f"there is no module {module!r}", nearest_module(module, "Write package.module_pb2_grpc:ServiceStub")
            return
        classes = re.findall(r"^class (\w+Stub)\b", source, re.MULTILINE)
        if source and not re.search(rf"\b{re.escape(name or '?')}\b", source):
            what = f"{module} has no class {name!r}" if name else f"{path!r} names no class after a colon"
            yield what, _nearest(name, classes)
        elif module.endswith("_pb2"):
            yield f"{module} has messages and no stubs", f"Did you mean {module}_grpc?"
        elif (
            name not in classes
            and module.endswith("_pb2_grpc")
            and re.search(rf"^class {name}\b", source, re.MULTILINE)
        ):
            yield f"{name} is no stub", _nearest(name, classes)

    def _wrong_name(self, named: Any) -> Wrong:
        """Tell why a `Part` has no class to look at; nothing where it only was not imported."""
        if named is None:
            yield "it is empty", "Write Part('package.module:Class', …)"
            return
        module, name = named.module, named.__name__
        source = self._source_of(module)
        if module in self._unimportable:
            error = self._unimportable[module]
            yield f"{module} cannot be imported ({type(error).__name__})", str(error)
        elif source is None:
            yield f"there is no module {module!r}", nearest_module(module, _AS_IT_IS)
        elif named.is_imported or (source and not (name.isidentifier() and re.search(rf"\b{name}\b", source))):
            yield f"{module} has no {name!r}", _AS_IT_IS

    def _wrong_methods(self, path: str, names: tuple[str, ...]) -> Wrong:
        """Look for the methods in the generated class, as the generator writes them."""
        module, _, cls = path.partition(":")
        *_, body = re.split(rf"^class {re.escape(cls)}\b.*:$", self._source_of(module) or "", flags=re.MULTILINE)
        methods = re.findall(r"self\.(\w+) = channel\.", body.partition("\nclass ")[0])
        for name in names if methods else ():
            if name not in methods:
                yield f"{cls} has no method {name!r} to be idempotent", _nearest(name, methods)

    def _missing_files(self, provider: Provider) -> Wrong:
        channels = self._given(provider)
        for file in [] if channels is _FAILED else channels.tls.missing_files():
            yield f"the file {file} is missing", "Put it there, or correct the setting"

    def _given(self, provider: Provider) -> Any:
        """Return what a provider gives, `_FAILED` if it cannot give it; then what fails is reported, once."""
        if provider in self._useless:
            return _FAILED
        try:
            return provider()
        except Exception:  # noqa: BLE001 - whatever keeps a setting from being read is a problem of the container
            for one in walk([provider], resolved)[0]:
                if not self._works(one):
                    break
            return _FAILED

    def _works(self, provider: Provider) -> bool:
        if provider in self._useless:
            return False
        try:
            provider()
        except Exception as error:  # noqa: BLE001 - as above
            self._report(provider, f"it cannot be made ({type(error).__name__})", str(error))
            return False
        return True


def _injected(graph: Graph) -> set[Provider]:
    """Return what others call without arguments."""
    injected: set[Provider] = set()
    for provider in reversed(graph.providers):  # before what it needs
        passes_on = bool(provider.overridden) or isinstance(provider, _PASSING_ON)
        if not passes_on or provider in injected:
            injected.update(resolved(provider))
    return injected


def _wrong_once(provider: Provider) -> Wrong:
    if not provider.args:
        yield "it is empty", "Write Once(open_it, close=close_it, …)"
        return
    open_, close = provider.args
    yield from _misfit(open_, (), provider.kwargs)
    yield from _misfit(close, ("what was opened",), {})


def _misfit(made: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_complete: bool = True) -> Wrong:
    """Compare arguments with the parameters that they are for."""
    if made is None:
        yield "it has nothing to make", "Name a class or a function"
        return
    parameters = _parameters(made)
    if parameters is not None:
        call = _Call(_name_of(made), parameters, len(args), list(kwargs))
        yield from call.wrong_positions()
        yield from call.unknown_names()
        if is_complete:
            yield from call.missing()


class _Call:
    """Arguments beside the parameters that they are for."""

    def __init__(self, made: str, parameters: list[inspect.Parameter], positions: int, names: list[str]) -> None:
        by_position = [one.name for one in parameters if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}]
        self._made = made
        self._parameters = parameters
        self._positions = positions
        self._most_positions = len(by_position)
        self._filled = by_position[:positions]
        self._by_name = [one.name for one in parameters if one.kind in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}]
        self._named = [name for name in names if name in self._by_name]
        self._unknown = [name for name in names if name not in self._by_name]
        self._free = [name for name in self._by_name if name not in {*self._filled, *names}]

    def wrong_positions(self) -> Wrong:
        if self._positions > self._most_positions and not self._takes_any(inspect.Parameter.VAR_POSITIONAL):
            what = f"{self._made} takes {self._most_positions} positional arguments, not {self._positions}"
            yield what, "Name them, or leave them out"
        for name in self._named:
            if name in self._filled:
                yield f"{self._made} is given {name!r} twice", "Leave one of them out"

    def unknown_names(self) -> Wrong:
        if not self._takes_any(inspect.Parameter.VAR_KEYWORD):
            for name in self._unknown:
                yield f"{self._made} takes no argument {name!r}", _nearest(name, self._free)

    def missing(self) -> Wrong:
        """Yield what is required and not given, but not what is given under a name that is nearly right."""
        meant = {near for name in self._unknown for near in get_close_matches(name, self._free, n=1)}
        for one in self._parameters:
            is_optional = one.default is not one.empty or one.kind in {one.VAR_POSITIONAL, one.VAR_KEYWORD}
            if not is_optional and one.name not in {*self._filled, *self._named, *meant}:
                how = "by its position" if one.kind is one.POSITIONAL_ONLY else f"{one.name}=…"
                yield f"{self._made} needs the argument {one.name!r}", f"Pass it {how}"

    def _takes_any(self, kind: Any) -> bool:
        return any(one.kind is kind for one in self._parameters)


def _parameters(made: Any) -> list[inspect.Parameter] | None:
    """Return what a class or function takes; None where nobody can tell, as with some that are built in."""
    if providers.is_provider(made):
        return None
    if inspect.isclass(made) and issubclass(made, resources.Resource | resources.AsyncResource):
        init: Any = made.init
        made = functools.partial(init, None)  # as what it belongs to
    # A generator that a Resource made a context manager of takes what it took; other decorators may add arguments.
    wrapped = getattr(made, "__wrapped__", None)
    takes_the_same = inspect.isgeneratorfunction(wrapped) or inspect.isasyncgenfunction(wrapped)
    try:
        return list(inspect.signature(made, follow_wrapped=takes_the_same).parameters.values())
    except (TypeError, ValueError):
        return None


def _name_of(made: Any) -> str:
    made = made.func if isinstance(made, functools.partial) else made
    return str(getattr(made, "__name__", type(made).__name__))


def _absent_attribute(provider: Provider) -> Wrong:
    """Check `settings.provided.x` against the class of what is provided, where that is known."""
    source, name = provider.provides, provider.name
    given = _classes_given(source.provides) if isinstance(source, providers.ProvidedInstance) else iter(())
    cls = next(given, None)
    if cls is not None and not any(_may_have(one, name) for one in chain([cls], given)):
        yield f"there is no attribute {name!r}", _nearest(name, {*dir(cls), *_annotated(cls)})


def _classes_given(provider: Provider) -> Iterator[type]:
    """Yield what the class of what a provider gives may be; nothing where nobody can tell."""
    if provider.overridden:
        yield from _classes_given(provider.last_overriding)
    elif type(provider) is providers.Object:
        yield type(provider())
    elif not isinstance(provider, providers.Dependency):
        made = _made_by(provider)
        if inspect.isclass(made):
            yield made
        elif inspect.isfunction(made) and inspect.isclass(annotated := _return_type(made)):
            yield from _with_subclasses(annotated)


def _made_by(provider: Provider) -> Any:
    """Return the class or function that a provider calls; None where it has none, or none that is imported."""
    made = getattr(provider, "provides", None)
    if isinstance(made, Named):
        return getattr(sys.modules[made.module], made.__name__, None) if made.is_imported else None
    return made


def _with_subclasses(cls: Any) -> Iterator[type]:
    yield cls
    for one in cls.__subclasses__():
        yield from _with_subclasses(one)


def _may_have(cls: Any, name: str) -> bool:
    """Tell whether an object of this class may have an attribute: only if it is closed to others can it be told."""
    is_any = hasattr(cls, "__getattr__") or inspect.isabstract(cls) or getattr(cls, "_is_protocol", False)
    annotated = _annotated(cls)
    if is_any or not annotated or name in annotated or name in dir(cls):
        return True
    # Anybody may give an attribute to an object with a `__dict__`; to a dataclass's only its own methods do.
    members = [one for base in cls.__mro__ for one in vars(base).values() if isinstance(one, FunctionType)]
    words = (word for one in members for word in (*one.__code__.co_names, *one.__code__.co_consts))
    return bool(cls.__dictoffset__) and (not is_dataclass(cls) or name in words)


def _annotated(cls: type) -> set[str]:
    return {name for base in cls.__mro__ for name in getattr(base, "__annotations__", {})}


def _return_type(function: Any) -> Any:
    """Return what a function is annotated to return; None if that cannot be found, as in `TYPE_CHECKING`."""
    annotation = {name: one for name, one in function.__annotations__.items() if name == "return"}
    try:
        return get_type_hints(SimpleNamespace(__annotations__=annotation), function.__globals__).get("return")
    except Exception:  # noqa: BLE001 - an annotation is any expression, and evaluated only now
        return None


def _wrong_endpoint(url: Any) -> Wrong:
    if not isinstance(url, str):
        yield f"its endpoint is {url!r}", "Give it an address, http://host:port"
        return
    try:
        Endpoint.parse(url)
    except EndpointError as error:
        yield "its endpoint cannot be called", str(error)


def _nearest(name: str, known: Iterable[str]) -> str:
    public = sorted({one for one in known if not one.startswith("_")})
    nearest = get_close_matches(name, public, n=1)
    if nearest:
        return f"Did you mean {nearest[0]!r}?"
    return f"It has {', '.join(public)}" if public else "Leave it out"
