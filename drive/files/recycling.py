"""The recycle bin, and who may empty whose."""

from typing import Any
from uuid import UUID

from drive.clients.accounts import Account, AccountsClient
from drive.db.database import Database
from drive.errors import Code, DriveError, not_found
from drive.files.service import DELETION_PAGE, deletion
from drive.pools.service import Pools

_PERMISSION = "files.delete.recycle"


class Recycling:
    """Deletes files that are marked to be recycled.

    They go in pages, each a statement that commits by itself: no lock is held for long, and what a broken connection
    leaves is there for the next attempt. Requests at the same time delete each file once.
    """

    def __init__(self, database: Database, accounts: AccountsClient, pools: Pools) -> None:
        self._database = database
        self._accounts = accounts
        self._pools = pools

    async def purge_own(self, account: Account) -> int:
        """Delete the account's recycled files, and return how many these were."""
        return await self._purge("recycled of account", account.id)

    async def purge_pool(self, account: Account, pool_id: UUID) -> int:
        """Delete a pool's recycled files, whoever owns them, and return how many these were.

        Raises:
            DriveError: NOT_FOUND; FORBIDDEN for all but the pool's owner and superusers.

        """
        pool = await self._pools.get(pool_id)
        if account.is_superuser or pool.account_id == account.id:
            return await self._purge("recycled of pool", pool_id)
        if not pool.is_usable_by(account.id):
            raise not_found("Pool")
        raise DriveError(Code.FORBIDDEN, "Only the owner of a pool may empty its recycle bin.")

    async def purge_all(self, account: Account) -> int:
        """Delete all recycled files of all accounts, and return how many these were.

        Raises:
            DriveError: FORBIDDEN; UNAVAILABLE, where pass cannot say who may.

        """
        if not account.is_superuser and not await self._accounts.has_permission(account.id, _PERMISSION):
            raise DriveError(Code.FORBIDDEN, f"This takes the permission {_PERMISSION!r}.")
        return await self._purge("recycled")

    async def delete_all_of(self, account_id: UUID) -> int:
        """Delete all files of an account that is no more, and return how many these were."""
        return await self._purge("of account", account_id)

    async def _purge(self, which: str, *args: Any) -> int:
        query, count, is_over = deletion(which), 0, False
        while not is_over:
            page = await self._database.fetch(query, *args)
            count += len(page)
            is_over = len(page) < DELETION_PAGE
        return count
