"""Dependency injection whose dependencies cost nothing until they are used.

Providers for dependency-injector's declarative containers: `Stub` for a gRPC service, `Once` for a connection pool or
anything else that is opened by awaiting, `lifespan` to close what was opened. Nothing here imports the rest of `drive`.
"""

from drive.lazy.channels import Channels, ChannelsClosedError, ForkedChannelsError, Tls
from drive.lazy.endpoint import Endpoint, EndpointError
from drive.lazy.lifespan import lifespan
from drive.lazy.modules import load
from drive.lazy.once import Lazy, Once
from drive.lazy.stub import Stub

__all__ = [
    "Channels",
    "ChannelsClosedError",
    "Endpoint",
    "EndpointError",
    "ForkedChannelsError",
    "Lazy",
    "Once",
    "Stub",
    "Tls",
    "lifespan",
    "load",
]
