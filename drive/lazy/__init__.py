"""Dependency injection whose dependencies cost nothing until they are used.

Providers for dependency-injector's declarative containers: `Stub` for a gRPC service, `Once` for a connection pool or
anything else that is opened by awaiting, `Part` for an object whose class is imported when it is made, `lifespan` to
close what was opened. `validate` finds what is wrong with a container before the first request does, `warm` opens all
of it at once, `override` replaces parts of it in tests. Nothing here imports the rest of `drive`.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from drive.lazy.channel import ChannelSnapshot
from drive.lazy.channels import Channels, ChannelsClosedError, ForkedChannelsError, Tls
from drive.lazy.endpoint import Endpoint, EndpointError
from drive.lazy.lifespan import lifespan
from drive.lazy.modules import load
from drive.lazy.once import Lazy, Once
from drive.lazy.part import Part, load_parts
from drive.lazy.stub import Stub

if TYPE_CHECKING:
    from drive.lazy.graph import Graph
    from drive.lazy.overriding import OverrideError, override
    from drive.lazy.validation import ContainerError, Problem, validate
    from drive.lazy.warming import warm

__all__ = [
    "ChannelSnapshot",
    "Channels",
    "ChannelsClosedError",
    "ContainerError",
    "Endpoint",
    "EndpointError",
    "ForkedChannelsError",
    "Graph",
    "Lazy",
    "Once",
    "OverrideError",
    "Part",
    "Problem",
    "Stub",
    "Tls",
    "lifespan",
    "load",
    "load_parts",
    "override",
    "validate",
    "warm",
]

# What a service that runs has no use for is imported when it is asked for.
_MODULES: Final = {
    "ContainerError": "validation",
    "Graph": "graph",
    "OverrideError": "overriding",
    "Problem": "validation",
    "override": "overriding",
    "validate": "validation",
    "warm": "warming",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
