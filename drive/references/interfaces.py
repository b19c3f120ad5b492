"""What clients are shown of a reference."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from drive.errors import invalid

MOST_BYTES = 1024
"""Of a resource's id, and of a usage, in UTF-8."""


class FileReference(msgspec.Struct, kw_only=True, frozen=True):
    """Who uses a file, with the original service's field names."""

    id: UUID
    file_id: str
    usage: str
    resource_id: str
    expired_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @classmethod
    def from_row(cls, row: Any) -> "FileReference":
        """Build from a row of `file_references`."""
        names = ("id", "file_id", "usage", "resource_id", "expired_at", "created_at", "updated_at")
        return cls(**{name: row[name] for name in names})


@dataclass(frozen=True, slots=True)
class Use:
    """What a resource uses files for. An empty usage is one of its own."""

    resource_id: str
    usage: str

    def __post_init__(self) -> None:
        """Refuse what the table cannot hold."""
        check_resource_id(self.resource_id)
        check_usage(self.usage)


def check_resource_id(text: str) -> None:
    """Refuse what cannot be a resource's id.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    if not text:
        raise invalid("resource_id", "must not be empty.")
    _check("resource_id", text)


def check_usage(text: str) -> None:
    """Refuse what cannot be a usage.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    _check("usage", text)


def _check(field: str, text: str) -> None:
    if len(text.encode()) > MOST_BYTES:
        raise invalid(field, f"must have at most {MOST_BYTES} bytes in UTF-8.")
    if "\0" in text:
        raise invalid(field, "must have no NUL.")
