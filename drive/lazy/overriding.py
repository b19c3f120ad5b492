"""Replace providers for a while, also for what was built with them before."""

import asyncio
import functools
import gc
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from types import FunctionType, MethodType
from typing import Any, Final, Self, TypeVar

from dependency_injector import containers, providers

from drive.lazy.graph import Graph, Provider, named, related, walk
from drive.lazy.once import Lazy, Once
from drive.lazy.replaced import (
    all_in_force,
    leave_open,
    looking_past,
    may_be_open,
    own,
    own_overrides,
    root_of,
    running,
    seen,
)
from drive.lazy.twins import own_class, prepare_for_twins, take_twin, twins_of

F = TypeVar("F", bound=Callable[..., Any])

# Singletons that keep what they made; abstract ones never make anything.
_KEEPING: Final = (
    providers.Singleton,
    providers.ThreadSafeSingleton,
    providers.ThreadLocalSingleton,
    providers.ContextLocalSingleton,
)
# What the package lets nobody stand over, or only what is its own.
_NOT_REPLACEABLE: Final = (
    providers.AbstractCallable,
    providers.AbstractFactory,
    providers.AbstractSingleton,
    providers.Aggregate,
    providers.Configuration,
    providers.ConfigurationOption,
    providers.Container,
    providers.DependenciesContainer,
)
_changing = threading.RLock()  # reentrant, as a constructor that is called meanwhile may override, too


class OverrideError(Exception):
    """An override that cannot be made, or one that nobody ended."""


class override:  # noqa: N801 - used like a function: `with override(…):`
    """Replace providers until the block ends: `with override(container, accounts=FakeAccounts()):`.

    Also decorates tests, sync and async. Providers are named (`**{"nested.name": fake}` in a nested container), or
    given as `{container.accounts: fake}`.

    Whatever the container gives, and whatever it had built before, sees the replacement. What depends on the original,
    however far away, is constructed again with the replacement. An object that was built before keeps its identity,
    so that it is reached wherever it is held, and has the other's attributes and methods until the end; then it is
    exactly as it was. Two tasks that override at a time each see their own. A task that overrides nothing itself,
    such as one that serves a request, sees the newest. All is checked before anything is changed.

    A replacement is what the provider would give, or a provider. For a `Once` it is the value itself, or an async
    function that opens it. For a factory it may be a class or function, which is then called as the factory was.

    Raises:
        OverrideError: a name is unknown, or something can be replaced by nothing or not by this.

    """

    def __init__(
        self, container: containers.Container, by_provider: Mapping[Provider, Any] | None = None, /, **by_name: Any
    ) -> None:
        self.container = container
        self.root = root_of(container)
        self.replacements = _checked(container, by_provider or {}, by_name)
        self.in_force = False
        self.values: dict[Provider, Callable[..., Any]] = {}
        """What provides in place of a provider, meanwhile: a replacement, or the same with replacements."""
        self.stack: tuple[override, ...] = ()
        """The overrides that this one stands upon, and itself. It has all that they have, also if they end first."""
        self.owner: object = None
        self.had_built: list[tuple[Provider, Any]] = []
        self._made: list[Provider] = []
        self.undecided: set[Provider] = set()
        """Those whose first result, which decides for good whether they are async, must not be a replacement."""

    def __repr__(self) -> str:
        return f"<override of {', '.join(map(Graph(self.container).name, self.replacements))}>"

    def __enter__(self) -> Self:
        with _changing:
            if self.in_force:
                raise OverrideError(f"{self} is in force already. Make another one.")
            below = own(self.root)
            self.stack = (*(below.stack if below else ()), self)
            self.owner = running()
            self.in_force = True
            own_overrides.set((*(one for one in own_overrides.get() if one.in_force), self))
            try:
                self._begin(below)
            except BaseException:
                self.__exit__()
                raise
            all_in_force.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        with _changing:
            if not self.in_force:
                return
            self.in_force = False
            if self in all_in_force:
                all_in_force.remove(self)
            own_overrides.set(tuple(one for one in own_overrides.get() if one.in_force))
            leave_open(self.root, self.opened())
            for provider, instance in self.had_built:
                take_twin(instance, self)
                if instance_of(provider) is not instance:  # reset and built anew meanwhile, with replacements
                    provider.reset()
            for provider in self.values:
                _switch_off(provider, self)
            for provider in self.undecided:
                if provider.is_async_mode_disabled():
                    provider.reset_async_mode()
            self.values, self.stack, self.owner = {}, (), None
            self.had_built, self._made, self.undecided = [], [], set()

    def __call__(self, function: F) -> F:
        """Decorate a test: the override is in force while it runs, each time that it runs."""
        is_generator = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        if is_generator or not inspect.isroutine(function):
            raise OverrideError(f"{function} cannot be decorated: write `with override(…):` inside.")

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            with override(self.container, self.replacements):
                return await function(*args, **kwargs)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with override(self.container, self.replacements):
                return function(*args, **kwargs)

        decorated: Any = run_async if inspect.iscoroutinefunction(function) else run
        return decorated  # type: ignore[no-any-return]

    def opened(self) -> list[Any]:
        """Return what was opened under it, as far as that can be told here."""
        made = [*self._made, *(one for one in self.replacements.values() if providers.is_provider(one))]
        made += [provider for provider, instance in self.had_built if instance_of(provider) is not instance]
        with looking_past():
            return [part for part in map(instance_of, made) if may_be_open(part)]

    def _begin(self, below: "override | None") -> None:
        if below is not None:
            self._inherit(below)
        for provider, replacement in self.replacements.items():
            self._give(provider, _value_of(provider, replacement))
        changed = set(self.replacements)
        owners: dict[int, Provider] = {}
        everything, _ = walk(self.root.providers.values(), related)
        for provider in everything:
            instance = instance_of(provider)
            # What was made by another provider, and only passed on by this one, is not this one's to change.
            is_owner = owners.setdefault(id(instance), provider) is provider
            if not changed.isdisjoint(related(provider)):
                changed.add(provider)
                self._change(provider, instance if is_owner else None)

    def _inherit(self, below: "override") -> None:
        for provider, value in below.values.items():
            self._give(provider, value)
        for provider, instance in below.had_built:
            twins = twins_of(instance)
            if twins is not None and below in twins.by_layer:
                self.had_built.append((provider, instance))
                twins.by_layer[self] = twins.by_layer[below]

    def _give(self, provider: Provider, value: Callable[..., Any]) -> None:
        self.values[provider] = value
        _switch_over(provider, self.root).layers.add(self)

    def _change(self, provider: Provider, instance: Any) -> None:
        """Make a provider that depends on a replaced one give what it makes with the replacement."""
        if provider.is_async_mode_undefined() or any(provider in layer.undecided for layer in all_in_force):
            self.undecided.add(provider)
        if provider in self.values:
            return  # what stands there for it is a provider of its own, and changed if it has to be
        if isinstance(provider, providers.BaseResource) and not _others_over(provider):
            name = Graph(self.root).name(provider)
            raise OverrideError(f"{name} keeps what it was made with. Make it a Once, or override it too.")
        if not isinstance(provider, _KEEPING):
            return  # it makes what it gives at each call
        anew = _not_yet_built(provider)
        self._made.append(anew)
        is_changed = instance is not None and self._give_twin(provider, instance, anew)
        if not is_changed and not _others_over(provider):
            self._give(provider, anew)

    def _give_twin(self, provider: Provider, instance: Any, anew: Provider) -> bool:
        """Let a built object be as if built with the replacements. False where Python cannot do that."""
        twins = twins_of(instance) or prepare_for_twins(instance, self.root)
        if twins is None:
            return False
        self.had_built.append((provider, instance))
        try:
            twin = anew()
        except Exception as error:
            error.add_note(f"while constructing {Graph(self.root).name(provider)} for {self}")
            raise
        if type(twin) is not own_class(instance):
            return False
        twins.by_layer[self] = twin
        return True


