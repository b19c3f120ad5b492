"""Which pools there are."""

from uuid import UUID

from drive.db.database import Database
from drive.db.queries import load_queries
from drive.errors import not_found
from drive.pools.interfaces import Pool

QUERIES = load_queries(__package__)


class Pools:
    """Looks pools up. They change rarely, but a query by key costs less than a cache that is wrong."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(self, account_id: UUID) -> list[Pool]:
        """Return the pools that the account can see, oldest first."""
        return [Pool.from_row(row) for row in await self._database.fetch(QUERIES["listed"], account_id)]

    async def get(self, pool_id: UUID) -> Pool:
        """Return a pool, whoever may use it.

        Raises:
            DriveError: NOT_FOUND.

        """
        row = await self._database.fetchrow(QUERIES["by_id"], pool_id)
        if row is None:
            raise not_found("Pool")
        return Pool.from_row(row)

    async def usable(self, pool_id: UUID, account_id: UUID) -> Pool:
        """Return a pool that the account may upload to.

        Raises:
            DriveError: NOT_FOUND; another account's private pool is as good as absent.

        """
        pool = await self.get(pool_id)
        if not pool.is_usable_by(account_id):
            raise not_found("Pool")
        return pool
