"""Hashes of uploads that arrive in order."""

import hashlib
from collections import OrderedDict
from typing import Any

from drive.storage.interfaces import Content

_RUNNING_HASHES = 1000


class RunningHashes:
    """SHA-256 of uploads whose chunks arrive here in order, so that completing them need not read them again."""

    def __init__(self) -> None:
        self._hashes: OrderedDict[str, tuple[int, Any]] = OrderedDict()

    def continued(self, task_id: str, index: int) -> Any:
        """Return a hasher that has seen all chunks before this one; None if there is none."""
        if index == 0:
            return hashlib.sha256()
        chunks, hasher = self._hashes.get(task_id, (0, None))
        return hasher.copy() if hasher is not None and chunks == index else None

    def keep(self, task_id: str, index: int, hasher: Any) -> None:
        """Remember a hasher that has now seen this chunk too."""
        if hasher is None:
            return
        self._hashes[task_id] = index + 1, hasher
        self._hashes.move_to_end(task_id)
        if len(self._hashes) > _RUNNING_HASHES:
            self._hashes.popitem(last=False)

    def finished(self, task_id: str, chunks_count: int, size_bytes: int) -> Content | None:
        """Return what the whole upload is, if all of it was seen."""
        chunks, hasher = self._hashes.get(task_id, (0, None))
        return Content(hasher.digest(), size_bytes) if hasher is not None and chunks == chunks_count else None

    def forget(self, task_id: str) -> None:
        """Drop an upload that has ended."""
        self._hashes.pop(task_id, None)
