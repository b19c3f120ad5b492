"""What clients are shown of quota and usage."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class Quota(msgspec.Struct, kw_only=True, frozen=True):
    """An account's quota in MiB."""

    based_quota: int
    extra_quota: int
    total_quota: int


class PoolUsage(msgspec.Struct, kw_only=True, frozen=True):
    """What an account's files in one pool take up; `cost` is MiB of quota, what is in the recycle bin included."""

    pool_id: UUID
    pool_name: str
    usage_bytes: int
    cost: float
    file_count: int


class Usage(msgspec.Struct, kw_only=True, frozen=True):
    """What an account's files take up; quotas are MiB."""

    pool_usages: list[PoolUsage]
    total_usage_bytes: int
    total_file_count: int
    total_quota: int
    used_quota: float


class QuotaRecord(msgspec.Struct, kw_only=True, frozen=True):
    """Quota that an account was given beside that of its subscription; `quota` is MiB."""

    id: UUID
    account_id: UUID
    name: str
    description: str
    quota: int
    expired_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @classmethod
    def from_row(cls, row: Any) -> "QuotaRecord":
        """Build from a row of `quota_records`."""
        names = ("id", "account_id", "name", "description", "expired_at", "created_at", "updated_at")
        return cls(quota=row["quota_mib"], **{name: row[name] for name in names})
