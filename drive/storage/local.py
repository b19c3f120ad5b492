"""Objects and uploads in folders of this machine, or of a volume that all replicas mount.

Plain files rather than an object-store library, for what only files give: chunks written in place in any order, so that
completing an upload copies nothing; locks that a crash releases; and sendfile.
"""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

from drive.storage.interfaces import BodyTooLongError, Content, Hasher, StoreBusyError, StoreFullError

T = TypeVar("T")

_WRITE_BYTES = 1024 * 1024  # handed to the disk at a time: fewer thread switches, and memory that stays small
_READ_BYTES = 1024 * 1024
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class LocalStore:
    """A `Store` under one folder: `staging/<upload>` and `objects/<first two characters>/<object>`."""

    def __init__(self, root: Path) -> None:
        self._staging = root / "staging"
        self._objects = root / "objects"

    def path(self, object_id: str) -> Path:
        """Return where the object is, if it is there."""
        return self._objects / object_id[:2] / object_id

    async def write(
        self, upload_id: str, body: AsyncIterator[bytes], *, offset: int, most_bytes: int, hasher: Hasher | None = None
    ) -> int:
        """Write a body into a staged upload, durably, and return its size."""
        with _space_errors():
            fd = await _in_thread(_open_for_writing, self._staging / upload_id)
        try:
            _lock(fd, offset, most_bytes)
            with _space_errors():
                size = await _write_body(fd, body, offset, most_bytes, hasher)
                await _in_thread(os.fdatasync, fd)
            return size
        finally:
            os.close(fd)  # which also releases the lock

    async def promote(self, upload_id: str, object_id: str, *, known: Content | None, expected_bytes: int) -> Content:
        """Make a staged upload the object, and return what it is."""
        return await _in_thread(self._promote, upload_id, object_id, known, expected_bytes)

    async def discard(self, upload_id: str) -> None:
        """Forget a staged upload, if there is one."""
        await _in_thread(_unlink, self._staging / upload_id)

    async def delete(self, object_id: str) -> None:
        """Delete an object, if it is there."""
        await _in_thread(_unlink, self.path(object_id))

    async def staged(self) -> list[str]:
        """Return the ids of all staged uploads."""
        return await _in_thread(_names, self._staging)

    def _promote(self, upload_id: str, object_id: str, known: Content | None, expected_bytes: int) -> Content:
        staged, final = self._staging / upload_id, self.path(object_id)
        # What was promoted before a crash comes first: it was checked then, and a late chunk may have staged rubbish.
        source = final if final.exists() else staged
        if expected_bytes == 0 and source == staged:
            os.close(_open_for_writing(staged))  # an empty file has no chunk that would have made it
        fd = os.open(source, os.O_RDWR)
        try:
            _lock(fd, 0, 0)
            content = known or Content(_sha256(fd), os.fstat(fd).st_size)
            if os.fstat(fd).st_size != expected_bytes:
                raise FileNotFoundError(errno.ENOENT, "fewer bytes are staged than were recorded", upload_id)
            if source == staged:
                final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.rename(staged, final)  # noqa: PTH104 - the counterpart of os.open above
                _sync_folder(final.parent)
            return content
        finally:
            os.close(fd)


async def _write_body(fd: int, body: AsyncIterator[bytes], offset: int, most_bytes: int, hasher: Hasher | None) -> int:
    waiting: list[bytes] = []
    waiting_bytes = size = 0
    async for piece in body:
        waiting.append(piece)
        waiting_bytes += len(piece)
        if size + waiting_bytes > most_bytes:
            raise BodyTooLongError
        if waiting_bytes >= _WRITE_BYTES:
            await _in_thread(_write_pieces, fd, waiting, offset + size, hasher)
            size += waiting_bytes
            waiting, waiting_bytes = [], 0
    if waiting:
        await _in_thread(_write_pieces, fd, waiting, offset + size, hasher)
    return size + waiting_bytes


def _write_pieces(fd: int, pieces: list[bytes], offset: int, hasher: Hasher | None) -> None:
    data = b"".join(pieces)
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]
    if hasher is not None:
        hasher.update(data)


async def _in_thread(function: Callable[..., T], *args: object) -> T:
    """Run in a thread and, if cancelled, wait for it all the same: what it works on must not be closed under it."""
    work = asyncio.get_running_loop().run_in_executor(None, function, *args)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # marks it as seen; the cancellation is what the caller is told
        raise


def _open_for_writing(file: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(file, flags, 0o600)
    except FileNotFoundError:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(file, flags, 0o600)


def _lock(fd: int, offset: int, count: int) -> None:
    """Lock a range of a file (0 for all that follows) until it is closed, by a crash too.

    The lock belongs to the open file, not to the process (which POSIX's older ones do), so that it holds between two
    requests of one process as between two processes.

    Raises:
        StoreBusyError: somebody else has it.

    """
    if count == 0 and offset > 0:
        return  # nothing to write, nothing to lock
    request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, offset, count, 0)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, request)
    except (BlockingIOError, PermissionError) as error:
        raise StoreBusyError from error


@contextlib.contextmanager
def _space_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise StoreFullError from error
        raise


def _sha256(fd: int) -> bytes:
    hasher = hashlib.sha256()
    offset = 0
    while data := os.pread(fd, _READ_BYTES, offset):
        hasher.update(data)
        offset += len(data)
    return hasher.digest()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unlink(file: Path) -> None:
    file.unlink(missing_ok=True)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is needed
    except FileNotFoundError:
        return []
