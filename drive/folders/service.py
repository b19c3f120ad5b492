"""Which files are in which folders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from drive.db.database import Database, unique_or
from drive.db.queries import load_queries
from drive.errors import Code, DriveError, invalid, not_found
from drive.files.interfaces import CloudFile
from drive.files.service import ORDER_BY, Filter, deletion
from drive.folders.interfaces import Browsed, Cleared, Created, Everything, FileIndex, Found, Moved, Removed
from drive.folders.paths import normalise
from drive.ids import is_id

QUERIES = load_queries(__package__)

# All entries are read in the order of the account's files, for as long as the page lasts. Those of a folder are fetched
# first, and nothing is said of whose the files are: a plan made for any folder would search all files of the account.
_EVERYWHERE = "not materialized (select * from file_indexes where account_id = $1 and $2::text is null)"
_IN_FOLDER = "materialized (select * from file_indexes where account_id = $1 and path = $2)"
_OF_ACCOUNT = "f.account_id = $1 and "
_IN_NAME = "($3::text is null or position(lower($3) in lower(f.name)) > 0)"
_IN_ANY_TEXT = """(
    position(lower($3::text) in lower(f.name)) > 0
    or position(lower($3) in lower(f.description)) > 0
    or position(lower($3) in lower(f.mime_type)) > 0
)"""
_NO_FOLDERS = "null::text[]"
_FOLDERS_TAKE = 1000


@dataclass(frozen=True, slots=True)
class View:
    """Which part of a list of entries is shown, and in which order."""

    offset: int = 0
    take: int = 20
    part: str | None = None
    order: str = "date"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class _Listed:
    entries: list[FileIndex]
    total: int
    folders: list[str]


@dataclass(frozen=True, slots=True)
class _Entry:
    file_id: str
    file_name: str
    path: str


@dataclass(frozen=True, slots=True)
class _Gone:
    entries: list[_Entry]
    deleted_files: list[str]
    has_more: bool

    @classmethod
    def of(cls, rows: Sequence[Any], deleted_files: list[str]) -> "_Gone":
        """Build from rows of the query `remove`."""
        entries = [_Entry(row["file_id"], row["name"], row["path"]) for row in rows]
        return cls(entries, deleted_files, has_more=bool(rows) and rows[0]["has_more"])


class Folders:
    """The folders of accounts. They exist by what is in them: a path has no row of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def browse(self, account_id: UUID, path: str, view: View, *, folders_after: str | None = None) -> Browsed:
        """Return a page of the files in a folder, and up to 1000 folders directly in it, sorted.

        Raises:
            DriveError: VALIDATION_ERROR.

        """
        path = normalise(path)
        listed = await self._listed(account_id, path, view, _IN_NAME, folders_after, _FOLDERS_TAKE + 1)
        folders = listed.folders[:_FOLDERS_TAKE]
        return Browsed(
            path=path,
            files=listed.entries,
            folders=sorted(folders),
            folders_next=folders[-1] if len(listed.folders) > _FOLDERS_TAKE else None,
            total_count=listed.total,
        )

    async def everything(self, account_id: UUID, view: View) -> Everything:
        """Return a page of the files of all folders; one that is in several comes several times."""
        listed = await self._listed(account_id, None, view, _IN_NAME)
        return Everything(files=listed.entries, total_count=listed.total)

    async def search(self, account_id: UUID, query: str, path: str | None, view: View) -> Found:
        """Return a page of the files whose name, description or MIME type has a part, whatever the case.

        Raises:
            DriveError: VALIDATION_ERROR.

        """
        path = None if path is None else normalise(path)
        listed = await self._listed(account_id, path, view, _IN_ANY_TEXT)
        return Found(query=query, path=path, results=listed.entries, total_count=listed.total)

    async def unindexed(
        self, account_id: UUID, which: Filter, *, offset: int, take: int
    ) -> tuple[list[CloudFile], int]:
        """Return a page of the account's files that are in no folder, and how many there are in all."""
        query = QUERIES["unindexed"].replace("{order}", ORDER_BY[which.order, which.descending])
        rows = await self._database.fetch(
            query, account_id, which.pool_id, which.recycled, which.name_part, offset, take
        )
        return [CloudFile.from_row(row) for row in rows if row["id"] is not None], rows[0]["total"]

    async def create(self, account_id: UUID, file_id: str, path: str) -> Created:
        """Put an account's file into a folder.

        Raises:
            DriveError: NOT_FOUND; VALIDATION_ERROR, also where the file is there already; CONFLICT, where it is in the
                recycle bin.

        """
        path = normalise(path)
        row = await self._database.fetchrow(QUERIES["create"], account_id, path, file_id) if is_id(file_id) else None
        if row is None:
            raise not_found("File")
        if row["is_marked_recycle"]:
            raise DriveError(Code.CONFLICT, "The file is in the recycle bin. Take it out first.")
        if row["index_id"] is None:
            raise invalid("file_id", "this file is in this folder already")
        return Created(index_id=row["index_id"], file_id=file_id, path=path, message="File index created.")

    async def move(self, account_id: UUID, index_id: UUID, new_path: str) -> Moved:
        """Move an entry to another folder; it keeps its id.

        Raises:
            DriveError: NOT_FOUND; VALIDATION_ERROR; CONFLICT, where the file is in the other folder, too.

        """
        new_path = normalise(new_path, field="new_path")
        message = "The file is in that folder already. Remove one of both entries instead."
        with unique_or(DriveError(Code.CONFLICT, message)):
            row = await self._database.fetchrow(QUERIES["move"], account_id, index_id, new_path)
        if row is None:
            raise not_found("File index")
        return Moved(
            file_id=row["file_id"],
            index_id=row["id"],
            old_path=row["old_path"],
            new_path=new_path,
            message="File index moved.",
        )

    async def remove(self, account_id: UUID, index_id: UUID, *, delete_file: bool = False) -> Removed:
        """Take a file out of a folder, and delete it if that is wanted; it leaves all its other folders then, too.

        Raises:
            DriveError: NOT_FOUND.

        """
        removed = await self._removed(account_id, "i.id = $2", index_id, delete_files=delete_file)
        if not removed.entries:
            raise not_found("File index")
        entry = removed.entries[0]
        return Removed(
            message="File index removed, and the file deleted." if delete_file else "File index removed.",
            file_id=entry.file_id,
            file_name=entry.file_name,
            path=entry.path,
            file_data_deleted=entry.file_id in removed.deleted_files,
        )

    async def clear(self, account_id: UUID, path: str, *, delete_files: bool = False) -> tuple[Cleared, list[str]]:
        """Take up to 500 files out of a folder, but not out of those in it; also return the ids of those deleted.

        Raises:
            DriveError: VALIDATION_ERROR.

        """
        path = normalise(path)
        removed = await self._removed(account_id, "i.path = $2", path, delete_files=delete_files)
        count = len(removed.entries)
        cleared = Cleared(
            message=f"Removed {count} file indexes." + (" There are more." if removed.has_more else ""),
            path=path,
            removed_count=count,
            files_deleted=len(removed.deleted_files),
            has_more=removed.has_more,
        )
        return cleared, removed.deleted_files

    async def _listed(
        self,
        account_id: UUID,
        path: str | None,
        view: View,
        match: str,
        folders_after: str | None = None,
        folders_take: int = 0,
    ) -> _Listed:
        query = (
            QUERIES["listed"]
            .replace("{entries}", _EVERYWHERE if path is None else _IN_FOLDER)
            .replace("{match}", _OF_ACCOUNT + match if path is None else match)
            .replace("{order}", ORDER_BY[view.order, view.descending])
            .replace("{folders}", QUERIES["folders"] if folders_take else _NO_FOLDERS)
        )
        paging = (folders_after, folders_take) if folders_take else ()
        rows = await self._database.fetch(query, account_id, path, view.part, view.offset, view.take, *paging)
        return _Listed(
            entries=[FileIndex.from_row(row) for row in rows if row["index_id"] is not None],
            total=rows[0]["total"],
            folders=rows[0]["folders"] or [],
        )

    async def _removed(self, account_id: UUID, which: str, value: UUID | str, *, delete_files: bool) -> _Gone:
        query = QUERIES["remove"].replace("{which}", which)
        if not delete_files:
            return _Gone.of(await self._database.fetch(query, account_id, value), [])
        async with self._database.transaction() as connection:
            rows = await connection.fetch(query, account_id, value)
            file_ids = [row["file_id"] for row in rows]
            deleted = await connection.fetch(deletion("chosen"), account_id, file_ids) if file_ids else []
        return _Gone.of(rows, [row["id"] for row in deleted])
