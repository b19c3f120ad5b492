"""What can be done with files."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from drive.db.database import Database
from drive.db.queries import load_queries
from drive.errors import Code, DriveError, not_found
from drive.files.interfaces import CloudFile
from drive.ids import is_id

QUERIES = load_queries(__package__)

# By name and whether descending. Ties are broken so that each is one of the indexes, read in one direction.
_ORDERS = {
    ("date", True): "created_at desc, id",
    ("date", False): "created_at, id desc",
    ("name", True): "name desc, id desc",
    ("name", False): "name, id",
    ("size", True): "size_bytes desc, id desc",
    ("size", False): "size_bytes, id",
}
ORDERS = frozenset(name for name, _ in _ORDERS)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of an account's files a listing shows, and in which order."""

    pool_id: UUID | None = None
    recycled: bool = False
    name_part: str | None = None
    order: str = "date"
    descending: bool = True


class Files:
    """Files by id, and the files of an account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, file_id: str) -> CloudFile:
        """Return a file that is not deleted.

        Raises:
            DriveError: NOT_FOUND.

        """
        row = await self._database.fetchrow(QUERIES["by_id"], file_id) if is_id(file_id) else None
        if row is None:
            raise not_found("File")
        return CloudFile.from_row(row)

    async def readable(self, file_id: str, reader: Callable[[], Awaitable[UUID | None]]) -> CloudFile:
        """Return a file that the reader may see. `reader` tells who it is, and is asked only where it matters.

        Raises:
            DriveError: NOT_FOUND; UNAUTHORIZED where the pool does not serve anonymous readers.

        """
        file = await self.get(file_id)
        if not file.pool.policy_config.allow_anonymous and await reader() is None:
            raise DriveError(Code.UNAUTHORIZED, "This file is only for those who have signed in.")
        if _is_for_its_owner_only(file) and await reader() != file.account_id:
            raise not_found("File")
        return file

    async def mine(self, account_id: UUID, which: Filter, *, offset: int, take: int) -> tuple[list[CloudFile], int]:
        """Return a page of an account's files, and how many there are in all."""
        query = QUERIES["mine"].replace("{order}", _ORDERS[which.order, which.descending])
        rows = await self._database.fetch(
            query, account_id, which.pool_id, which.recycled, which.name_part, offset, take
        )
        return [CloudFile.from_row(row) for row in rows if row["id"] is not None], rows[0]["total"]

    async def rename(self, account_id: UUID, file_id: str, name: str) -> CloudFile:
        """Rename an account's file.

        Raises:
            DriveError: NOT_FOUND; another account's file is as good as absent.

        """
        known = is_id(file_id) and await self._database.fetchval(QUERIES["rename"], file_id, account_id, name)
        if not known:
            raise not_found("File")
        return await self.get(file_id)

    async def delete(self, account_id: UUID, file_id: str) -> CloudFile:
        """Delete an account's file; its bytes go too, unless another file of the account shares them.

        Raises:
            DriveError: NOT_FOUND; another account's file is as good as absent.

        """
        file = await self.get(file_id)
        deleted = await self._database.fetch(QUERIES["delete"], account_id, [file_id])
        if not deleted:
            raise not_found("File")
        return file


def _is_for_its_owner_only(file: CloudFile) -> bool:
    """Tell whether a file waits to be deleted: its owner still sees it, and what it takes up."""
    return file.is_marked_recycle or (file.expired_at is not None and file.expired_at <= datetime.now(UTC))
