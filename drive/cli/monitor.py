"""`drive monitor`."""

import argparse
import asyncio
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from drive import logs
from drive.cli.signals import until_stopped
from drive.monitor.looking import Monitor
from drive.monitor.report import Report
from drive.monitor.screen import lines
from drive.settings import load

_INTERVAL_S = 2.0
_LEAST_INTERVAL_S = 0.1
_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare what is looked at, and how often."""
    parser.add_argument(
        "urls", nargs="*", type=_url, metavar="URL", help="where processes serve metrics: http://127.0.0.1:9100/metrics"
    )
    parser.add_argument("--once", action="store_true", help="look once, and exit")
    parser.add_argument("--json", action="store_true", help="for programs; once, unless there is an interval")
    parser.add_argument(
        "--interval", type=_interval, metavar="SECONDS", help=f"look again after this (default: {_INTERVAL_S:g})"
    )


def monitor(settings_file: Path | None, options: argparse.Namespace) -> int:
    """Show how the deployment is doing, until Ctrl-C. Returns 1 where the last look found more than is allowed."""
    settings = load(file=settings_file)
    logs.configure(level="error")
    is_once = options.once or (options.json and options.interval is None)
    watch = _Watch(
        Monitor(settings, options.urls),
        interval_s=None if is_once else options.interval or _INTERVAL_S,
        as_json=options.json,
    )
    asyncio.run(until_stopped(watch.run()))
    return watch.status


class _Watch:
    """Looks, and shows what it saw; again and again where there is an interval."""

    def __init__(self, looking: Monitor, *, interval_s: float | None, as_json: bool) -> None:
        self.status = 0
        self._monitor = looking
        self._interval_s = interval_s
        self._as_json = as_json

    async def run(self) -> None:
        """Go on until cancelled, or nobody reads any more."""
        while True:
            report = await self._monitor.look()
            self.status = 1 if report.exceeded else 0
            if not _write(self._text(report)) or self._interval_s is None:
                return
            await asyncio.sleep(self._interval_s)

    def _text(self, report: Report) -> str:
        if self._as_json:
            shown = msgspec.to_builtins(report) | {"exceeded": msgspec.to_builtins(report.exceeded)}
            return msgspec.json.encode(shown).decode() + "\n"
        if self._interval_s is None or not sys.stdout.isatty():
            return "\n".join(lines(report)) + "\n\n"
        return _CLEAR + "\n".join(_that_fit(list(lines(report)))) + "\n"


def _that_fit(text: list[str]) -> list[str]:
    """Cut what a terminal does not hold: it would scroll, and its top would be lost."""
    columns, rows = shutil.get_terminal_size()
    shown = text if len(text) < rows else [*text[: rows - 2], f"… and {len(text) - rows + 2} more lines: see --once"]
    return [line[:columns] for line in shown]


def _write(text: str) -> bool:
    """Write to stdout; False where nobody reads it any more."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered would fail at the exit
        return False
    return True


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the port, or of an address in brackets
        is_url = False
    if not is_url:
        raise argparse.ArgumentTypeError("must be a URL such as http://127.0.0.1:9100/metrics")
    return text


def _interval(text: str) -> float:
    try:
        interval_s = float(text)
    except ValueError:
        interval_s = 0
    if not _LEAST_INTERVAL_S <= interval_s < float("inf"):
        raise argparse.ArgumentTypeError(f"must be seconds, at least {_LEAST_INTERVAL_S:g}")
    return interval_s
