"""What happens to what a deleted account had."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
import structlog

from drive.db.database import Database
from drive.db.queries import load_queries
from drive.events.consumer import UnusableMessageError
from drive.upkeep.folder_counts import FolderCounts

log = structlog.get_logger()

QUERIES = load_queries(__package__)

ACCOUNT_DELETED_HANDLER = "drive_account_deleted_handler"
"""The durable consumer of `account_deleted`."""

_PAGE = 500
_REQUEST_S = 60.0  # within which a request that a token was just remembered for has made its rows

# After the files, in this order: what refers to others goes before them.
_FORGET = (
    "forget_files",
    "forget_entries",
    "forget_uploads",
    "forget_bundles",
    "forget_quota",
    "forget_orders",
    "forget_experience",
    "forget_events",
    "forget_usage",
)


class AccountDeletion:
    """Removes all that an account has, and nothing of another's.

    The message that asks for it becomes a job, so that it is acknowledged at once and a worker that is killed loses
    nothing. The job removes in pages, each of which commits by itself: no lock is held for long, and what is done
    remains done. It can be repeated.

    Args:
        database: where it all is.
        delete_files: deletes an account's files, whose objects go by jobs then, and returns how many these were.
        token_lifetime_s: for how long processes remember whose a token is, and let it in.

    """

    def __init__(
        self, database: Database, delete_files: Callable[[UUID], Awaitable[int]], *, token_lifetime_s: float
    ) -> None:
        self._database = database
        self._delete_files = delete_files
        self._again_after_s = token_lifetime_s + _REQUEST_S

    async def ask(self, data: bytes) -> None:
        """Make a message `account_deleted` the job `delete_account`, where that does not wait already.

        Raises:
            UnusableMessageError: it names no account.
            DriveError: UNAVAILABLE.

        """
        await self._database.execute(QUERIES["ask_deletion"], account_in(data), self._again_after_s)

    async def delete(self, payload: dict[str, Any]) -> None:
        """Do the job `delete_account`."""
        account_id = UUID(payload["account_id"])
        uploads = await self._in_pages("end_uploads", account_id)
        files = await self._delete_files(account_id)
        removed = {name.removeprefix("forget_"): await self._in_pages(name, account_id) for name in _FORGET}
        await FolderCounts(self._database).fold_of(account_id)
        removed |= {"files": files, "uploads_in_progress": uploads}
        log.info("Account deleted", account_id=account_id, round=payload["round"], removed=removed)

    async def _in_pages(self, name: str, account_id: UUID) -> int:
        count, page = 0, _PAGE
        while page == _PAGE:
            page = await self._database.fetchval(QUERIES[name], account_id, _PAGE)
            count += page
        return count


def account_in(data: bytes) -> UUID:
    """Return whom a message `account_deleted` is about. Names are read in any case; other fields do not matter.

    Raises:
        UnusableMessageError: it does not say.

    """
    try:
        fields = {name.lower(): value for name, value in msgspec.json.decode(data, type=dict[str, Any]).items()}
        account_id = msgspec.convert(fields.get("account_id"), UUID)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableMessageError(f"It has no account_id: {error}") from error
    if account_id.int == 0:
        raise UnusableMessageError("Its account_id is zero, which is nobody's.")
    return account_id
