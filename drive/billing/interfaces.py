"""What clients are shown of quota and usage."""

from uuid import UUID

import msgspec


class Quota(msgspec.Struct, kw_only=True, frozen=True):
    """An account's quota in MiB."""

    based_quota: int
    extra_quota: int
    total_quota: int


class PoolUsage(msgspec.Struct, kw_only=True, frozen=True):
    """What an account's files in one pool take up; `cost` is MiB of quota."""

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
