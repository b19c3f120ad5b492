"""How much an account may store, and how much it does."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drive.billing.interfaces import PoolUsage, Quota, QuotaRecord, Usage
from drive.clients.accounts import AccountsClient
from drive.db.database import Database
from drive.db.queries import load_queries
from drive.errors import not_found

QUERIES = load_queries(__package__)

MIB = 1024 * 1024


class Billing:
    """Quota from the subscription tier and from records; usage from the database's running totals."""

    def __init__(self, database: Database, accounts: AccountsClient, base_mib_by_tier: Mapping[int, int]) -> None:
        self._database = database
        self._accounts = accounts
        self._base_mib_by_tier = base_mib_by_tier

    async def quota(self, account_id: UUID) -> Quota:
        """Return the account's quota."""
        base = self._base_mib_by_tier[await self._accounts.tier(account_id)]
        extra = await self._database.fetchval(QUERIES["extra_quota"], account_id)
        return Quota(based_quota=base, extra_quota=extra, total_quota=base + extra)

    async def usage(self, account_id: UUID) -> Usage:
        """Return what the account's files take up, pool by pool."""
        quota = await self.quota(account_id)
        pools = [_pool_usage(row) for row in await self._database.fetch(QUERIES["usage"], account_id, None)]
        return Usage(
            pool_usages=pools,
            total_usage_bytes=sum(pool.usage_bytes for pool in pools),
            total_file_count=sum(pool.file_count for pool in pools),
            total_quota=quota.total_quota,
            used_quota=sum(pool.cost for pool in pools),
        )

    async def pool_usage(self, account_id: UUID, pool_id: UUID) -> PoolUsage:
        """Return what the account's files in one pool take up.

        Raises:
            DriveError: NOT_FOUND; a pool that the account neither sees nor uses is as good as absent.

        """
        row = await self._database.fetchrow(QUERIES["usage"], account_id, pool_id)
        if row is None:
            raise not_found("Pool")
        return _pool_usage(row)

    async def records(
        self, account_id: UUID, *, with_expired: bool, offset: int, take: int
    ) -> tuple[list[QuotaRecord], int]:
        """Return a page of the account's quota records, newest first, and how many there are in all."""
        rows = await self._database.fetch(QUERIES["records"], account_id, with_expired, offset, take)
        return [QuotaRecord.from_row(row) for row in rows if row["id"] is not None], rows[0]["total"]


def _pool_usage(row: Any) -> PoolUsage:
    size, multiplier = row["size_bytes"], row["cost_multiplier"]
    return PoolUsage(
        pool_id=row["id"],
        pool_name=row["name"],
        usage_bytes=size,
        cost=(size + row["recycled_bytes"]) * multiplier / MIB,
        file_count=row["file_count"],
    )
