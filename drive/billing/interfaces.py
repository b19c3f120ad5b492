"""What clients are shown of quota and usage."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import msgspec

MOST_GIB = 1024
"""Of one order."""


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


class Offer(msgspec.Struct, kw_only=True, frozen=True):
    """What extra quota costs: `amount` is a decimal number, for each `quota_mib` of at most `most_gib` GiB."""

    quota_mib: int
    amount: str
    currency: str
    most_gib: int


class Offers(msgspec.Struct, kw_only=True, frozen=True):
    """What is sold, and what the account has to pay with: null without a wallet, or where nothing is sold."""

    offers: list[Offer]
    balance: str | None


class CreateOrder(msgspec.Struct, kw_only=True, frozen=True):
    """The body of an order."""

    quota_gib: Annotated[int, msgspec.Meta(ge=1, le=MOST_GIB)]


class Settlement(msgspec.Struct, kw_only=True, frozen=True):
    """The body of `settle`: whether pass has taken the money."""

    is_paid: bool


class OrderStatus(Enum):
    """Where an order is. Only an unpaid one can be paid or cancelled."""

    UNPAID = "unpaid"
    PAYING = "paying"
    UNCONFIRMED = "unconfirmed"
    """Pass was asked for the money, and nobody knows whether it took it."""
    PAID = "paid"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class QuotaOrder(msgspec.Struct, kw_only=True, frozen=True):
    """An order for extra quota; `amount` is a decimal number, `expired_at` when it can no longer be paid."""

    id: UUID
    account_id: UUID
    status: OrderStatus
    quota_mib: int
    amount: str
    currency: str
    expired_at: datetime
    paid_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_row(cls, row: Any) -> "QuotaOrder":
        """Build from a row of `quota_orders`, with `is_over` where its time is."""
        names = ("id", "account_id", "quota_mib", "currency", "expired_at", "paid_at", "created_at", "updated_at")
        status = OrderStatus(row["status"])
        if status is OrderStatus.UNPAID and row["is_over"]:
            status = OrderStatus.EXPIRED
        return cls(status=status, amount=f"{row['amount']:f}", **{name: row[name] for name in names})


class CreatedOrder(msgspec.Struct, kw_only=True, frozen=True):
    """A new order, and what the account has to pay it with; null without a wallet."""

    order: QuotaOrder
    balance: str | None
