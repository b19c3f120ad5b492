"""Modules by their source: whether they are there, and what they have, without importing them."""

import pkgutil
import sys
from difflib import get_close_matches
from importlib.machinery import ModuleSpec
from importlib.util import decode_source
from itertools import accumulate
from pathlib import Path


def source_of(module: str) -> str | None:
    """Return a module's source, empty where it has none to read; None if there is no such module."""
    if module in sys.modules:
        names = "\n".join(f"class {name}" for name in vars(sys.modules[module]))
        return f"{names}\n{_read_source(sys.modules[module].__spec__)}"
    try:
        spec = _spec(module)
    except Exception:  # noqa: BLE001 - whatever is particular about how it is found, importing it may work
        return ""
    return None if spec is None else _read_source(spec)


def _read_source(spec: ModuleSpec | None) -> str:
    """Return a module's source; empty where it has none to read."""
    try:
        get_source = getattr(spec and spec.loader, "get_source", None)
        if spec is not None and get_source is not None:
            return get_source(spec.name) or ""
        # The loader by which pytest rewrites assertions has no such method.
        return decode_source(Path(spec.origin).read_bytes()) if spec is not None and spec.origin else ""
    except Exception:  # noqa: BLE001 - as above
        return ""


def _spec(module: str) -> ModuleSpec | None:
    """Find a module as an import would, but without importing the packages that it is in."""
    spec, path = None, None
    if not all(name.isidentifier() for name in module.split(".")):
        return None
    for name in accumulate(module.split("."), "{}.{}".format):
        found = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next((one for one in found if one is not None), None)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return spec


def nearest_module(module: str, otherwise: str) -> str:
    """Return a hint: the module of the same package whose name is most like it, or something else to say."""
    package, dot, name = module.rpartition(".")
    spec = _spec(package) if package else None
    path = (spec and spec.submodule_search_locations) or []
    beside = pkgutil.iter_modules(path if dot else None)
    nearest = get_close_matches(name, [one.name for one in beside if name.isidentifier()], n=1)
    return f"Did you mean {package}{dot}{nearest[0]}?" if nearest else otherwise
