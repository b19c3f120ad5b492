"""Files as other services of the network see them: by id, whoever owns them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from drive.db.database import Database
from drive.errors import Code, DriveError, invalid, not_found
from drive.files.lists import QUERIES
from drive.files.service import deletion
from drive.ids import is_id

MOST_FILES = 1000
"""Files that one request may name, and that one answer can hold."""

_MOST_PIXELS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SharedFile:
    """What other services learn about a file. Metadata are JSON texts, as they are stored; `size` is bytes."""

    id: str
    name: str
    file_meta: str | None
    user_meta: str | None
    sensitive_marks: list[int] | None
    mime_type: str
    sha256: bytes
    size_bytes: int
    has_compression: bool
    storage_url: str | None
    uploaded_at: datetime | None
    width: int | None
    height: int | None
    blurhash: str | None

    @classmethod
    def from_row(cls, row: Any) -> "SharedFile":
        """Build from a row of the query `shared`."""
        return cls(
            id=row["id"],
            name=row["name"],
            file_meta=row["file_meta"],
            user_meta=row["user_meta"],
            sensitive_marks=row["sensitive_marks"],
            mime_type=row["mime_type"],
            sha256=row["sha256"],
            size_bytes=row["size_bytes"],
            has_compression=row["has_compression"],
            storage_url=row["storage_url"],
            uploaded_at=row["uploaded_at"],
            width=_pixels(row["width"]),
            height=_pixels(row["height"]),
            blurhash=row["blur"] if isinstance(row["blur"], str) else None,
        )


class Unchanged:
    """Stands for a field that keeps its value, as None is a value of its own."""


UNCHANGED: Final = Unchanged()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to become of a file; the values have been checked."""

    name: str | Unchanged = UNCHANGED
    user_meta: dict[str, Any] | Unchanged | None = UNCHANGED
    sensitive_marks: list[int] | Unchanged | None = UNCHANGED


class Catalog:
    """Files by id, for callers that are trusted with all of them.

    Files in the recycle bin and expired ones are there until they are deleted: what refers to them must know.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, file_id: str) -> SharedFile:
        """Return a file that is not deleted.

        Raises:
            DriveError: NOT_FOUND.

        """
        files = await self.get_many([file_id])
        if not files:
            raise not_found("File")
        return files[0]

    async def get_many(self, file_ids: Sequence[str]) -> list[SharedFile]:
        """Return files in the order asked for, as often as asked for, without those that do not exist.

        Raises:
            DriveError: VALIDATION_ERROR, above `MOST_FILES`.

        """
        if len(file_ids) > MOST_FILES:
            raise invalid("ids", f"must be at most {MOST_FILES}.")
        known = [file_id for file_id in file_ids if is_id(file_id)]
        return await self._fetch("these_by_id", known) if known else []

    async def of_resource(self, resource_id: str, usage: str | None) -> list[SharedFile]:
        """Return the files that a resource uses for one usage, or, where that is None, for any; each once.

        Raises:
            DriveError: TOO_LARGE, above `MOST_FILES`.

        """
        files = await self._fetch("these_of_resource", resource_id, usage, MOST_FILES + 1)
        if len(files) > MOST_FILES:
            message = f"The resource uses more files than the {MOST_FILES} of an answer. Ask for its references."
            raise DriveError(Code.TOO_LARGE, message)
        return files

    async def exists(self, file_id: str) -> bool:
        """Tell whether there is such a file that is not deleted."""
        return is_id(file_id) and await self._database.fetchval(QUERIES["is_there"], file_id)

    async def change(self, file_id: str, changes: Changes) -> SharedFile:
        """Change a file, whoever owns it.

        Raises:
            DriveError: NOT_FOUND.

        """
        values = [changes.name, changes.user_meta, changes.sensitive_marks]
        names = ["name", "user_meta", "sensitive_marks"]
        changed = [name for name, value in zip(names, values, strict=True) if value is not UNCHANGED]
        given = [None if value is UNCHANGED else value for value in values]
        files = await self._fetch("these_changed", file_id, changed, *given) if is_id(file_id) else []
        if not files:
            raise not_found("File")
        return files[0]

    async def delete(self, file_id: str) -> None:
        """Delete a file, whoever owns it, with its references; its bytes go too, unless another file shares them.

        Raises:
            DriveError: NOT_FOUND, also where it is deleted already.

        """
        if not (is_id(file_id) and await self._database.fetch(deletion("one of anybody"), file_id)):
            raise not_found("File")

    async def _fetch(self, which: str, *args: Any) -> list[SharedFile]:
        query = QUERIES["shared"].replace("{these}", QUERIES[which])
        return [SharedFile.from_row(row) for row in await self._database.fetch(query, *args)]


def _pixels(value: Any) -> int | None:
    """Return a size that the wire can carry; what was read out of a file can be anything."""
    return value if type(value) is int and 0 <= value <= _MOST_PIXELS else None
