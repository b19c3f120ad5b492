"""The command line: `scripts/bench lazy`, `scripts/bench lazy calls stall --rounds 20 --json figures.json`."""

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from bench.measure import Effort
from bench.tables import Table, plain, text, without_goals

# Each subject is a package of parts: modules with `tables(effort)`.
SUBJECTS: Final = {"lazy": ("calls", "resolve", "once", "stall", "overrides", "memory", "imports")}
_PACKAGES: Final = ("dependency-injector", "grpcio", "dishka", "that-depends", "wireup")
_ROUNDS: Final = 11
_QUICK_ROUNDS: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. A missed goal is a result, not a failure."""
    options = _parse(arguments)
    rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    machine = _machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    tables: list[Table] = []
    for part in options.parts or SUBJECTS[options.subject]:
        print(f"Measuring {options.subject} {part}, rounds: {rounds}", file=sys.stderr)
        for table in importlib.import_module(f"bench.{options.subject}.{part}").tables(Effort(rounds, options.quick)):
            print("\n" + text(without_goals(table) if options.quick else table), flush=True)
            tables.append(table)
    if options.json is not None:
        figures = {"subject": options.subject, "rounds": rounds, "machine": machine, "tables": [*map(plain, tables)]}
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/bench", description="Measure, and print tables of median and spread.")
    subjects = parser.add_subparsers(dest="subject", required=True, metavar="SUBJECT")
    for subject, parts in SUBJECTS.items():
        one = subjects.add_parser(subject, help=f"parts: {', '.join(parts)}")
        one.add_argument("parts", nargs="*", metavar="PART", help=f"all of {', '.join(parts)} where none is named")
        one.add_argument("--rounds", type=_positive, metavar="N", help=f"how often to measure ({_ROUNDS})")
        one.add_argument("--quick", action="store_true", help="see that it works; the figures are worth nothing")
        one.add_argument("--json", type=Path, metavar="FILE", help="write the figures for machines, too")
    options = parser.parse_args(arguments)
    unknown = [part for part in options.parts if part not in SUBJECTS[options.subject]]
    if unknown:
        parser.error(f"unknown part {unknown[0]!r}; there are {', '.join(SUBJECTS[options.subject])}")
    return options


def _positive(value: str) -> int:
    if int(value) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(value)


def _machine() -> dict[str, str]:
    return {
        platform.python_implementation(): platform.python_version(),
        platform.system(): platform.machine(),
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        **{package: _version(package) for package in _PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed, left out"


if __name__ == "__main__":
    sys.exit(main())
