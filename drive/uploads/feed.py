"""Packets that tell an account's devices how its uploads go."""

import asyncio
from collections import OrderedDict, deque
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from drive.clients.ring import RingClient
from drive.files.interfaces import CloudFile
from drive.uploads.interfaces import Task

log = structlog.get_logger()

_QUEUE_PACKETS = 1000
_REMEMBERED_UPLOADS = 10_000


class Feed:
    """Pushes packets through ring, one after the other, beside the requests that cause them.

    A packet is news, not state: when ring is slow or down they are dropped with a log line, and no request waits.
    """

    def __init__(self, ring: RingClient, *, min_bytes: int, interval_s: float) -> None:
        self._ring = ring
        self._min_bytes = min_bytes
        self._interval_s = interval_s
        self._waiting: deque[tuple[UUID, str, dict[str, Any]]] = deque()
        self._pushing: asyncio.Task[None] | None = None
        self._told_at_s: OrderedDict[str, float] = OrderedDict()

    def created(self, task: Task) -> None:
        """Say that an upload has begun."""
        data = {"task_id": task.id, "name": "File Upload", "type": "FileUpload", "created_at": _now()}
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

    def failed(self, task: Task, reason: str) -> None:
        """Say that an upload has failed for good."""
        self._told_at_s.pop(task.id, None)
        data = {"task_id": task.id, "file_name": task.file_name, "file_size": task.size_bytes, "failed_at": _now()}
        self._push(task.account_id, "upload.failed", data | {"error_message": reason})

    async def drain(self, *, timeout_s: float) -> None:
        """Wait until all packets are out, or drop what is left after `timeout_s`."""
        if self._pushing is None:
            return
        _, late = await asyncio.wait([self._pushing], timeout=timeout_s)
        for task in late:
            task.cancel()
            await asyncio.wait([task])

    def _push(self, account_id: UUID, kind: str, data: dict[str, Any]) -> None:
        if len(self._waiting) >= _QUEUE_PACKETS:
            log.warning("Packet dropped", packet=kind, reason="ring is too slow")
            return
        self._waiting.append((account_id, kind, data))
        if self._pushing is None or self._pushing.done():
            self._pushing = asyncio.create_task(self._push_all(), name="push packets")

    async def _push_all(self) -> None:
        while self._waiting:
            account_id, kind, data = self._waiting.popleft()
            try:
                await self._ring.push(account_id, kind, data)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with ring, the next packet may get through
                log.warning("Packet dropped", packet=kind, reason=type(error).__name__)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
