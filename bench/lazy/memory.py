"""
What stubs cost that nobody calls: memory, and the time to build their container.

A container class with 10 000 stubs, one container of it, and each stub asked for but none called: the growth of the process's resident memory, divided by their number. dependency-injector keeps every provider twice, in the class and in the container. **Registered** is before anything is asked for. The ratio is to plain Singletons with as many arguments, so that what is above 1 is ours. The time to build is that of `Container()`.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import gc
import sys
from itertools import pairwise
from time import perf_counter
from typing import Any, Final

from bench.goals import goal
from bench.lazy.importing import resident_bytes
from bench.measure import Effort, in_child, paired_ratios, summary
from bench.tables import Goal, Row, Table, number

_NONE_GOAL: Final = Goal(0.0)

Figures = dict[str, float]


def tables(effort: Effort) -> list[Table]:
    """Measure containers of stubs, and of plain Singletons, in fresh processes, taking turns."""
    many = effort.count(10_000)
    kinds: dict[str, list[Figures]] = {"stub": [], "singleton": []}
    few: list[Figures] = []
    for _ in range(effort.rounds):
        for kind, rounds in kinds.items():
            rounds.append(in_child(registered, kind, many))
        few.append(in_child(registered, "stub", many // 10))
    return [_memory(many, kinds["stub"], kinds["singleton"]), _build(many, few, kinds["stub"], kinds["singleton"])]


def _memory(many: int, stubs: list[Figures], singletons: list[Figures]) -> Table:
    def row(name: str, key: str, limit: Goal | None = None) -> Row:
        values, base = [one[key] for one in stubs], [one[key] for one in singletons]
        return Row(name, summary(values), "B", summary(paired_ratios(values, base)), limit)

    return Table(
        f"Memory of each of {number(many)} stubs, none called",
        "Resident memory divided by their number; the ratio is to Singletons with as many arguments.",
        [
            row("in the container's class", "class_bytes"),
            row("in one container", "container_bytes"),
            row("registered: both", "registered_bytes", goal("stubs-bytes")),
            row("as objects that the container gave", "objects_bytes"),
            row("registered and given", "all_bytes", goal("stubs-bytes")),
            Row("channels opened", summary([one["channels"] for one in stubs]), "", goal=goal("stubs-channels")),
            Row("modules of gRPC imported", summary([one["grpc_modules"] for one in stubs]), "", goal=_NONE_GOAL),
        ],
    )


def _build(many: int, few: list[Figures], stubs: list[Figures], singletons: list[Figures]) -> Table:
    def row(name: str, rounds: list[Figures], base: list[Figures] | None = None, note: str = "") -> Row:
        values = [one["build_us"] for one in rounds]
        ratio = None if base is None else summary(paired_ratios(values, [one["build_us"] for one in base]))
        return Row(name, summary(values), "µs", ratio, note=note)

    return Table(
        "Time to build a container, for each stub in it",
        f"The ratio is to the row of {number(many // 10)}: 1 where the whole grows with the number of stubs.",
        [
            row(f"{number(many // 10)} stubs", few),
            row(f"{number(many)} stubs", stubs, few),
            row(f"{number(many)} Singletons", singletons, few, "dependency-injector's own part"),
        ],
    )


def registered(kind: str, count: int) -> Figures:
    """Define a container with `count` providers, build it, ask it for all; return what each of them cost."""
    make = _stubs if kind == "stub" else _singletons
    make(3)()  # imports, and whatever is made once
    sizes = [_settled_bytes()]
    container_class = make(count)
    sizes.append(_settled_bytes())
    started = perf_counter()
    container = container_class()
    build_s = perf_counter() - started
    sizes.append(_settled_bytes())
    held = [provider() for name, provider in container.providers.items() if name != "channels"]
    sizes.append(_settled_bytes())
    in_class, in_container, as_objects = ((after - before) / len(held) for before, after in pairwise(sizes))
    return {
        "class_bytes": in_class,
        "container_bytes": in_container,
        "objects_bytes": as_objects,
        "registered_bytes": in_class + in_container,
        "all_bytes": in_class + in_container + as_objects,
        "build_us": build_s / len(held) * 1e6,
        "channels": 0 if container.channels().opened_as is None else 1,
        "grpc_modules": sum(name.split(".")[0] == "grpc" for name in sys.modules),
    }


def _stubs(count: int) -> Any:
    from dependency_injector.containers import DeclarativeContainer
    from dependency_injector.providers import Singleton

    from drive.lazy import Channels, Stub

    channels = Singleton(Channels)
    stubs = {
        f"stub_{number}": Stub[Any](
            "drive.proto.account_pb2_grpc:AccountServiceStub", channels, endpoint="http://127.0.0.1:5001", timeout_s=5.0
        )
        for number in range(count)
    }
    return type("Stubs", (DeclarativeContainer,), {"channels": channels, **stubs})


class _Plain:
    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments


def _singletons(count: int) -> Any:
    from dependency_injector.containers import DeclarativeContainer
    from dependency_injector.providers import Singleton

    from drive.lazy import Channels

    channels = Singleton(Channels)
    singletons = {
        f"plain_{number}": Singleton(_Plain, "path", channels, "http://127.0.0.1:5001", 5.0) for number in range(count)
    }
    return type("Singletons", (DeclarativeContainer,), {"channels": channels, **singletons})


def _settled_bytes() -> int:
    gc.collect()
    return resident_bytes()