def instance_of(provider: Provider) -> Any:
    """Return the instance that a Singleton keeps; None if it was not built. Never builds it.

    The package does not tell, but the garbage collector does: the instance follows the factory that makes it.
    """
    if not isinstance(provider, providers.Singleton | providers.ThreadSafeSingleton):
        return None  # one per thread or context: there is more than one
    referents = gc.get_referents(provider)
    # The last one: whatever overrides the provider comes before.
    place = max(place for place, one in enumerate(referents[:-1]) if isinstance(one, providers.Factory))
    return referents[place + 1]


def _checked(
    container: containers.Container, by_provider: Mapping[Provider, Any], by_name: Mapping[str, Any]
) -> dict[Provider, Any]:
    """Return the replacements by provider, or raise an error with all that is wrong with them."""
    names = dict(named(container.providers))
    everything = set(walk(root_of(container).providers.values(), related)[0]) if by_provider else set()
    problems = [_unknown(name, names) for name in by_name if name not in names]
    problems += [_foreign(one) for one in by_provider if one not in everything]
    given = [*by_provider.items(), *((names[name], fake) for name, fake in by_name.items() if name in names)]
    replacements = dict(given)
    if len(replacements) < len(given):
        problems.append("A provider is given twice.")
    problems += [problem for provider, fake in given for problem in _misfit(provider, fake)]
    if problems:
        raise OverrideError(" ".join(problems))
    return replacements


