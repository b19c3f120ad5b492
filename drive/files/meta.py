"""Accept what owners note of their files."""

import re
from collections.abc import Iterator
from typing import Any

from drive.errors import Code, DriveError, invalid

MOST_BYTES = 16 * 1024
MOST_LEVELS = 16
MOST_KEYS = 256

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # what PostgreSQL has no text for
_MOST_INTEGER = 2**63
# The database writes numbers out in full: a few bytes of exponent would be answered as hundreds of digits, and a large
# float as an integer that few clients can read.
_LEAST_FRACTION = 1e-30


def check_size(size_bytes: int) -> None:
    """Refuse a text that is too long, before it is parsed.

    Raises:
        DriveError: TOO_LARGE.

    """
    if size_bytes > MOST_BYTES:
        raise DriveError(Code.TOO_LARGE, f"The metadata of a file may have at most {MOST_BYTES} bytes.")


def check_meta(meta: dict[str, Any], *, field: str = "body") -> None:
    """Refuse an object that the database cannot hold, or that is too large to be carried with every listing.

    Args:
        meta: the object.
        field: where it came in, for the error.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    keys = 0
    for level, key, value in _walk(meta):
        keys += key is not None
        if level > MOST_LEVELS:
            raise invalid(field, f"must be nested at most {MOST_LEVELS} levels deep.")
        if keys > MOST_KEYS:
            raise invalid(field, f"must have at most {MOST_KEYS} keys, those of objects within it included.")
        for text in (key, value):
            if isinstance(text, str) and _UNSTORABLE.search(text):
                raise invalid(field, "must have no NUL in its texts.")
        if isinstance(value, (int, float)) and not _is_storable(value):
            raise invalid(field, "must have numbers within 64 bits, and none between 0 and 1e-30.")


def _walk(container: dict[str, Any] | list[Any], level: int = 1) -> Iterator[tuple[int, str | None, Any]]:
    """Give each value with its level and, within an object, its key; a container comes before what is in it."""
    pairs = container.items() if isinstance(container, dict) else ((None, value) for value in container)
    for key, value in pairs:
        is_container = isinstance(value, (dict, list))
        yield level + is_container, key, value
        if is_container:
            yield from _walk(value, level + 1)


def _is_storable(number: float) -> bool:
    return -_MOST_INTEGER <= number < _MOST_INTEGER and (number == 0 or abs(number) >= _LEAST_FRACTION)
