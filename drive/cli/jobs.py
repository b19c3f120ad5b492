"""`drive jobs`."""

import argparse
import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from drive import logs
from drive.cli.errors import CommandError
from drive.jobs.admin import JobsAdmin, JobSummary, Overview
from drive.lazy import lifespan
from drive.settings import load
from drive.worker_container import WorkerContainer

_STATUSES = ("pending", "running", "failed")
_LISTED = 20
_MOST_LISTED = 1000
_ERROR_MAX_CHARACTERS = 200
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare what can be done with jobs; without an action they are listed."""
    parser.add_argument("--status", choices=_STATUSES, help="show these instead of the failed ones")
    parser.add_argument("--kind", help="only jobs of this kind")
    parser.add_argument("--limit", type=_limit, default=_LISTED, help=f"show at most so many (default: {_LISTED})")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(act=_list)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")

    retry = _action(actions, "retry", "Let failed jobs be tried again.", "drive jobs retry --all --kind delete_object")
    retry.add_argument("ids", nargs="*", type=_id, metavar="ID", help="of a failed job")
    retry.add_argument("--all", action="store_true", dest="is_all", help="all failed jobs")
    retry.add_argument("--kind", dest="of_kind", help="with --all: only those of this kind")
    retry.set_defaults(act=_retry)

    forget = _action(actions, "forget", "Forget failed jobs.", "drive jobs forget 17 18")
    forget.add_argument("ids", nargs="+", type=_id, metavar="ID", help="of a failed job")
    forget.set_defaults(act=_forget)

    run = _action(actions, "run", "Do now what is done at an interval.", "drive jobs run check_objects")
    run.add_argument("name", metavar="NAME", help="as in `drive jobs schedules`")
    run.set_defaults(act=_run)

    schedules = _action(actions, "schedules", "Show what is done when.", "drive jobs schedules --json")
    schedules.add_argument("--json", action="store_true", dest="is_json", help="for programs")
    schedules.set_defaults(act=_schedules)


def jobs(settings_file: Path | None, options: argparse.Namespace) -> int:
    """Do one thing with jobs."""
    settings = load(file=settings_file)
    logs.configure(level=settings.log_level, format_=settings.log_format)
    asyncio.run(_within(WorkerContainer(settings=settings, role="jobs"), options))
    return 0


async def _within(container: WorkerContainer, options: argparse.Namespace) -> None:
    async with lifespan(container):
        await options.act(container, options)


async def _list(container: WorkerContainer, options: argparse.Namespace) -> None:
    admin = JobsAdmin(container.database())
    overview = await admin.overview(status=options.status, kind=options.kind, most=options.limit)
    if options.json:
        _write_json(overview)
    else:
        _write_overview(overview, options.status or "failed")


async def _retry(container: WorkerContainer, options: argparse.Namespace) -> None:
    if options.is_all == bool(options.ids) or (options.of_kind and not options.is_all):
        raise CommandError("Name the jobs by their ids, or write --all, with --kind for those of one kind.")
    done = await JobsAdmin(container.database()).retry(options.ids or None, options.of_kind)
    logs.write_line(f"{_counted(done)} will be tried again.")
    _refuse_others(options.ids, done)


async def _forget(container: WorkerContainer, options: argparse.Namespace) -> None:
    done = await JobsAdmin(container.database()).forget(options.ids)
    logs.write_line(f"{_counted(done)} forgotten.")
    _refuse_others(options.ids, done)


async def _run(container: WorkerContainer, options: argparse.Namespace) -> None:
    names = container.schedules().names
    if options.name not in names:
        raise CommandError(f"Nothing called {options.name!r} is done at an interval: {', '.join(names)} are.")
    await container.worker().do_now(options.name)
    logs.write_line(f"{options.name} is done.")


async def _schedules(container: WorkerContainer, options: argparse.Namespace) -> None:
    turns = await container.schedules().turns()
    if options.is_json:
        _write_json(turns)
        return
    rows = [(one.name, _age(one.every_s), _moment(one.last_run_at), _moment(one.next_run_at)) for one in turns]
    _write_table(("NAME", "EVERY", "LAST RUN", "NEXT RUN"), rows)


def _write_overview(overview: Overview, status: str) -> None:
    counts = {(one.kind, one.status): one.count for one in overview.counts}
    kinds = sorted({one.kind for one in overview.counts})
    if not kinds:
        logs.write_line("There are no such jobs.")
        return
    rows = [(kind, *(str(counts.get((kind, one), 0)) for one in _STATUSES)) for kind in kinds]
    _write_table(("KIND", *(one.upper() for one in _STATUSES)), rows)
    if overview.jobs:
        logs.write_line(f"\nThe latest that are {status}:" if status != "failed" else "\nThe latest that have failed:")
        _write_table(("ID", "KIND", "ATTEMPTS", "AGE", "ERROR"), [_cells(one) for one in overview.jobs])


def _cells(job: JobSummary) -> tuple[str, ...]:
    return str(job.id), job.kind, str(job.attempts), _age(job.age_s), (job.error or "")[:_ERROR_MAX_CHARACTERS]


def _write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [head, *([_printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        logs.write_line("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _write_json(value: Any) -> None:
    logs.write_line(msgspec.json.format(msgspec.json.encode(value)).decode())


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)


def _age(seconds: float) -> str:
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= size), _UNITS[-1])
    return f"{seconds / size:.0f} {unit}"


def _moment(at: datetime | None) -> str:
    return "-" if at is None else at.strftime("%Y-%m-%d %H:%M:%SZ")


def _counted(ids: Sequence[int]) -> str:
    return "1 job" if len(ids) == 1 else f"{len(ids)} jobs"


def _refuse_others(asked: Sequence[int], done: Sequence[int]) -> None:
    if others := sorted(set(asked) - set(done)):
        named = ", ".join(map(str, others))
        raise CommandError(f"Not failed, or not there: {named}. `drive jobs` lists those that have failed.")


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, purpose: str, example: str
) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=purpose, description=purpose, epilog=f"Example: {example}")


def _id(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError("must be the number of a job")
    return int(text)


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_LISTED:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {_MOST_LISTED}")
    return int(text)
