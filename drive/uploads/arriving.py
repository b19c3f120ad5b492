"""A request's body while it arrives."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from drive.errors import Code, DriveError
from drive.storage.interfaces import Part
from drive.uploads.interfaces import Task
from drive.uploads.tus_headers import Checksum

_STALLED_S = 3.0


class Arriving:
    """A body that is taken in stretches, for what came before it breaks off to count.

    A body that breaks off ends as a complete one does; `broken` has what happened, to be raised once what came before
    is recorded. So does one whose request is cancelled, or is told to `give_way`.
    """

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._piece = b""
        self._waiting: asyncio.Timeout | None = None
        self._heard_s = asyncio.get_running_loop().time()
        self.broken: BaseException | None = None

    async def has_more(self) -> bool:
        """Tell whether there is another byte, which takes waiting for it."""
        if not self._piece and self.broken is None:
            self._piece = await self._next()
            self._heard_s = asyncio.get_running_loop().time()
        return bool(self._piece)

    async def stretch(self, most_bytes: int) -> AsyncIterator[bytes]:
        """Give what comes next, up to so many bytes."""
        while most_bytes > 0 and await self.has_more():
            given, self._piece = self._piece[:most_bytes], self._piece[most_bytes:]
            most_bytes -= len(given)
            yield given

    def give_way(self) -> None:
        """End the body here if nothing has come for some seconds: its connection may be dead, and nobody knows."""
        now_s = asyncio.get_running_loop().time()
        if self._waiting is not None and now_s - self._heard_s >= _STALLED_S:
            self._waiting.reschedule(now_s)

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(None) as self._waiting:
                return await anext(self._body, b"")
        except TimeoutError:
            message = "Another request goes on with this upload. Go on where HEAD says that it is."
            self.broken = DriveError(Code.LOCKED, message)
        except (DriveError, asyncio.CancelledError) as error:
            self.broken = error
        finally:
            self._waiting = None
        return b""


class Stretch:
    """What a request adds to an upload at once. It hashes what it is given, for the file and for the checksum."""

    def __init__(self, task: Task, running: Any, checksum: Checksum | None) -> None:
        self.task = task
        self.running = running
        self.offset_bytes = task.tus_offset_bytes or 0
        self.tags: dict[int, str] = {}
        self._checksum = checksum
        self._digest = None if checksum is None else checksum.begun()

    @property
    def missing_bytes(self) -> int:
        """How much the upload lacks after it."""
        return self.task.size_bytes - self.offset_bytes

    @property
    def chunk_left_bytes(self) -> int:
        """How much the chunk lacks that is next."""
        chunk_bytes = self.task.chunk_size_bytes
        return min(chunk_bytes - self.offset_bytes % chunk_bytes, self.missing_bytes)

    async def write(self, part: Part, arriving: Arriving) -> None:
        """Write what arrives up to the chunk's end."""
        index, left_bytes = self.offset_bytes // self.task.chunk_size_bytes, self.chunk_left_bytes
        received_bytes = await part.write(arriving.stretch(left_bytes), self)
        self.offset_bytes += received_bytes
        if received_bytes == left_bytes:
            self.tags[index] = part.tag

    def update(self, data: bytes | memoryview) -> None:
        """Hash a piece."""
        for hasher in (self.running, self._digest):
            if hasher is not None:
                hasher.update(data)

    def digest(self) -> bytes:
        """Return what its bytes come to in the checksum's algorithm."""
        return b"" if self._digest is None else bytes(self._digest.digest())

    def check(self) -> None:
        """Refuse what is not what its checksum says."""
        if self._checksum is not None:
            self._checksum.check(self)
