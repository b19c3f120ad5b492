"""Which files are in which folders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from drive.db.database import Database, unique_or
from drive.db.queries import load_queries
from drive.errors import Code, DriveError, invalid, not_found
from drive.files.interfaces import CloudFile
from drive.files.lists import ORDER_BY, Filter, files_in_folders, files_of_account, filled, matching
from drive.files.service import deletion
from drive.folders.interfaces import Browsed, Cleared, Created, Everything, FileIndex, Found, Moved, Removed
from drive.folders.paths import normalise
from drive.ids import is_id

QUERIES = load_queries(__package__)

# How a part is looked for among all files, where it is the fourth parameter, and among the entries of a folder.
_IN_ANY_TEXT = """(
    position(lower($4::text) in lower(f.name)) > 0
    or position(lower($4) in lower(f.description)) > 0
    or position(lower($4) in lower(f.mime_type)) > 0
)"""
_IN_NAME_OF_ENTRY = "($3::text is null or position(lower($3) in lower(f.name)) > 0)"
_IN_ANY_TEXT_OF_ENTRY = """exists (
    select from files t where t.id = f.id and (
        position(lower($3::text) in lower(t.name)) > 0
        or position(lower($3) in lower(t.description)) > 0
        or position(lower($3) in lower(t.mime_type)) > 0
    )
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

    @classmethod
    def of(cls, rows: Sequence[Any]) -> "_Listed":
        """Build from rows of the queries `in_folder` and `in_folders`."""
        entries = [FileIndex.from_row(row) for row in rows if row["index_id"] is not None]
        return cls(entries, rows[0]["total"], rows[0]["folders"] or [])


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
        listed = await self._in_folder(account_id, path, view, _IN_NAME_OF_ENTRY, folders_after, _FOLDERS_TAKE + 1)
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
        listed = await self._in_folders(account_id, view, matching(view.part))
        return Everything(files=listed.entries, total_count=listed.total)

    async def search(self, account_id: UUID, query: str, path: str | None, view: View) -> Found:
        """Return a page of the files whose name, description or MIME type has a part, whatever the case.

        Raises:
            DriveError: VALIDATION_ERROR.

        """
        if path is None:
            listed = await self._in_folders(account_id, view, _IN_ANY_TEXT)
        else:
            path = normalise(path)
            listed = await self._in_folder(account_id, path, view, _IN_ANY_TEXT_OF_ENTRY)
        return Found(query=query, path=path, results=listed.entries, total_count=listed.total)

    async def unindexed(
        self, account_id: UUID, which: Filter, *, offset: int, take: int
    ) -> tuple[list[CloudFile], int]:
        """Return a page of the account's files that are in no folder, and how many there are in all."""
        return await files_of_account(self._database, account_id, which, offset=offset, take=take, unindexed=True)

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

    async def _in_folder(
        self,
        account_id: UUID,
        path: str,
        view: View,
        match: str,
        folders_after: str | None = None,
        folders_take: int = 0,
    ) -> _Listed:
        parts = {
            "{match}": match,
            "{order}": ORDER_BY[view.order, view.descending],
            "{folders}": QUERIES["folders"] if folders_take else _NO_FOLDERS,
        }
        query = filled(QUERIES["in_folder"], parts)
        paging = (folders_after, folders_take) if folders_take else ()
        return _Listed.of(
            await self._database.fetch(query, account_id, path, view.part, view.offset, view.take, *paging)
        )

    async def _in_folders(self, account_id: UUID, view: View, match: str) -> _Listed:
        query = files_in_folders(QUERIES["in_folders"], match, ORDER_BY[view.order, view.descending])
        of_any_pool, recycled = None, False
        return _Listed.of(
            await self._database.fetch(query, account_id, of_any_pool, recycled, view.part, view.offset, view.take)
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
