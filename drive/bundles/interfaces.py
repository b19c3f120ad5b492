"""What clients say and are shown of bundles, and what a bundle asks of those who come for its files."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from drive.files.interfaces import CloudFile


class BundleBody(msgspec.Struct, kw_only=True, frozen=True):
    """The body of both `POST` and `PUT`. Null leaves a field as it is; an empty text clears it, where it may be absent.

    `expired_at` and `realm_id` are texts for that reason: a time with its time zone, and a UUID.
    """

    slug: str | None = None
    name: str | None = None
    description: str | None = None
    passcode: str | None = None
    expired_at: str | None = None
    realm_id: str | None = None


class FileBundle(msgspec.Struct, kw_only=True, frozen=True):
    """A bundle, with the original service's field names; of its passcode clients learn only whether there is one."""

    id: UUID
    slug: str
    name: str
    description: str
    has_passcode: bool
    realm_id: UUID | None
    files: list[CloudFile]
    expired_at: datetime | None
    account_id: UUID
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @classmethod
    def from_row(cls, row: Any, prefix: str = "", *, files: list[CloudFile] | None = None) -> "FileBundle":
        """Build from a row of `bundles` whose columns carry `prefix`."""
        names = "id slug name description realm_id expired_at account_id created_at updated_at"
        values = {name: row[prefix + name] for name in names.split()}
        return cls(**values, has_passcode=row[prefix + "passcode_hash"] is not None, files=files or [])


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who comes for a bundle or one of its files."""

    identify: Callable[[], Awaitable[UUID | None]]
    """Tells the account, None where nobody has signed in. It may ask pass, so it is called only where it matters."""
    passcode: str | None = field(repr=False)
    address: str | None
    """Where the request comes from, to count wrong passcodes by."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands between a bundle and its visitors."""

    bundle_id: UUID
    owner_id: UUID
    passcode_hash: str | None = field(repr=False)
    realm_id: UUID | None
    expired_at: datetime | None
    deleted_at: datetime | None

    @classmethod
    def from_row(cls, row: Any, prefix: str) -> "Guard":
        """Build from a row of `bundles` whose columns carry `prefix`."""
        return cls(
            bundle_id=row[prefix + "id"],
            owner_id=row[prefix + "account_id"],
            passcode_hash=row[prefix + "passcode_hash"],
            realm_id=row[prefix + "realm_id"],
            expired_at=row[prefix + "expired_at"],
            deleted_at=row[prefix + "deleted_at"],
        )

    def is_for_everybody(self) -> bool:
        """Tell whether the link is all that a visitor needs."""
        return self.passcode_hash is None and self.realm_id is None and not self.has_ended()

    def has_ended(self) -> bool:
        """Tell whether only the owner still sees what is in it."""
        is_expired = self.expired_at is not None and self.expired_at <= datetime.now(UTC)
        return is_expired or self.deleted_at is not None
