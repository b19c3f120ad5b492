"""What clients are shown of a pool, and what uploads ask of it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec

from drive.errors import Code, DriveError

DURATION = re.compile(r"(\d{1,7}):([0-5]\d):([0-5]\d)")
"""H:MM:SS, as clients are shown how long a pool keeps files."""

_MOST_EXPERIENCE = 1_000_000


class Policy(msgspec.Struct, kw_only=True, frozen=True):
    """What may be uploaded to a pool, and by whom."""

    enable_fast_upload: bool = False
    enable_recycle: bool = False
    public_indexable: bool = False
    public_usable: bool = False
    no_optimization: bool = False
    no_metadata: bool = False
    allow_encryption: bool = True
    allow_anonymous: bool = True
    accept_types: list[str] | None = None
    max_file_size: int | None = None
    require_privilege: int = 0
    min_social_credits: float | None = None
    """What public files take of their owners, where the pool serves anonymous readers."""
    daily_experience: Annotated[int, msgspec.Meta(ge=0, le=_MOST_EXPERIENCE)] = 0
    """What the first upload of a day gives."""

    def check(self, *, content_type: str, size_bytes: int, tier: int, pool_name: str) -> None:
        """Refuse what the pool does not take.

        Raises:
            DriveError: FORBIDDEN, or VALIDATION_ERROR where a content type is missing.

        """
        if tier < self.require_privilege:
            message = f"Pool {pool_name!r} needs a subscription of tier {self.require_privilege}; yours is {tier}."
            raise DriveError(Code.FORBIDDEN, message)
        if self.accept_types and not any(_accepts(pattern, content_type) for pattern in self.accept_types):
            accepted = ", ".join(self.accept_types)
            raise DriveError(Code.FORBIDDEN, f"Pool {pool_name!r} takes {accepted}, not {content_type!r}.")
        if self.max_file_size is not None and size_bytes > self.max_file_size:
            message = f"Pool {pool_name!r} takes files of at most {self.max_file_size} bytes."
            raise DriveError(Code.FORBIDDEN, message)


class StorageConfig(msgspec.Struct, kw_only=True, frozen=True):
    """Where a pool stores, without anything that would let a client in."""

    region: str | None = None
    bucket: str | None = None
    endpoint: str | None = None
    access_endpoint: str | None = None
    enable_signed: bool = False
    enable_ssl: bool = False
    image_proxy: str | None = None
    access_proxy: str | None = None
    expiration: str | None = None


class BillingConfig(msgspec.Struct, kw_only=True, frozen=True):
    """What a byte in this pool counts."""

    cost_multiplier: float = 1.0


class Pool(msgspec.Struct, kw_only=True, frozen=True):
    """A pool, as clients see it."""

    id: UUID
    name: str
    description: str
    storage_config: StorageConfig
    billing_config: BillingConfig
    policy_config: Policy
    is_hidden: bool
    account_id: UUID | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    resource_identifier: str = ""

    @classmethod
    def from_row(cls, row: Any, prefix: str = "") -> "Pool":
        """Build from a row whose columns carry `prefix`."""
        return cls(
            id=row[prefix + "id"],
            name=row[prefix + "name"],
            description=row[prefix + "description"],
            storage_config=msgspec.convert(row[prefix + "storage_config"], StorageConfig),
            billing_config=BillingConfig(cost_multiplier=row[prefix + "cost_multiplier"]),
            policy_config=msgspec.convert(row[prefix + "policy_config"], Policy),
            is_hidden=row[prefix + "is_hidden"],
            account_id=row[prefix + "account_id"],
            created_at=row[prefix + "created_at"],
            updated_at=row[prefix + "updated_at"],
            resource_identifier=f"file.pool:{row[prefix + 'id']}",
        )

    def expiry(self, wanted: datetime | None) -> datetime | None:
        """Return when a file that is uploaded now expires: when its owner says, but no later than the pool keeps it."""
        found = DURATION.fullmatch(self.storage_config.expiration or "")
        if not found:
            return wanted
        hours, minutes, seconds = map(int, found.groups())
        latest = datetime.now(UTC) + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return min(wanted or latest, latest)

    def is_usable_by(self, account_id: UUID) -> bool:
        """Tell whether the account may upload here."""
        return self.policy_config.public_usable or self.account_id == account_id


def _accepts(pattern: str, content_type: str) -> bool:
    """Match `image/png`, `image/*` or `*/*`, whatever the case and the parameters after a semicolon."""
    wanted, _, wanted_part = pattern.strip().lower().partition("/")
    given, _, given_part = content_type.partition(";")[0].strip().lower().partition("/")
    return wanted in {given, "*"} and wanted_part in {given_part, "*"}
