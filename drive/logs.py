"""Log lines: JSON on stdout, or readable ones on a terminal."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

import structlog


def configure(*, level: str = "info", format_: str = "auto") -> None:
    """Send structlog's lines and the standard library's warnings to stdout in one format.

    Args:
        level: the least level shown: debug, info, warning or error.
        format_: json, console, or auto: console where stdout is a terminal.

    """
    readable = format_ == "console" or (format_ == "auto" and sys.stdout.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_rendering(readable=readable),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=max(number, logging.WARNING), force=True)


def now() -> str:
    """Return this moment as the lines' timestamps have it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def write_line(text: str) -> None:
    """Write to stdout. Where nobody reads it, or the disk is full, the line is lost, and nothing else fails for it."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered would fail at the exit
    except UnicodeEncodeError:  # a locale without the letter, or the lone surrogates that a header may have brought
        write_line(text.encode("ascii", "backslashreplace").decode())
    except OSError:
        pass


class _Lines:
    """What structlog hands its lines to."""

    def __init__(self, *_: Any) -> None:
        pass

    def msg(self, line: str) -> None:
        write_line(line)

    debug = info = warning = error = critical = exception = msg


def _rendering(*, readable: bool) -> list[Any]:
    if readable:
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]


def _json(event: dict[str, Any], **_: Any) -> str:
    # json and not msgspec, which would be imported by the line that says that a process has begun
    return json.dumps(event, default=str, separators=(",", ":"))


class _ToStructlog(logging.Handler):
    """Passes what libraries log through the standard library on."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info or None
        )
