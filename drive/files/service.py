"""What can be done with files."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from drive.bundles.access import BundleAccess
from drive.bundles.interfaces import Guard, Visitor
from drive.clients.realms import RealmsClient
from drive.db.database import Database
from drive.db.loader import Loader
from drive.errors import Code, DriveError, not_found
from drive.files.interfaces import CloudFile, Mark, Permission, Visibility
from drive.files.lists import QUERIES, Filter, files_of_account
from drive.ids import is_id

DELETION_PAGE = 500
_DELETIONS = {
    "chosen": "account_id = $1 and id = any($2)",
    "of account": "account_id = $1",
    "one of anybody": "id = $1",
    "recycled of account": "is_marked_recycle and account_id = $1",
    "recycled of pool": "is_marked_recycle and pool_id = $1",
    "recycled": "is_marked_recycle",
    "expired": (
        "id in (select id from files where expired_at <= now() and deleted_at is null order by expired_at limit {page})"
    ),
}


class Files:
    """Files by id, and the files of an account."""

    def __init__(self, database: Database, bundle_access: BundleAccess, realms: RealmsClient) -> None:
        self._database = database
        self._bundle_access = bundle_access
        self._realms = realms
        self._guarded = Loader(database, QUERIES, "guarded_by_id")

    async def get(self, file_id: str) -> CloudFile:
        """Return a file that is not deleted.

        Raises:
            DriveError: NOT_FOUND.

        """
        return CloudFile.from_row(await self._row("by_id", file_id))

    async def readable(self, file_id: str, visitor: Visitor) -> CloudFile:
        """Return a file that the visitor may see: its permission, its pool and its bundle must all agree.

        Raises:
            DriveError: NOT_FOUND; UNAUTHORIZED where the pool does not serve anonymous readers; UNAVAILABLE where pass
                cannot say who the visitor is, or whether it belongs to the realm; for a file in a bundle, as
                `BundleAccess.check`.

        """
        row = await self._guarded.row(file_id) if is_id(file_id) else None
        if row is None:
            raise not_found("File")
        file = CloudFile.from_row(row)
        await self._check_permission(file, visitor)
        if not file.pool.policy_config.allow_anonymous and await visitor.identify() is None:
            raise DriveError(Code.UNAUTHORIZED, "This file is only for those who have signed in.")
        if _is_for_its_owner_only(file) and await visitor.identify() != file.account_id:
            raise not_found("File")
        if file.bundle_id is not None:
            await self._bundle_access.check(Guard.from_row(row, "b_"), visitor, "File")
        return file

    async def mine(self, account_id: UUID, which: Filter, *, offset: int, take: int) -> tuple[list[CloudFile], int]:
        """Return a page of an account's files, and how many there are in all."""
        return await files_of_account(self._database, account_id, which, offset=offset, take=take)

    async def rename(self, account_id: UUID, file_id: str, name: str) -> CloudFile:
        """Rename an account's file.

        Raises:
            DriveError: NOT_FOUND; another account's file is as good as absent.

        """
        return await self._changed("rename", account_id, file_id, name)

    async def mark(self, account_id: UUID, file_id: str, marks: list[Mark] | None) -> CloudFile:
        """Replace the sensitive marks of an account's file; they are kept in order, each once.

        Raises:
            DriveError: NOT_FOUND; another account's file is as good as absent.

        """
        distinct = None if marks is None else sorted({int(mark) for mark in marks})
        return await self._changed("set_marks", account_id, file_id, distinct)

    async def describe(self, account_id: UUID, file_id: str, user_meta: dict[str, Any]) -> CloudFile:
        """Replace what the owner has noted of a file.

        Raises:
            DriveError: NOT_FOUND; another account's file is as good as absent.

        """
        return await self._changed("set_meta", account_id, file_id, user_meta)

    async def permit(self, account_id: UUID, file_id: str, wanted: Permission) -> CloudFile:
        """Set whom an account's file is for. Whether the account may is for `Permissions` to check.

        Raises:
            DriveError: NOT_FOUND; another account's file is as good as absent.

        """
        return await self._changed("set_permission", account_id, file_id, wanted.visibility.value, wanted.realm_id)

    async def recycle(self, account_id: UUID, file_id: str, *, recycled: bool) -> CloudFile:
        """Put an account's file into the recycle bin, where only its owner sees it, or take it out again.

        Raises:
            DriveError: NOT_FOUND; another account's file is as good as absent.

        """
        return await self._changed("set_recycled", account_id, file_id, recycled)

    async def delete(self, account_id: UUID, file_id: str) -> CloudFile:
        """Delete an account's file; its bytes go too, unless another file of the account shares them.

        Raises:
            DriveError: NOT_FOUND; another account's file is as good as absent.

        """
        file = await self.get(file_id)
        if not await self.delete_many(account_id, [file_id]):
            raise not_found("File")
        return file

    async def delete_many(self, account_id: UUID, file_ids: list[str]) -> list[str]:
        """Delete those of up to `DELETION_PAGE` files that are the account's, in one statement; return their ids."""
        known = [file_id for file_id in file_ids if is_id(file_id)]
        return [row["id"] for row in await self._database.fetch(deletion("chosen"), account_id, known)]

    async def _check_permission(self, file: CloudFile, visitor: Visitor) -> None:
        if file.visibility is Visibility.PUBLIC:
            return
        reader_id = await visitor.identify()
        if reader_id == file.account_id:
            return
        if reader_id and file.realm_id and await self._realms.is_member(file.realm_id, reader_id):
            return
        raise not_found("File")

    async def _row(self, query: str, file_id: str) -> Any:
        row = await self._database.fetchrow(QUERIES[query], file_id) if is_id(file_id) else None
        if row is None:
            raise not_found("File")
        return row

    async def _changed(self, query: str, account_id: UUID, file_id: str, *values: Any) -> CloudFile:
        known = is_id(file_id) and await self._database.fetchval(QUERIES[query], file_id, account_id, *values)
        if not known:
            raise not_found("File")
        return await self.get(file_id)


def deletion(which: str) -> str:
    """Return the statement that deletes up to `DELETION_PAGE` of these files."""
    return QUERIES["delete"].replace("{which}", _DELETIONS[which]).replace("{page}", str(DELETION_PAGE))


def _is_for_its_owner_only(file: CloudFile) -> bool:
    """Tell whether a file waits to be deleted: its owner still sees it, and what it takes up."""
    return file.is_marked_recycle or (file.expired_at is not None and file.expired_at <= datetime.now(UTC))
