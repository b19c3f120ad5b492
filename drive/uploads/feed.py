"""Packets and notifications that tell an account's devices how its uploads go."""

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from drive.clients.outbox import Outbox
from drive.clients.ring import RingClient
from drive.files.interfaces import CloudFile
from drive.uploads.interfaces import Task

log = structlog.get_logger()

_REMEMBERED_UPLOADS = 10_000
_NAME, _TYPE = "File Upload", "FileUpload"
_TOPIC = "drive.tasks.upload"


class Feed:
    """Pushes packets and notifications through ring, one after the other, beside the requests that cause them.

    They are news, not state: when ring is slow or down they are dropped with a log line, and no request waits.
    """

    def __init__(self, ring: RingClient, outbox: Outbox, *, min_bytes: int, interval_s: float) -> None:
        self._ring = ring
        self._outbox = outbox
        self._min_bytes = min_bytes
        self._interval_s = interval_s
        self._told_at_s: OrderedDict[str, float] = OrderedDict()

    def created(self, task: Task) -> None:
        """Say that an upload has begun."""
        data = {"task_id": task.id, "name": _NAME, "type": _TYPE, "created_at": _now()}
        self._push(task.account_id, "task.created", data)

    def progressed(self, task: Task, chunks_uploaded: int) -> None:
        """Say how far an upload is: large ones only, and at most once per interval."""
        now_s = asyncio.get_running_loop().time()
        told_at_s = self._told_at_s.get(task.id)
        too_soon = told_at_s is not None and now_s - told_at_s < self._interval_s
        if task.size_bytes < self._min_bytes or too_soon:
            return
        self._told_at_s[task.id] = now_s
        if len(self._told_at_s) > _REMEMBERED_UPLOADS:
            self._told_at_s.popitem(last=False)
        self._push(
            task.account_id,
            "upload.progress",
            {
                "task_id": task.id,
                "file_name": task.file_name,
                "file_size": task.size_bytes,
                "chunks_uploaded": chunks_uploaded,
                "chunks_total": task.chunks_count,
                "progress": 100 * chunks_uploaded / task.chunks_count,
                "status": "InProgress",
                "last_activity": _now(),
            },
        )

    def completed(self, task: Task, file: CloudFile) -> None:
        """Say that an upload has become a file."""
        self._told_at_s.pop(task.id, None)
        self._push(
            task.account_id,
            "upload.completed",
            {
                "task_id": task.id,
                "file_id": file.id,
                "file_name": file.name,
                "file_size": file.size,
                "completed_at": _now(),
            },
        )

    def processed(self, task: Task, file: CloudFile) -> None:
        """Say that a file has all that it will have; of large ones also to devices that are not connected."""
        results = {
            "FileId": file.id,
            "FileName": file.name,
            "FileInfo": file,
            "FileSize": file.size,
            "MimeType": file.mime_type,
            "HasCompression": file.has_compression,
            "HasThumbnail": file.has_thumbnail,
        }
        data = {"task_id": task.id, "name": _NAME, "type": _TYPE, "completed_at": _now(), "results": results}
        self._push(task.account_id, "task.completed", data)
        if file.size >= self._min_bytes:
            self._notify(task.account_id, "File Processing Complete", file.name, "Your file is ready.")

    def failed(self, task: Task, reason: str) -> None:
        """Say that an upload has failed for good, also to devices that are not connected."""
        self._told_at_s.pop(task.id, None)
        data = {"task_id": task.id, "file_name": task.file_name, "file_size": task.size_bytes, "failed_at": _now()}
        self._push(task.account_id, "upload.failed", data | {"error_message": reason})
        self._notify(task.account_id, "Upload Failed", task.file_name, reason)

    def _push(self, account_id: UUID, kind: str, data: dict[str, Any]) -> None:
        self._outbox.post(
            "ring",
            lambda: self._ring.push(account_id, kind, data),
            lambda reason: log.warning("Packet dropped", packet=kind, reason=reason),
        )

    def _notify(self, account_id: UUID, title: str, file_name: str, body: str) -> None:
        self._outbox.post(
            "ring",
            lambda: self._ring.notify(account_id, _TOPIC, title=title, subtitle=file_name, body=body),
            lambda reason: log.warning("Notification dropped", title=title, reason=reason),
        )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
