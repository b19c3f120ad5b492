"""Bytes on their way to a disk, which can keep a thread waiting but never the event loop."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from drive.storage.interfaces import Hasher

T = TypeVar("T")

_WRITE_BYTES = 1024 * 1024  # handed to a thread at a time: few switches, and memory that stays small


class Writer:
    """Writes pieces to an open file and hashes them, in a thread, while its user waits for more to come.

    They are written when its block ends. Where that ends by an error or is cancelled, nothing more is written then.
    """

    def __init__(self, fd: int, offset: int, hasher: Hasher | None) -> None:
        self._fd = fd
        self._offset = offset
        self._hasher = hasher
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._work: asyncio.Future[None] | None = None
        self.size_bytes = 0
        """How much was taken."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            await self._write()
            await self._written()
        else:
            with contextlib.suppress(OSError):  # the block's own error is the one to tell of
                await self._written()

    async def take(self, piece: bytes) -> None:
        """Take a piece; the thread begins with those that are waiting when it has ended those before."""
        self._pieces.append(piece)
        self._pieces_bytes += len(piece)
        self.size_bytes += len(piece)
        if self._pieces_bytes >= _WRITE_BYTES:
            await self._write()

    async def _write(self) -> None:
        if not self._pieces:
            return
        await self._written()
        loop = asyncio.get_running_loop()
        self._work = loop.run_in_executor(None, _write_pieces, self._fd, self._pieces, self._offset, self._hasher)
        self._offset += self._pieces_bytes
        self._pieces, self._pieces_bytes = [], 0

    async def _written(self) -> None:
        if self._work is not None:
            work, self._work = self._work, None
            await _ended(work)


def _write_pieces(fd: int, pieces: list[bytes], offset: int, hasher: Hasher | None) -> None:
    """Hash and write piece by piece: the processor has each in its cache the second time."""
    end = offset
    for piece in pieces:
        if hasher is not None:
            hasher.update(piece)
        view = memoryview(piece)
        while view:
            written = os.pwrite(fd, view, end)
            end += written
            view = view[written:]
    if end - offset >= _WRITE_BYTES:
        # Linux begins to send them to the disk now, so that fdatasync has little left to wait for.
        os.posix_fadvise(fd, offset, end - offset, os.POSIX_FADV_DONTNEED)


async def in_thread(function: Callable[..., T], *args: object, undo: Callable[[T], object] | None = None) -> T:
    """Run in a thread and, if cancelled, wait for it all the same: what it works on must not be closed under it.

    `undo` is given a result that the cancelled caller never sees.
    """
    return await _ended(asyncio.get_running_loop().run_in_executor(None, function, *args), undo)


async def _ended(work: asyncio.Future[T], undo: Callable[[T], object] | None = None) -> T:
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        # Asking for the exception marks it as seen; the cancellation is what the caller is told.
        if not work.cancelled() and work.exception() is None and undo is not None:
            undo(work.result())
        raise
