"""Objects whose class is imported when the first of them is made."""

import importlib
import sys
from collections.abc import Iterator
from typing import Any, Final, TypeVar, overload

from dependency_injector import providers

from drive.lazy.modules import load

T = TypeVar("T")

_ABSENT: Final = object()


class Part(providers.Singleton[T]):
    """A Singleton whose class is named rather than imported.

        files: "Part[Files]" = Part("app.files.service:Files", database, realms)

    Whoever declares it imports nothing: a process that has done nothing yet holds no code of what it may have to do.
    Building the first object imports the module, on the thread that does so; `load_parts` imports it, and those of all
    that it depends on, in a thread beforehand. `validate` tells what cannot be imported, and arguments that do not fit.
    """

    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(self, path: str, *args: Any, **kwargs: Any) -> None: ...
    def __init__(self, path: str | None = None, *args: Any, **kwargs: Any) -> None:
        if path is None:  # dependency-injector copies providers by building an empty one first
            super().__init__()
        else:
            named: Any = Named(path)
            super().__init__(named, *args, **kwargs)

    @property
    def path(self) -> str:
        """The path of the class."""
        named: Any = self.provides
        return str(named.path)


class Named:
    """A class, or a function, by its path: called as it is called."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        module, _, name = path.partition(":")
        if not module or not name:
            raise ValueError(f"{path!r} names no class. Write package.module:Class.")
        self.path = path

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Import it, and call it."""
        return self.resolve()(*args, **kwargs)

    def __repr__(self) -> str:
        return self.path

    def __deepcopy__(self, _memo: object) -> "Named":
        return self

    @property
    def module(self) -> str:
        """The module that it is in."""
        return self.path.partition(":")[0]

    @property
    def is_imported(self) -> bool:
        """Whether somebody has imported that."""
        return self.module in sys.modules

    @property
    def __name__(self) -> str:
        return self.path.partition(":")[2]

    def resolve(self) -> Any:
        """Import and return it.

        Raises:
            ImportError: there is no such module, or one that it imports; or nothing of that name in it.

        """
        found = getattr(importlib.import_module(self.module), self.__name__, _ABSENT)
        if found is _ABSENT:
            raise ImportError(f"{self.module} has no {self.__name__!r}, which a Part names.")
        return found


async def load_parts(provider: Any) -> None:
    """Import what building a provider needs in a thread: it then takes no time on the event loop.

    What is overridden is imported, too: something that an override does not reach may need it.

    Raises:
        ImportError: as the import statement would.

    """
    await load(*dict.fromkeys(_modules_of(provider)))


def _modules_of(provider: Any) -> Iterator[str]:
    """Yield the modules that building a provider imports, and those of all that it depends on, these first."""
    from drive.lazy.graph import related, walk

    def built(one: Any) -> list[Any]:
        """Return what is built with it: not what it is given to call later."""
        is_passed_on = isinstance(one, providers.Delegate)
        return [] if is_passed_on else [other for other in related(one) if not providers.is_delegated(other)]

    found, _ = walk([provider], built)
    made: list[Any] = [one.provides for one in found if isinstance(one, Part)]
    yield from (one.module for one in made if one is not None)
