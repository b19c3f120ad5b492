"""What clients say and are shown of folders, with the original service's field names."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from drive.files.interfaces import CloudFile


class CreateIndex(msgspec.Struct, kw_only=True, frozen=True):
    """The body of `create`."""

    file_id: Annotated[str, msgspec.Meta(max_length=32)]
    path: str


class MoveIndex(msgspec.Struct, kw_only=True, frozen=True):
    """The body of `move`."""

    new_path: str


class FileIndex(msgspec.Struct, kw_only=True, frozen=True):
    """A file in a folder; it can be in many."""

    id: UUID
    path: str
    file_id: str
    file: CloudFile
    account_id: UUID
    account: None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @classmethod
    def from_row(cls, row: Any) -> "FileIndex":
        """Build from a row of the queries `in_folder` and `in_folders`."""
        return cls(
            id=row["index_id"],
            path=row["index_path"],
            file_id=row["id"],
            file=CloudFile.from_row(row),
            account_id=row["account_id"],
            created_at=row["index_created_at"],
            updated_at=row["index_updated_at"],
        )


class Browsed(msgspec.Struct, kw_only=True, frozen=True):
    """A page of a folder's files, and the folders directly in it.

    Where there are more folders, `folders_next` is what `foldersAfter` takes to show these.
    """

    path: str
    files: list[FileIndex]
    folders: list[str]
    folders_next: str | None
    total_count: int


class Everything(msgspec.Struct, kw_only=True, frozen=True):
    """A page of the files of all folders."""

    files: list[FileIndex]
    total_count: int


class Found(msgspec.Struct, kw_only=True, frozen=True):
    """A page of what was found."""

    query: str
    path: str | None
    results: list[FileIndex]
    total_count: int


class Created(msgspec.Struct, kw_only=True, frozen=True):
    """A file was put into a folder."""

    index_id: UUID
    file_id: str
    path: str
    message: str


class Moved(msgspec.Struct, kw_only=True, frozen=True):
    """A file was moved from one folder to another."""

    file_id: str
    index_id: UUID
    old_path: str
    new_path: str
    message: str


class Removed(msgspec.Struct, kw_only=True, frozen=True):
    """A file was taken out of a folder; `file_data_deleted` says whether the file itself was deleted, too."""

    message: str
    file_id: str
    file_name: str
    path: str
    file_data_deleted: bool


class Cleared(msgspec.Struct, kw_only=True, frozen=True):
    """Files were taken out of a folder; where `has_more`, others are left for the next request."""

    message: str
    path: str
    removed_count: int
    files_deleted: int
    has_more: bool
