"""What clients say and are told of uploads."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec

from drive.files.interfaces import CloudFile, Permission, Visibility
from drive.mime import is_inline_safe


class TaskStatus(IntEnum):
    """As on the wire."""

    PENDING = 0
    IN_PROGRESS = 1
    PAUSED = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5
    EXPIRED = 6


class CreateUpload(msgspec.Struct, kw_only=True, frozen=True):
    """The body of `create`. Sizes are bytes."""

    hash: str
    file_name: str
    file_size: int
    content_type: str
    pool_id: UUID | None = None
    bundle_id: UUID | None = None
    encrypt_password: str | None = None
    expired_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    chunk_size: int | None = None
    path: str | None = None
    visibility: Visibility = Visibility.PUBLIC
    realm_id: UUID | None = None

    @property
    def permission(self) -> Permission:
        """Whom the file will be for."""
        return Permission(visibility=self.visibility, realm_id=self.realm_id)


class CreatedUpload(msgspec.Struct, kw_only=True, frozen=True):
    """The answer to `create`: the file if the account already has it, else the task to send chunks to."""

    file_exists: bool
    file: CloudFile | None = None
    task_id: str | None = None
    chunk_size: int | None = None
    chunks_count: int | None = None


class UploadProgress(msgspec.Struct, kw_only=True, frozen=True):
    """Where an upload is; `progress` is 0 to 100. Sizes are bytes."""

    task_id: str
    file_name: str
    file_size: int
    content_type: str
    chunk_size: int
    chunks_count: int
    chunks_uploaded: int
    progress: float
    status: TaskStatus
    last_activity: datetime
    uploaded_chunks: list[int]


class Message(msgspec.Struct, frozen=True):
    """An answer that only says something."""

    message: str


@dataclass(frozen=True, slots=True)
class Task:
    """An upload, as it stands in the database."""

    id: str
    account_id: UUID
    status: TaskStatus
    file_id: str
    object_id: str
    file_name: str
    content_type: str
    size_bytes: int
    chunk_size_bytes: int
    chunks_count: int
    sha256: bytes | None
    pool_id: UUID
    last_activity_at: datetime
    expires_at: datetime
    tus_offset_bytes: int | None
    """How much of an upload that comes by tus has arrived; None of one that comes in chunks."""
    tus_metadata: str | None
    """The header `Upload-Metadata`, as its client has sent it."""

    @classmethod
    def from_row(cls, row: Any) -> "Task":
        """Build from a row of `upload_tasks`."""
        return cls(**{name: row[name] for name in cls.__slots__} | {"status": TaskStatus(row["status"])})

    @property
    def mime_type(self) -> str:
        """What its object is stored as: where a store serves it by itself, nothing may run there either."""
        return self.content_type if is_inline_safe(self.content_type) else "application/octet-stream"

    @property
    def is_tus(self) -> bool:
        """Whether it comes by tus rather than in chunks."""
        return self.tus_offset_bytes is not None

    def chunk_bytes(self, index: int) -> int:
        """Return how many bytes a chunk must have: all but the last are of one size."""
        return min(self.chunk_size_bytes, self.size_bytes - index * self.chunk_size_bytes)

    def progress(self, uploaded_chunks: list[int]) -> UploadProgress:
        """Return what a client is shown."""
        done = self.status is TaskStatus.COMPLETED or not self.chunks_count
        return UploadProgress(
            task_id=self.id,
            file_name=self.file_name,
            file_size=self.size_bytes,
            content_type=self.content_type,
            chunk_size=self.chunk_size_bytes,
            chunks_count=self.chunks_count,
            chunks_uploaded=self.chunks_count if done else len(uploaded_chunks),
            progress=100.0 if done else 100 * len(uploaded_chunks) / self.chunks_count,
            status=self.status,
            last_activity=self.last_activity_at,
            uploaded_chunks=list(range(self.chunks_count)) if done else uploaded_chunks,
        )
