"""Read query parameters with their types."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar, overload
from uuid import UUID

from drive.errors import Code, DriveError, invalid

S = TypeVar("S", bound=str)
T = TypeVar("T")
D = TypeVar("D")

MOST_OFFSET = 10_000_000
MOST_TAKE = 100

_INTEGER = re.compile("-?[0-9]{1,18}")
_UUID = re.compile("[0-9a-f]{8}(-?)[0-9a-f]{4}\\1[0-9a-f]{4}\\1[0-9a-f]{4}\\1[0-9a-f]{12}", re.IGNORECASE)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # what PostgreSQL has no text for
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted."""

    offset: int
    take: int


class Params:
    """The query parameters of one request.

        with Params(request.query) as query:
            page = query.page()
            pool_id = query.uuid("pool")

    At the end of the block all wrong parameters are reported together; until then each reads as its default, so that
    nothing but reading belongs into the block. Without a block the first wrong parameter raises at once.

    Names are matched as the original service does, ignoring case, and in snake_case too: `orderDesc`, `order_desc` and
    `ORDERDESC` are the same. Of a repeated parameter the last one counts. An empty one is absent. Unknown ones are
    ignored.
    """

    __slots__ = ("_gathers", "_problems", "_values")

    def __init__(self, query: Mapping[str, str]) -> None:
        self._values = {_folded(name): value for name, value in query.items()}
        self._problems: dict[str, str] = {}
        self._gathers = False

    def __enter__(self) -> Self:
        self._gathers = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gathers = False
        if self._problems and error is None:
            message = " ".join(f"{name}: {problem}" for name, problem in self._problems.items())
            raise DriveError(Code.VALIDATION_ERROR, message, fields=self._problems)

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """Read true, false, 1 or 0."""
        return self._read(name, lambda value: _BOOLEANS.get(value.lower()), default, "must be true or false.")

    def integer(self, name: str, *, default: int, least: int = 0, most: int) -> int:
        """Read a decimal number from `least` to `most`."""

        def parse(value: str) -> int | None:
            number = int(value) if _INTEGER.fullmatch(value) else None
            return number if number is not None and least <= number <= most else None

        return self._read(name, parse, default, f"must be a whole number from {least} to {most}.")

    @overload
    def text(self, name: str, *, most_chars: int) -> str | None: ...

    @overload
    def text(self, name: str, *, most_chars: int, default: str) -> str: ...

    def text(self, name: str, *, most_chars: int, default: str | None = None) -> str | None:
        """Read a text that PostgreSQL can hold."""

        def parse(value: str) -> str | None:
            return value if len(value) <= most_chars and not _UNSTORABLE.search(value) else None

        return self._read(name, parse, default, f"must have at most {most_chars} characters, none of them NUL.")

    def required_text(self, name: str, *, most_chars: int) -> str:
        """Read a text that must be there and not be empty."""
        if not self._value(name):
            self._refuse(name, "is required.")
        return self.text(name, most_chars=most_chars, default="")

    def uuid(self, name: str) -> UUID | None:
        """Read a UUID, with or without hyphens."""
        return self._read(name, lambda value: UUID(value) if _UUID.fullmatch(value) else None, None, "must be a UUID.")

    def choice(self, name: str, choices: Collection[S], *, default: S) -> S:
        """Read one of some words, ignoring case."""
        words = {choice.lower(): choice for choice in choices}
        problem = f"must be one of {', '.join(sorted(choices))}."
        return self._read(name, lambda value: words.get(value.lower()), default, problem)

    def page(self, *, default_take: int = 20) -> Page:
        """Read `offset` and `take`, which some routes of the original call `limit`: 1 to 100."""
        take = "take" if self._value("take") or not self._value("limit") else "limit"
        return Page(
            offset=self.integer("offset", default=0, most=MOST_OFFSET),
            take=self.integer(take, default=default_take, least=1, most=MOST_TAKE),
        )

    def _read(self, name: str, parse: Callable[[str], T | None], default: D, problem: str) -> T | D:
        """Return what `parse` makes of the value; it gives None for what is wrong."""
        value = self._value(name)
        if not value:
            return default
        parsed = parse(value)
        if parsed is None:
            self._refuse(name, problem)
            return default
        return parsed

    def _value(self, name: str) -> str:
        return self._values.get(_folded(name), "")

    def _refuse(self, name: str, problem: str) -> None:
        if not self._gathers:
            raise invalid(name, problem)
        self._problems[name] = problem


def _folded(name: str) -> str:
    return name.replace("_", "").lower()
