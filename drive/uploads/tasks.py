"""What clients are shown of uploads once they look back."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from drive.uploads.interfaces import Task, TaskStatus

_KIB = 1024
_MINUTE_S = 60
_HOUR_S = 3600


class TaskPool(msgspec.Struct, kw_only=True, frozen=True):
    """The pool that an upload goes to."""

    pool_id: UUID
    name: str


class TaskBundle(msgspec.Struct, kw_only=True, frozen=True):
    """The bundle that an upload goes to."""

    bundle_id: UUID


class Place(msgspec.Struct, kw_only=True, frozen=True):
    """A pool or a bundle, with what it is called."""

    id: UUID
    name: str
    description: str


class BriefTask(msgspec.Struct, kw_only=True, frozen=True):
    """An upload in one line; `progress` is 0 to 100, sizes are bytes."""

    task_id: str
    file_name: str
    file_size: int
    content_type: str
    progress: float
    status: TaskStatus
    last_activity: datetime
    created_at: datetime


class ListedTask(msgspec.Struct, kw_only=True, frozen=True):
    """An upload, with the original service's field names; `progress` is 0 to 100, sizes are bytes."""

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
    created_at: datetime
    updated_at: datetime
    uploaded_chunks: list[int]
    pool: TaskPool
    bundle: TaskBundle | None


class DetailedTask(ListedTask, kw_only=True, frozen=True):
    """What a listing leaves out: when the file is to expire, and the hash that was declared, if it was a SHA-256."""

    expired_at: datetime | None
    hash: str | None


class TaskDetails(msgspec.Struct, kw_only=True, frozen=True):
    """An upload and how fast it goes, in words; null where nobody can tell."""

    task: DetailedTask
    pool: Place
    bundle: Place | None
    estimated_time_remaining: str | None
    upload_speed: str | None


class Activity(msgspec.Struct, kw_only=True, frozen=True):
    """What an upload did last."""

    task_id: str
    file_name: str
    status: TaskStatus
    last_activity: datetime
    progress: float


class Statistics(msgspec.Struct, kw_only=True, frozen=True):
    """An account's uploads in numbers; `average_progress` is that of those in progress, 0 to 100."""

    total_tasks: int
    in_progress_tasks: int
    completed_tasks: int
    failed_tasks: int
    expired_tasks: int
    total_uploaded_bytes: int
    average_progress: float
    recent_activity: list[Activity]


def listed_task(row: Any) -> ListedTask:
    """Build from a row of `upload_tasks` with `pool_name` and the indexes of its `chunks`."""
    return ListedTask(**_fields(row))


def task_details(row: Any) -> TaskDetails:
    """Build from a row as for `listed_task`, with names and descriptions of the pool and of the bundle, if any."""
    sha256: bytes | None = row["sha256"]
    arrived_bytes, speed = _arrived_bytes(row), _bytes_per_s(row)
    return TaskDetails(
        task=DetailedTask(**_fields(row), expired_at=row["file_expired_at"], hash=sha256.hex() if sha256 else None),
        pool=_place(row, "pool"),
        bundle=None if row["bundle_name"] is None else _place(row, "bundle"),
        estimated_time_remaining=(
            time_in_words((row["size_bytes"] - arrived_bytes) / speed)
            if speed and row["status"] == TaskStatus.IN_PROGRESS
            else None
        ),
        upload_speed=None if speed is None else speed_in_words(speed),
    )


def brief_task(row: Any) -> BriefTask:
    """Build from a row of `upload_tasks` with the number of `chunks_uploaded`."""
    return BriefTask(
        task_id=row["id"],
        file_name=row["file_name"],
        file_size=row["size_bytes"],
        content_type=row["content_type"],
        progress=_percent(row),
        status=TaskStatus(row["status"]),
        last_activity=row["last_activity_at"],
        created_at=row["created_at"],
    )


def activity(row: Any) -> Activity:
    """Build from a row as for `brief_task`."""
    return Activity(
        task_id=row["id"],
        file_name=row["file_name"],
        status=TaskStatus(row["status"]),
        last_activity=row["last_activity_at"],
        progress=_percent(row),
    )


def speed_in_words(bytes_per_s: float) -> str:
    """Return a speed as clients of the original know it: whole bytes and kilobytes, megabytes with one decimal."""
    if bytes_per_s < _KIB:
        return f"{bytes_per_s:.0f} B/s"
    if bytes_per_s < _KIB * _KIB:
        return f"{bytes_per_s / _KIB:.0f} KB/s"
    return f"{bytes_per_s / (_KIB * _KIB):.1f} MB/s"


def time_in_words(seconds: float) -> str:
    """Return a time as clients of the original know it: whole seconds and minutes, hours with one decimal."""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} seconds"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} minutes"
    return f"{seconds / _HOUR_S:.1f} hours"


def _fields(row: Any) -> dict[str, Any]:
    progress = Task.from_row(row).progress(row["chunks"])
    return msgspec.structs.asdict(progress) | {
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "pool": TaskPool(pool_id=row["pool_id"], name=row["pool_name"]),
        "bundle": TaskBundle(bundle_id=row["bundle_id"]) if row["bundle_id"] else None,
    }


def _place(row: Any, what: str) -> Place:
    return Place(id=row[f"{what}_id"], name=row[f"{what}_name"], description=row[f"{what}_description"])


def _percent(row: Any) -> float:
    chunks_count: int = row["chunks_count"]
    if row["status"] == TaskStatus.COMPLETED or not chunks_count:
        return 100.0
    return 100 * float(row["chunks_uploaded"]) / chunks_count


def _arrived_bytes(row: Any) -> int:
    task = Task.from_row(row)
    if task.status is TaskStatus.COMPLETED:
        return task.size_bytes
    return task.tus_offset_bytes or sum(map(task.chunk_bytes, row["chunks"]))


def _bytes_per_s(row: Any) -> float | None:
    """Return how fast bytes came from the upload's beginning to its last activity, None where nothing was measured."""
    elapsed_s = (row["last_activity_at"] - row["created_at"]).total_seconds()
    arrived_bytes = _arrived_bytes(row)
    return arrived_bytes / elapsed_s if arrived_bytes and elapsed_s > 0 else None
