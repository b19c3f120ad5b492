"""
What importing `drive.lazy` costs, beside the other frameworks.

A fresh process imports asyncio and then what is measured; bytecode is there already. Resident memory counts what the import brought in and did not give back. Each framework brings what it needs: drive.lazy dependency-injector and structlog, the others next to nothing but the standard library.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

from typing import Final

from bench.lazy.importing import imported
from bench.lazy.peers import PEERS, is_installed
from bench.measure import Effort, by_name, in_child
from bench.tables import Table, compared

_INJECTOR: Final = ["dependency_injector.containers", "dependency_injector.providers"]
_BASE: Final = "dependency-injector"


def tables(effort: Effort) -> list[Table]:
    """Measure each import in fresh processes, taking turns."""
    kinds = {
        _BASE: (["asyncio"], _INJECTOR),
        "drive.lazy on top of that": (["asyncio", *_INJECTOR], ["drive.lazy"]),
        "drive.lazy on top of that and structlog": (["asyncio", *_INJECTOR, "structlog"], ["drive.lazy"]),
        "drive.lazy with all it needs": (["asyncio"], ["drive.lazy"]),
        **{peer: (["asyncio"], [peer.replace("-", "_")]) for peer in PEERS if is_installed(peer)},
    }
    for kind in kinds.values():
        in_child(imported, *kind)  # compiles what is not compiled yet
    rounds = [{name: in_child(imported, *kind) for name, kind in kinds.items()} for _ in range(effort.rounds)]
    times = by_name([{name: took_ms for name, (took_ms, _) in one.items()} for one in rounds])
    memory = by_name([{name: kib for name, (_, kib) in one.items()} for one in rounds])
    about = f"In a fresh process that has imported asyncio; the ratio is to: {_BASE}."
    return [
        Table("Time of an import", about, compared(times, _BASE, "ms")),
        Table("Memory of an import (resident)", about, compared(memory, _BASE, "KiB")),
    ]