def _foreign(key: object) -> str:
    if isinstance(key, str):
        return f"{key!r} is a name: write override(container, {key}=…). A key is a provider, container.{key}."
    return f"{key} is not of this container, but of another or of its class. Write container.name."


def _unknown(name: str, names: Mapping[str, Provider]) -> str:
    nearest = get_close_matches(name, names, n=1)
    hint = f"Did you mean {nearest[0]!r}?" if nearest else f"It has {', '.join(sorted(names))}."
    return f"The container has no provider {name!r}. {hint}"


def _misfit(provider: Provider, fake: Any) -> Iterator[str]:
    """Tell why a replacement cannot stand for what the provider gives."""
    if isinstance(provider, _NOT_REPLACEABLE):
        yield f"{provider} cannot be overridden: override what is given it."
    if fake is provider:
        yield f"{provider} cannot be overridden with itself."
    if asyncio.isfuture(fake) or inspect.iscoroutine(fake):
        yield f"{fake} would have to be awaited by whoever is given it: pass what it results in."
    if _is_called(provider, fake) and _is_async(fake) and not _is_async(provider.provides):
        yield f"{fake.__name__} would have to be awaited, what {provider} gives not: pass a function that is not async."


def _value_of(provider: Provider, fake: Any) -> Callable[..., Any]:
    """Return a function that gives the replacement."""
    if providers.is_provider(fake) or _is_called(provider, fake):
        return fake  # type: ignore[no-any-return]
    if isinstance(provider, Once) and not isinstance(fake, Lazy):
        fake = _lazy(fake)
    return lambda *_args, **_kwargs: fake


def _is_called(provider: Provider, fake: Any) -> bool:
    makes_at_each_call = isinstance(provider, providers.Factory | providers.Callable)
    return makes_at_each_call and (inspect.isclass(fake) or inspect.isroutine(fake))


def _is_async(fake: Any) -> bool:
    """Tell an async function from an object that would pass for one, such as an AsyncMock."""
    return isinstance(fake, FunctionType | MethodType | functools.partial) and inspect.iscoroutinefunction(fake)


def _not_yet_built(provider: Provider) -> Provider:
    """Return a provider of the same that has not built anything, as the package copies one."""
    copied = type(provider)()
    copied.set_provides(provider.provides)
    copied.set_args(*provider.args)
    copied.set_kwargs(**provider.kwargs)
    copied.set_attributes(**provider.attributes)
    return copied


def _lazy(fake: Any) -> Lazy[Any]:
    async def open_() -> Any:
        return await fake() if _is_async(fake) else fake

    # Closing is for who made the replacement.
    return Lazy(open_, close=None, name="replacement")


class _Switch(providers.Provider[Any]):
    """Stands over a provider while it is overridden anywhere, and gives each task what it is to see."""

    def __init__(self, over: Provider, root: containers.Container) -> None:
        super().__init__()
        self.layers: set[override] = set()
        self._over = over
        self._root = root
        # While it is undecided, results of one task would decide what another is given.
        self.is_undecided = over.is_async_mode_undefined()
        over.override(self)
        if self.is_undecided:
            over.disable_async_mode()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._seen()(*args, **kwargs)

    @property
    def provides(self) -> Provider:
        """The provider that this one is known as."""
        return self._over

    @property
    def related(self) -> Iterator[Provider]:
        """What stands for the provider, where this task looks from."""
        seen = self._seen()
        if providers.is_provider(seen):
            yield seen

    def _seen(self) -> Callable[..., Any]:
        for layer in seen(self._root):
            value = layer.values.get(self._over)
            if value is not None:
                return value
        return _past_switches(self._over)


def _switch_over(provider: Provider, root: containers.Container) -> _Switch:
    switch = next((one for one in provider.overridden if isinstance(one, _Switch)), None)
    return switch or _Switch(provider, root)


def _switch_off(provider: Provider, layer: override) -> None:
    """Take a switch away with its last override, and leave the overrides of others as they are."""
    switch = next((one for one in provider.overridden if isinstance(one, _Switch)), None)
    if switch is None:
        return
    switch.layers.discard(layer)
    if switch.layers:
        return
    if provider.last_overriding is switch:
        provider.reset_last_overriding()
    else:
        others = _others_over(provider)
        provider.reset_override()
        for one in others:
            provider.override(one)
    if switch.is_undecided:
        provider.reset_async_mode()


def _others_over(provider: Provider) -> list[Provider]:
    return [one for one in provider.overridden if not isinstance(one, _Switch)]


def _past_switches(provider: Provider) -> Callable[..., Any]:
    others = _others_over(provider)
    if others:
        return others[-1]  # type: ignore[no-any-return]
    if isinstance(provider, providers.Dependency):
        return provider.default or provider
    return lambda *args, **kwargs: provider._provide(args, kwargs)  # noqa: SLF001 - there is no public way
