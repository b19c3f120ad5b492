"""Objects that are something else for a while."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dependency_injector import containers

from drive.lazy.replaced import seen

if TYPE_CHECKING:
    from drive.lazy.overriding import override

_ABSENT: Final = object()
_CLASS: Final = object.__dict__["__class__"]  # a class may have a property of this name
_IS_IMMUTABLE: Final = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE: a class that is written in C


@dataclass(slots=True)
class Twins:
    """What an object is like under each override: another one, constructed with the replacements."""

    root: containers.Container
    by_layer: "dict[override, Any]" = field(default_factory=dict)

    def seen(self) -> Any:
        """Return the object that the running task sees in place of the original; `_ABSENT` for the original."""
        twins = (self.by_layer.get(layer, _ABSENT) for layer in seen(self.root))
        return next((twin for twin in twins if twin is not _ABSENT), _ABSENT)


def twins_of(instance: Any) -> Twins | None:
    """Return what an object is like under overrides; None if it is only itself."""
    return type(instance).__dict__.get("__twins__")


def own_class(instance: Any) -> Any:
    """Return the class that an object has without twins."""
    cls = type(instance)
    return cls.__bases__[0] if "__twins__" in cls.__dict__ else cls


def prepare_for_twins(instance: Any, root: containers.Container) -> Twins | None:
    """Give an object a class of its own that looks attributes up in the twin; None where Python cannot do that."""
    cls = type(instance)
    if any(base.__flags__ & _IS_IMMUTABLE and base.__basicsize__ > object.__basicsize__ for base in cls.__mro__):
        return None  # it has state that is reached without looking up an attribute
    twins = Twins(root)
    members = {
        "__slots__": (),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__twins__": twins,
        # `type(self)(…)` makes one that has no twins
        "__new__": lambda _cls, *args, **kwargs: cls(*args, **kwargs),
        "__getattribute__": _get,
        "__setattr__": _set,
        "__delattr__": _delete,
        "__reduce_ex__": _reduce,
    }
    try:
        # Past what a metaclass may do with a new class
        _CLASS.__set__(instance, type.__new__(type(cls), cls.__name__, (cls,), members))
    except Exception:  # noqa: BLE001 - a class may object to being inherited from in any way
        return None
    return twins


def take_twin(instance: Any, layer: "override") -> None:
    """End what an object is like under an override; with the last one it is exactly as it was."""
    twins = twins_of(instance)
    if twins is not None:
        twins.by_layer.pop(layer, None)
        if not twins.by_layer:
            _CLASS.__set__(instance, own_class(instance))


def _get(self: Any, name: str) -> Any:
    twin = _seen_as(self)
    if twin is not _ABSENT:
        return getattr(twin, name)
    cls = own_class(self)
    return cls if name == "__class__" else cls.__getattribute__(self, name)


def _set(self: Any, name: str, value: Any) -> None:
    twin = _seen_as(self)
    if twin is _ABSENT:
        own_class(self).__setattr__(self, name, value)
    else:
        setattr(twin, name, value)


def _delete(self: Any, name: str) -> None:
    twin = _seen_as(self)
    if twin is _ABSENT:
        own_class(self).__delattr__(self, name)
    else:
        delattr(twin, name)


def _reduce(self: Any, protocol: Any) -> Any:
    """Copy or pickle what is seen. Neither knows of the class that an object has for a while."""
    twin = _seen_as(self)
    if twin is not _ABSENT:
        return twin.__reduce_ex__(protocol)
    with_twins = type(self)
    _CLASS.__set__(self, own_class(self))
    try:
        return self.__reduce_ex__(protocol)
    finally:
        _CLASS.__set__(self, with_twins)


def _seen_as(instance: Any) -> Any:
    twins = twins_of(instance)
    return _ABSENT if twins is None else twins.seen()
