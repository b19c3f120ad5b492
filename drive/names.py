"""What this process calls itself where it connects to, and its version."""

import os
import re

_MOST_BYTES = 63  # PostgreSQL cuts longer ones
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]")  # Redis takes no spaces


def client_name(role: str, pid: int | None = None) -> str:
    """Return `drive-ROLE@HOST:PID`, which tells whose a connection is in `pg_stat_activity` and in `CLIENT LIST`.

    A host's long name is cut. Ask when you connect: a process that has forked meanwhile is another one.

    Args:
        role: what the process is there for, as `serve` or `worker`.
        pid: of another process of this machine; this one where it is None.

    """
    head, tail = f"drive-{role}@", f":{pid or os.getpid()}"
    return f"{head}{_UNUSUAL.sub('_', os.uname().nodename)[: _MOST_BYTES - len(head + tail)]}{tail}"


def version() -> str:
    """Return the version that is installed; `unknown` where Drive runs from its sources, and nobody has."""
    from importlib import metadata

    try:
        return metadata.version("drive")
    except metadata.PackageNotFoundError:
        return "unknown"
