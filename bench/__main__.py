"""The command line: `scripts/bench memory`, `scripts/bench lazy.calls scaling --rounds 20`, `scripts/bench --quick`."""

import argparse
import json
import os
import shlex
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

# Read when gRPC is imported: its fork handlers would write to the stderr of the processes that are started beside it.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from bench import page, results
from bench.machine import machine
from bench.measure import Effort
from bench.results import Result
from bench.subjects import SUBJECTS, UnknownSubjectError, chosen, module
from bench.tables import Plot, Table, text, without_goals

_ROUNDS: Final = 11
_QUICK_ROUNDS: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and keep. A missed goal is a result, not a failure; what could not be measured is one."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parse(given)
    if options.page:
        page.write()
        return 0
    command = shlex.join(["scripts/bench", *given])
    effort = Effort(options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS), options.quick, options.seconds)
    done = []
    for subject in options.subjects:
        result = _measured(subject, command, effort)
        if result is None:
            continue
        done.append(result)
        for table in result.tables:
            print(f"\n{text(table)}", file=sys.stderr if options.json else sys.stdout, flush=True)
    if options.json:
        print(json.dumps([result.plain() for result in done], indent=1))
    return 0 if len(done) == len(options.subjects) else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "scripts/bench",
        description="Measure, print tables of median and spread, and write them to docs/benchmarks.md.",
        epilog=f"What there is: {', '.join(SUBJECTS)}.",
    )
    parser.add_argument(
        "subjects", nargs="*", metavar="NAME", help="a subject, or a part of one; all where none is named"
    )
    parser.add_argument("--rounds", type=_positive, metavar="N", help=f"how often to measure ({_ROUNDS})")
    parser.add_argument("--seconds", type=_seconds, metavar="S", help="how long what lasts a while should last")
    parser.add_argument(
        "--quick", action="store_true", help="see that it works: its figures are worth nothing, nor kept"
    )
    parser.add_argument("--json", action="store_true", help="print the figures for machines")
    parser.add_argument("--page", action="store_true", help="measure nothing, and write docs/benchmarks.md anew")
    options = parser.parse_args(arguments)
    try:
        options.subjects = chosen(options.subjects)
    except UnknownSubjectError as error:
        parser.error(str(error))
    return options


def _positive(value: str) -> int:
    if int(value) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(value)


def _seconds(value: str) -> float:
    if not 0 < float(value) < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return float(value)


def _measured(subject: str, command: str, effort: Effort) -> Result | None:
    """Measure one subject, and keep what came out; None, and a line on stderr, where that failed."""
    _tell(f"Measuring {subject}, rounds: {effort.rounds}")
    on, began_s = machine(), time.monotonic()
    try:
        parts = module(subject).tables(effort)
    except Exception:  # noqa: BLE001 - the others are to be measured all the same
        _tell(f"{subject} could not be measured:\n{traceback.format_exc()}")
        return None
    tables = [part for part in parts if isinstance(part, Table)]
    result = Result(
        subject=subject,
        date=datetime.now(UTC).date().isoformat(),
        command=command,
        rounds=effort.rounds,
        took_s=round(time.monotonic() - began_s, 1),
        machine=on,
        tables=[*map(without_goals, tables)] if effort.is_quick else tables,
        plots=[part for part in parts if isinstance(part, Plot)],
    )
    if not effort.is_quick:
        results.write(result)
        page.write()
    return result


def _tell(line: str) -> None:
    """Print to people: what is for machines has stdout for itself."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
