"""What has become of an account's uploads."""

from uuid import UUID

from drive.clients.accounts import Account
from drive.db.database import Database
from drive.errors import Code, DriveError, not_found
from drive.ids import is_id
from drive.uploads.interfaces import TaskStatus
from drive.uploads.service import QUERIES
from drive.uploads.tasks import (
    BriefTask,
    ListedTask,
    Statistics,
    TaskDetails,
    activity,
    brief_task,
    listed_task,
    task_details,
)

_RECENT = 5

# By name and whether descending; a tie is broken by the id. The first is an index, read in either direction. The others
# sort what one account has: an index of theirs would be written with every chunk.
_ORDERS = {
    ("lastActivity", True): "last_activity_at desc, id",
    ("lastActivity", False): "last_activity_at, id desc",
    ("filename", True): "file_name desc, id",
    ("filename", False): "file_name, id desc",
    ("filesize", True): "size_bytes desc, id",
    ("filesize", False): "size_bytes, id desc",
    ("created", True): "created_at desc, id",
    ("created", False): "created_at, id desc",
    ("updated", True): "updated_at desc, id",
    ("updated", False): "updated_at, id desc",
}
ORDERS = frozenset(name for name, _ in _ORDERS)
STATUSES = {"".join(map(str.title, it.name.split("_"))): it for it in TaskStatus} | {
    str(int(it)): it for it in TaskStatus
}
"""By the name that clients know, and by number."""


class UploadHistory:
    """Lists, sums up and forgets uploads; each is one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(
        self, account_id: UUID, status: TaskStatus | None, *, order: str, descending: bool, offset: int, take: int
    ) -> tuple[list[ListedTask], int]:
        """Return a page of the account's uploads, and how many there are in all."""
        query = QUERIES["history"].replace("{order}", _ORDERS[order, descending])
        rows = await self._database.fetch(query, account_id, status, offset, take)
        return [listed_task(row) for row in rows if row["id"] is not None], rows[0]["total"]

    async def recent(self, account_id: UUID, take: int) -> list[BriefTask]:
        """Return the uploads of the latest activity."""
        return [brief_task(row) for row in await self._database.fetch(QUERIES["recent"], account_id, take)]

    async def details(self, account: Account, task_id: str) -> TaskDetails:
        """Return all that there is to say of an upload.

        Raises:
            DriveError: NOT_FOUND, FORBIDDEN.

        """
        row = await self._database.fetchrow(QUERIES["details"], task_id) if is_id(task_id) else None
        if row is None:
            raise not_found("Upload task")
        if row["account_id"] != account.id:
            raise DriveError(Code.FORBIDDEN, "This upload belongs to another account.")
        return task_details(row)

    async def statistics(self, account_id: UUID) -> Statistics:
        """Return the account's uploads in numbers."""
        rows = await self._database.fetch(QUERIES["statistics"], account_id, _RECENT)
        first = rows[0]
        return Statistics(
            total_tasks=first["total_tasks"],
            in_progress_tasks=first["in_progress_tasks"],
            completed_tasks=first["completed_tasks"],
            failed_tasks=first["failed_tasks"],
            expired_tasks=first["expired_tasks"],
            total_uploaded_bytes=first["completed_bytes"] + first["arrived_bytes"],
            average_progress=first["average_progress"],
            recent_activity=[activity(row) for row in rows if row["id"] is not None],
        )

    async def forget_failed(self, account_id: UUID) -> int:
        """Forget the account's uploads that ended without a file, and return how many these were."""
        forgotten: int = await self._database.fetchval(QUERIES["forget_failed"], account_id)
        return forgotten
