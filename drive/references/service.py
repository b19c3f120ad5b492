"""What can be done with references."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from drive.db.database import Database
from drive.db.queries import load_queries
from drive.errors import Code, DriveError, invalid
from drive.ids import is_id
from drive.references.interfaces import FileReference, Use, check_resource_id, check_usage

QUERIES = load_queries(__package__)

MOST_ASKED = 1000
"""Files or resources that one request may name."""
MOST_ANSWERED = 10_000
"""References that one answer can hold."""

_SHOWN_IDS = 10
_SHOWN_ID_CHARS = 40


class References:
    """Who uses which file. An expired reference is none, and a deleted file has none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, file_id: str, *, offset: int, take: int) -> tuple[list[FileReference], int]:
        """Return a page of the references to a file, oldest first, and how many there are in all."""
        if not is_id(file_id):
            return [], 0
        rows = await self._database.fetch(QUERIES["of_file"], file_id, offset, take)
        return [FileReference.from_row(row) for row in rows if row["id"] is not None], rows[0]["total"]

    async def of_file(self, file_id: str) -> list[FileReference]:
        """Return all references to a file, oldest first.

        Raises:
            DriveError: TOO_LARGE, above `MOST_ANSWERED`.

        """
        references, total = await self.page(file_id, offset=0, take=MOST_ANSWERED)
        if total > MOST_ANSWERED:
            raise _too_many(f"The file has {total} references", "Ask for their count, or by resource.")
        return references

    async def of_resource(self, resource_id: str, usage: str | None) -> list[FileReference]:
        """Return what a resource uses for one usage, or, where that is None, for all of them; oldest first.

        Raises:
            DriveError: VALIDATION_ERROR; TOO_LARGE, above `MOST_ANSWERED`.

        """
        _check_use(resource_id, usage)
        rows = await self._database.fetch(QUERIES["of_resource"], resource_id, usage, MOST_ANSWERED + 1)
        if len(rows) > MOST_ANSWERED:
            raise _too_many("The resource has more references", "Ask for one usage at a time.")
        return [FileReference.from_row(row) for row in rows]

    async def count(self, file_id: str) -> int:
        """Return how many references a file has; an unknown one has none."""
        return await self._database.fetchval(QUERIES["count"], file_id) if is_id(file_id) else 0

    async def exist(self, file_id: str) -> bool:
        """Tell whether a file has any reference; an unknown one has none."""
        return is_id(file_id) and await self._database.fetchval(QUERIES["exists"], file_id)

    async def create(self, file_ids: Sequence[str], use: Use, expired_at: datetime | None) -> list[FileReference]:
        """Let a resource use these files until a moment, or for ever; return the references in the order of the files.

        What is there already is kept, and its expiry replaced: a call that is repeated changes nothing.

        Raises:
            DriveError: VALIDATION_ERROR; NOT_FOUND, where one of the files is unknown, and then nothing is done.

        """
        distinct = _distinct(file_ids)
        if not distinct:
            return []
        _check_known(distinct, {it for it in distinct if is_id(it)})
        rows = await self._database.fetch(QUERIES["create"], distinct, use.resource_id, use.usage, expired_at)
        return _made(distinct, rows)

    async def replace(self, file_ids: Sequence[str], use: Use, expired_at: datetime | None) -> list[FileReference]:
        """Let a resource use exactly these files, and return the references in the order of the files.

        The expiry is that of those which are added; the others keep theirs.

        Raises:
            DriveError: VALIDATION_ERROR; NOT_FOUND, where one of the files is unknown, and then nothing is done.

        """
        distinct = _distinct(file_ids)
        _check_known(distinct, {it for it in distinct if is_id(it)})
        async with self._database.transaction() as transaction:
            await transaction.execute(QUERIES["lock_use"], use.resource_id, use.usage)
            rows = await transaction.fetch(QUERIES["replace"], distinct, use.resource_id, use.usage, expired_at)
            return _made(distinct, rows)

    async def delete(self, reference_id: UUID) -> bool:
        """Delete a reference; False where there is none."""
        return bool(await self._database.fetchval(QUERIES["delete"], reference_id))

    async def delete_of(self, resource_ids: Sequence[str], usage: str | None) -> int:
        """Delete what resources use for one usage, or, where that is None, for all; return how many these were.

        Raises:
            DriveError: VALIDATION_ERROR.

        """
        distinct = _distinct(resource_ids, "resource_ids")
        for resource_id in distinct:
            _check_use(resource_id, usage)
        if not distinct:
            return 0
        return int(await self._database.fetchval(QUERIES["delete_of_resources"], distinct, usage))

    async def expire(self, reference_id: UUID, expired_at: datetime | None) -> bool:
        """Let a reference end at a moment, or never; False where there is none."""
        return await self._database.fetchval(QUERIES["expire"], reference_id, expired_at) is not None

    async def expire_of_file(self, file_id: str, expired_at: datetime) -> int:
        """Let all references to a file end at a moment; return how many these are."""
        if not is_id(file_id):
            return 0
        return int(await self._database.fetchval(QUERIES["expire_of_file"], file_id, expired_at))


def _distinct(ids: Sequence[str], field: str = "file_ids") -> list[str]:
    """Return each id once, in order."""
    if len(ids) > MOST_ASKED:
        raise invalid(field, f"must be at most {MOST_ASKED}.")
    return list(dict.fromkeys(ids))


def _made(file_ids: list[str], rows: list[Any]) -> list[FileReference]:
    _check_known(file_ids, {row["asked_id"] for row in rows if row["is_known"]})
    return [FileReference.from_row(row) for row in rows]


def _check_known(file_ids: list[str], known: set[str]) -> None:
    """Name the files that are unknown, as far as a message can hold them."""
    unknown = [file_id[:_SHOWN_ID_CHARS] for file_id in file_ids if file_id not in known]
    if not unknown:
        return
    more = f" and {len(unknown) - _SHOWN_IDS} more" if len(unknown) > _SHOWN_IDS else ""
    names = ", ".join(map(repr, unknown[:_SHOWN_IDS]))
    raise DriveError(Code.NOT_FOUND, f"There is no file {names}{more}. Nothing was changed.")


def _check_use(resource_id: str, usage: str | None) -> None:
    check_resource_id(resource_id)
    if usage is not None:
        check_usage(usage)


def _too_many(what: str, hint: str) -> DriveError:
    return DriveError(Code.TOO_LARGE, f"{what}; an answer holds at most {MOST_ANSWERED}. {hint}")
