"""Hashes of uploads that arrive in order."""

import hashlib
from collections import OrderedDict
from typing import Any

from drive.storage.interfaces import Content

_RUNNING_HASHES = 1000


class RunningHashes:
    """SHA-256 of uploads whose bytes arrive here in order, so that completing them need not read them again."""

    def __init__(self) -> None:
        self._hashes: OrderedDict[str, tuple[int, Any]] = OrderedDict()

    def continued(self, task_id: str, offset_bytes: int) -> Any:
        """Return a hasher that has seen all that comes before this byte; None if there is none."""
        if offset_bytes == 0:
            return hashlib.sha256()
        seen_bytes, hasher = self._hashes.get(task_id, (0, None))
        return hasher.copy() if hasher is not None and seen_bytes == offset_bytes else None

    def keep(self, task_id: str, seen_bytes: int, hasher: Any) -> None:
        """Remember a hasher that has now seen all up to this byte."""
        if hasher is None:
            return
        self._hashes[task_id] = seen_bytes, hasher
        self._hashes.move_to_end(task_id)
        if len(self._hashes) > _RUNNING_HASHES:
            self._hashes.popitem(last=False)

    def finished(self, task_id: str, size_bytes: int) -> Content | None:
        """Return what the whole upload is, if all of it was seen."""
        seen_bytes, hasher = self._hashes.get(task_id, (0, None))
        return Content(hasher.digest(), size_bytes) if hasher is not None and seen_bytes == size_bytes else None

    def forget(self, task_id: str) -> None:
        """Drop an upload that has ended."""
        self._hashes.pop(task_id, None)
