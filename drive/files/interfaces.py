"""What clients are shown of a file."""

from datetime import datetime
from enum import Enum, IntEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec

from drive.pools.interfaces import Pool


class Mark(IntEnum):
    """What a file may show that not everybody wants to see; as on the wire."""

    LANGUAGE = 0
    SEXUAL_CONTENT = 1
    VIOLENCE = 2
    PROFANITY = 3
    HATE_SPEECH = 4
    RACISM = 5
    ADULT_CONTENT = 6
    DRUG_ABUSE = 7
    ALCOHOL_ABUSE = 8
    GAMBLING = 9
    SELF_HARM = 10
    CHILD_ABUSE = 11
    OTHER = 12


class Visibility(Enum):
    """Whom a file is for, beside its owner."""

    PUBLIC = "public"
    """Everybody, as far as its pool and its bundle let them."""
    PRIVATE = "private"
    """Nobody."""
    REALM = "realm"
    """The members of one realm."""


class Permission(msgspec.Struct, kw_only=True, frozen=True):
    """The body of `permission`; the realm is given with the visibility `realm` alone."""

    visibility: Visibility
    realm_id: UUID | None = None


PUBLIC = Permission(visibility=Visibility.PUBLIC)


class SetMarks(msgspec.Struct, kw_only=True, frozen=True):
    """The body of `marks`; null says that nobody has looked at the file."""

    sensitive_marks: Annotated[list[Mark], msgspec.Meta(max_length=100)] | None


class DeleteBatch(msgspec.Struct, kw_only=True, frozen=True):
    """The body of `batches/delete`."""

    file_ids: Annotated[list[str], msgspec.Meta(max_length=100)] = []


class Count(msgspec.Struct, frozen=True):
    """How many files were deleted."""

    count: int


class Variant(msgspec.Struct, frozen=True):
    """What was made of a file."""

    size_bytes: int
    mime_type: str


class CloudFile(msgspec.Struct, kw_only=True, frozen=True):
    """A file, with the original service's field names. `size` is bytes, `hash` the SHA-256 of the content in hex."""

    id: str
    name: str
    description: str | None
    file_meta: Any
    user_meta: Any
    sensitive_marks: list[int] | None
    mime_type: str
    hash: str
    expired_at: datetime | None
    size: int
    uploaded_at: datetime | None
    has_compression: bool
    has_thumbnail: bool
    variants: dict[str, Variant]
    is_encrypted: bool
    pool: Pool
    pool_id: UUID
    bundle_id: UUID | None
    visibility: Visibility
    realm_id: UUID | None
    is_marked_recycle: bool
    storage_id: str
    storage_url: str | None
    references: list[Any]
    account_id: UUID
    resource_identifier: str
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @classmethod
    def from_row(cls, row: Any) -> "CloudFile":
        """Build from a row of the view `file_details`."""
        return cls(
            id=row["id"],
            name=row["name"],
            description=row["description"],
            file_meta=row["file_meta"],
            user_meta=row["user_meta"],
            sensitive_marks=row["sensitive_marks"],
            mime_type=row["mime_type"],
            hash=row["sha256"].hex(),
            expired_at=row["expired_at"],
            size=row["size_bytes"],
            uploaded_at=row["uploaded_at"],
            has_compression=row["has_compression"],
            has_thumbnail=row["has_thumbnail"],
            variants=msgspec.convert(row["variants"], dict[str, Variant]),
            is_encrypted=row["is_encrypted"],
            pool=Pool.from_row(row, "pool_"),
            pool_id=row["pool_id"],
            bundle_id=row["bundle_id"],
            visibility=Visibility(row["visibility"]),
            realm_id=row["realm_id"],
            is_marked_recycle=row["is_marked_recycle"],
            storage_id=row["object_id"],
            storage_url=row["storage_url"],
            references=[],
            account_id=row["account_id"],
            resource_identifier=f"file:{row['id']}",
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )

    @property
    def permission(self) -> Permission:
        """Whom the file is for."""
        return Permission(visibility=self.visibility, realm_id=self.realm_id)
