"""`drive audit`."""

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from drive import logs
from drive.audit import units
from drive.audit.auditing import Lines, Report, make_report
from drive.audit.inputs import Input, find_inputs
from drive.audit.model import Finding, Rules
from drive.audit.progress import Progress
from drive.audit.reader import Intake, read_all
from drive.audit.rules import rules_of
from drive.audit.store import Store, StoreError
from drive.audit.text import document, finding_document, lines_of, shown
from drive.cli.errors import CommandError
from drive.cli.errors import report as say
from drive.errors import Code, DriveError
from drive.settings import load


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare what can be audited, and how."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="a log, also packed by gzip or zstd, in any order of rotated ones; - or none for stdin",
    )
    parser.add_argument("--json", action="store_true", help="for programs (docs/audit.md)")
    parser.add_argument(
        "--expect",
        type=_expected,
        default={},
        metavar="NAME=N,…",
        help="how often each process creates the channel of a client: pass=1,ring=1",
    )
    parser.add_argument("--since", metavar="WHEN", help="leave out what is older: 2h, 30m, or 2026-11-24T03:58:05Z")
    parser.add_argument("--follow", action="store_true", help="go on as the logs grow; Ctrl-C ends it with the report")
    parser.add_argument("--timeline", type=Path, metavar="OUT.svg", help="draw a line per endpoint over time")


def audit(settings_file: Path | None, options: argparse.Namespace) -> int:
    """Read logs, and tell of the channels in them. Returns 0, 1 for findings, 2 where a log cannot be read."""
    rules = _rules(settings_file, options.expect)
    since_us = _since(options.since)
    if not options.files and sys.stdin is not None and sys.stdin.isatty():
        raise DriveError(Code.VALIDATION_ERROR, "Name a log, or pipe one: drive serve | drive audit --follow")
    inputs, problems = find_inputs(options.files)
    store = Store()
    try:
        intake = Intake(store)
        intake.problems += problems
        _read(inputs, store, intake, rules, options, since_us)
        report = make_report(store, intake, rules, since_us=since_us, keeps_spans=options.timeline is not None)
    except StoreError as error:
        raise CommandError(str(error)) from error
    finally:
        store.close()
    _write(report, options)
    return report.status


def _read(
    inputs: list[Input], store: Store, intake: Intake, rules: Rules, options: argparse.Namespace, since_us: int | None
) -> None:
    growing = [one for one in inputs if options.follow and not one.is_packed]
    whole = [one for one in inputs if one not in growing]
    progress = Progress(sum(one.size_bytes for one in whole))
    try:
        read_all(whole, store, intake, progress)
    finally:
        progress.erase()
    if growing:
        from drive.audit.follow import follow

        follow(growing, store, intake, rules, _teller(store, options, since_us))


def _teller(store: Store, options: argparse.Namespace, since_us: int | None) -> Callable[[Finding], None]:
    lines = Lines(store.files)

    def tell(finding: Finding) -> None:
        if since_us is not None and finding.at_us is not None and finding.at_us < since_us:
            return
        if finding.place is not None:
            lines.count([finding.place])
        logs.write_line(_json(finding_document(finding, lines)) if options.json else shown(finding, lines))

    return tell


def _write(report: Report, options: argparse.Namespace) -> None:
    if options.timeline is not None:
        from drive.audit.timeline import timeline

        try:
            options.timeline.write_text(timeline(report), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options.timeline} cannot be written: {error.strerror}") from error
    if options.json:
        text = _json(document(report))
        logs.write_line(text if options.follow else msgspec.json.format(text.encode()).decode())
    else:
        for line in lines_of(report):
            logs.write_line(line)
    for problem in report.problems:
        say("audit", problem)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _rules(settings_file: Path | None, expected: dict[str, int]) -> Rules:
    try:
        return rules_of(load(file=settings_file), expected)
    except ValueError as error:
        raise DriveError(Code.VALIDATION_ERROR, f"--expect: {error}.") from error


def _since(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return units.since(text, datetime.now(UTC))
    except (ValueError, OverflowError) as error:
        message = (
            f"--since: {text!r} is neither a time such as 2h, 30m or 7d, nor a moment such as 2026-11-24T03:58:05Z."
        )
        raise DriveError(Code.VALIDATION_ERROR, message) from error


def _expected(text: str) -> dict[str, int]:
    expected = {}
    for pair in text.split(","):
        name, _, count = pair.strip().partition("=")
        if not name or not (count.isascii() and count.isdecimal()):
            raise argparse.ArgumentTypeError(f"{pair!r} is no NAME=N, such as pass=1")
        expected[name.removesuffix("_endpoint")] = int(count)
    return expected
