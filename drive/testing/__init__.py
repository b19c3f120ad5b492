"""Test services that are written on drive.lazy.

A pytest plugin (`drive.testing.plugin`), and the context managers that it is made of, for unittest and scripts. See
docs/testing.md. Nothing heavy is imported before it is used: neither gRPC nor a database driver nor pytest.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from drive.testing.answers import FakeError, rpc_error
    from drive.testing.channels import ChannelLog, channel_log
    from drive.testing.databases import RolledBackPool, rolled_back, temporary_database
    from drive.testing.fakes import Call, calls_of, fake
    from drive.testing.leaks import LeakError, no_leaks
    from drive.testing.servers import Servers, serving

__all__ = [
    "Call",
    "ChannelLog",
    "FakeError",
    "LeakError",
    "RolledBackPool",
    "Servers",
    "calls_of",
    "channel_log",
    "fake",
    "no_leaks",
    "rolled_back",
    "rpc_error",
    "serving",
    "temporary_database",
]

_MODULES: Final = {
    "Call": "fakes",
    "ChannelLog": "channels",
    "FakeError": "answers",
    "LeakError": "leaks",
    "RolledBackPool": "databases",
    "Servers": "servers",
    "calls_of": "fakes",
    "channel_log": "channels",
    "fake": "fakes",
    "no_leaks": "leaks",
    "rolled_back": "databases",
    "rpc_error": "answers",
    "serving": "servers",
    "temporary_database": "databases",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
