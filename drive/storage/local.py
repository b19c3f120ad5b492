"""Objects and uploads in folders of this machine, or of a volume that all replicas mount.

Plain files rather than an object-store library, for what only files give: chunks written in place in any order, so that
completing an upload copies nothing; locks that a crash releases; and sendfile.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import struct
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from drive.storage.interfaces import (
    BodyTooLongError,
    Content,
    Hasher,
    StoreBusyError,
    StoredObject,
    Upload,
)
from drive.storage.space import space_errors
from drive.storage.writer import Writer, in_thread

_READ_BYTES = 1024 * 1024
_UNBOUNDED_BYTES = 2**63 - 1


class LocalStore:
    """A `Store` under one folder: `staging/<object>` and `objects/<first two characters>/<object>`."""

    least_chunk_bytes = 1

    def __init__(self, root: Path) -> None:
        self._staging = root / "staging"
        self._objects = root / "objects"

    def path(self, name: str) -> Path:
        """Return where the object is, if it is there."""
        return self._objects / name[:2] / name

    def url(self, name: str, *, mime_type: str, disposition: str, is_public: bool) -> None:
        """Return None: what is on this disk is read through us."""

    @contextlib.asynccontextmanager
    async def part(self, upload: Upload, *, offset: int, most_bytes: int) -> AsyncIterator["LocalPart"]:
        """Lock a part of a staged upload for a block, against other processes too."""
        with space_errors():
            fd = await in_thread(_open_for_writing, self._staging / upload.object_id, undo=os.close)
        try:
            _lock(fd, offset, most_bytes)
            yield LocalPart(fd, offset, most_bytes)
        finally:
            os.close(fd)  # which also releases the lock

    async def promote(self, upload: Upload, *, tags: list[str], known: Content | None) -> Content:  # noqa: ARG002
        """Make a staged upload the object, and return what it is."""
        with space_errors():
            return await in_thread(self._promote, upload.object_id, known, upload.size_bytes)

    async def discard(self, object_id: str) -> None:
        """Forget a staged upload, if there is one."""
        await in_thread(_unlink, self._staging / object_id)

    async def staged(self) -> list[str]:
        """Return the object ids of all staged uploads."""
        return await in_thread(_names, self._staging)

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Give an object's bytes."""
        fd = await in_thread(os.open, self.path(name), os.O_RDONLY | os.O_CLOEXEC, undo=os.close)
        try:
            while piece := await in_thread(os.read, fd, _READ_BYTES):
                yield piece
        finally:
            os.close(fd)

    async def write(self, name: str, body: AsyncIterator[bytes], *, mime_type: str) -> int:  # noqa: ARG002
        """Store an object at once and durably."""
        final = self.path(name)
        new = final.with_name(f"{name}.new")  # where a crash leaves it, the check for orphans finds it
        with space_errors():
            fd = await in_thread(_open_for_writing, new, undo=os.close)
            try:
                _lock(fd, 0, 0)
                await in_thread(os.ftruncate, fd, 0)
                size_bytes = await LocalPart(fd, 0, _UNBOUNDED_BYTES).write(body)
                await in_thread(_rename_durably, new, final)
            except BaseException:
                _unlink(new)
                raise
            finally:
                os.close(fd)
        return size_bytes

    async def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        await in_thread(_unlink, self.path(name))

    async def stored(self) -> AsyncIterator[list[StoredObject]]:
        """Give all that is stored, a folder at a time."""
        for folder in await in_thread(_folders, self._objects):
            yield await in_thread(_stored, folder)

    def _promote(self, object_id: str, known: Content | None, expected_bytes: int) -> Content:
        staged, final = self._staging / object_id, self.path(object_id)
        if expected_bytes == 0 and not final.exists():
            os.close(_open_for_writing(staged))  # an empty file has no chunk that would have made it
        fd, is_promoted = _open_locked(staged, final)
        try:
            if os.fstat(fd).st_size != expected_bytes:
                raise FileNotFoundError(errno.ENOENT, "fewer bytes are staged than were recorded", object_id)
            content = known or Content(_sha256(fd), expected_bytes)
            if not is_promoted:
                _make_folder(final.parent)
                staged.rename(final)
            _sync_folder(final.parent)
            return content
        finally:
            os.close(fd)


class LocalPart:
    """A `Part`: a range of bytes of an open file."""

    tag = ""

    def __init__(self, fd: int, offset: int, most_bytes: int) -> None:
        self._fd = fd
        self._offset = offset
        self._most_bytes = most_bytes

    async def write(self, body: AsyncIterator[bytes], hasher: Hasher | None = None) -> int:
        """Write a body into it, durably, and return its size."""
        with space_errors():
            size = await self._write_body(body, hasher)
            await in_thread(os.fdatasync, self._fd)
        return size

    async def _write_body(self, body: AsyncIterator[bytes], hasher: Hasher | None) -> int:
        async with Writer(self._fd, self._offset, hasher) as writer:
            async for piece in body:
                if writer.size_bytes + len(piece) > self._most_bytes:
                    raise BodyTooLongError
                await writer.take(piece)
        return writer.size_bytes


def _open_for_writing(file: Path) -> int:
    """Open a staged file. If it is new, its name is on the disk when this returns, as its bytes will be."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        return os.open(file, flags)
    except FileNotFoundError:
        _make_folder(file.parent)
        fd = os.open(file, flags | os.O_CREAT, 0o600)
        with _closing_if_it_fails(fd):
            _sync_folder(file.parent)
        return fd


def _open_locked(staged: Path, final: Path) -> tuple[int, bool]:
    """Open and lock an upload's bytes, wherever they are; tell whether they are promoted.

    What was promoted before a crash comes first: a late chunk may have staged rubbish since. Another request may
    promote at this very moment, so that a place counts only if it is still the right one once the lock is held.
    """
    while True:
        is_promoted = final.exists()
        try:
            fd = os.open(final if is_promoted else staged, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            if final.exists() == is_promoted:
                raise
            continue
        with _closing_if_it_fails(fd):
            _lock(fd, 0, 0)
        if final.exists() == is_promoted:
            return fd, is_promoted
        os.close(fd)


@contextlib.contextmanager
def _closing_if_it_fails(fd: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        os.close(fd)
        raise


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


def _sha256(fd: int) -> bytes:
    hasher = hashlib.sha256()
    offset = 0
    while data := os.pread(fd, _READ_BYTES, offset):
        hasher.update(data)
        offset += len(data)
    return hasher.digest()


def _make_folder(folder: Path) -> None:
    """Make a folder, if it is not there, whose name is on the disk too."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unlink(file: Path) -> None:
    file.unlink(missing_ok=True)


def _rename_durably(source: Path, target: Path) -> None:
    source.rename(target)
    _sync_folder(target.parent)


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(root.iterdir())
    except FileNotFoundError:
        return []


def _stored(folder: Path) -> list[StoredObject]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                state = entry.stat(follow_symlinks=False)
                found.append(StoredObject(entry.name, state.st_size, datetime.fromtimestamp(state.st_mtime, UTC)))
    return found


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []
