"""What a job is, to whoever writes or does one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

Job = Callable[[dict[str, Any]], Awaitable[None]]
"""Does a job, given its payload. It may be cut short at any point, and done again from the start."""

LANES = ("quick", "media")
"""What takes minutes has a lane of its own, so that it never stands before what takes milliseconds."""


class PermanentError(Exception):
    """A job that no further attempt can save; the message is what the operator reads of it."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that this process may do until its lease ends."""

    id: int
    kind: str
    payload: dict[str, Any]
    attempts: int
    """This one included."""
    claim: UUID


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that is asked for at an interval, aligned to midnight (UTC); its name is its kind."""

    name: str
    every_s: float
    offset_s: float = 0.0
