"""What a command says instead of a traceback."""

import sys


class CommandError(Exception):
    """A command cannot go on for a reason that lies outside of it; the message says what to do."""


def report(command: str, message: str) -> None:
    """Say on the terminal why a command cannot go on."""
    print(f"drive {command}: {message}", file=sys.stderr)  # noqa: T201 - this is the terminal
