"""What is overridden at the moment, and what overrides left open: all that `lifespan` needs to know of them.

Apart from `overriding`, which a service that runs does not import.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from dependency_injector import containers

from drive.lazy.once import running_loop

if TYPE_CHECKING:
    from drive.lazy.overriding import override

# What this context (a task, and the tasks that it starts) overrides, outermost first; also what is over by now.
own_overrides: ContextVar[tuple["override", ...]] = ContextVar("own_overrides", default=())
_looks_past: ContextVar[bool] = ContextVar("looks_past", default=False)
# The overrides of all tasks, in the order in which they began.
all_in_force: list["override"] = []
# What was opened under overrides that are over, for `lifespan` to close.
_left_open: WeakKeyDictionary[containers.Container, list[Any]] = WeakKeyDictionary()


def in_force() -> list["override"]:
    """Return all overrides that nobody has ended yet."""
    return list(all_in_force)


def left_open(container: containers.Container) -> list[Any]:
    """Hand over what was opened under overrides, to be closed; see `looking_past`."""
    root = root_of(container)
    opened = _left_open.pop(root, [])
    for layer in all_in_force:
        opened += layer.opened() if layer.root is root else []
    return list({id(part): part for part in opened}.values())


@contextmanager
def looking_past() -> Iterator[None]:
    """Let this task see no override: what providers give and what was built before is what it was."""
    token = _looks_past.set(True)
    try:
        yield
    finally:
        _looks_past.reset(token)


def original(provider: Any) -> Any:
    """Return what a provider gives where nothing overrides it, nor what it depends on."""
    with looking_past():
        return provider._provide((), {})  # noqa: SLF001 - the package has no public way past an override


def leave_open(root: containers.Container, parts: list[Any]) -> None:
    """Remember what was opened under an override that is over."""
    if parts:
        _left_open.setdefault(root, []).extend(parts)


def check_instance(container: Any) -> None:
    """Raise TypeError for what is no container, or one's class."""
    if isinstance(container, type) and issubclass(container, containers.DeclarativeContainer):
        raise TypeError(f"{container.__name__} is the class: give an instance, {container.__name__}().")
    if not isinstance(container, containers.DynamicContainer):
        raise TypeError(f"{container!r} is no container.")


def root_of(container: Any) -> Any:
    """Return the container that this one is nested in, however deep."""
    check_instance(container)
    while container.parent is not None:
        container = container.parent
    return container


def own(root: containers.Container) -> "override | None":
    """Return the innermost override of this context that is in force."""
    in_force_here = [one for one in own_overrides.get() if one.in_force and one.root is root]
    return in_force_here[-1] if in_force_here else None


def seen(root: containers.Container) -> list["override"]:
    """Return the overrides that this task sees, those before others that it sees first.

    Who made one sees that alone: it has all that it stands upon. Who inherited one, as a request does from the test
    that started the server, sees the newest that stands upon it.
    """
    if _looks_past.get():
        return []
    innermost = own(root)
    if innermost is not None and innermost.owner is running():
        return [innermost]
    return [one for one in all_in_force[::-1] if one.root is root and (innermost is None or innermost in one.stack)]


def running() -> object:
    """Return the running task; where no loop runs, the thread."""
    return threading.current_thread() if running_loop() is None else asyncio.current_task()


def may_be_open(part: Any) -> bool:
    """Tell whether a part must be closed; outside of its event loop there is no telling, and it counts as open."""
    kind = type(part)  # asking the object might make something up, as a stub does
    if not hasattr(kind, "opened_as") or not hasattr(kind, "aclose"):
        return False
    return part.opened_as is not None or running_loop() is None
