"""A folder for what is being worked on, which no crash leaves behind for long."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4


class Work:
    """A folder of this process alone. Its lock, which ends with the process, tells others that it is in use."""

    def __init__(self, folder: Path, lock: Path, fd: int) -> None:
        self._folder = folder
        self._lock = lock
        self._fd = fd

    @contextlib.asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        """Give a folder for a block."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield folder
        finally:
            await asyncio.to_thread(_remove, folder)

    def close(self) -> None:
        """Remove the folder, which may be gone with all of the storage."""
        try:
            _remove(self._folder)
            self._lock.unlink(missing_ok=True)
        finally:
            os.close(self._fd)


async def open_work(root: Path) -> Work:
    """Make a folder below the root, and remove those of processes that are gone."""
    return await asyncio.to_thread(_open, root)


async def close_work(work: Work) -> None:
    """Remove the folder."""
    await asyncio.to_thread(work.close)


def _open(root: Path) -> Work:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for lock in root.glob("*.lock"):
        _remove_if_abandoned(lock)
    while True:
        lock = root / f"{uuid4().hex}.lock"
        fd = _locked(lock, os.O_CREAT | os.O_EXCL)
        if fd is not None:
            break
    folder = lock.with_suffix("")
    folder.mkdir(mode=0o700)
    return Work(folder.absolute(), lock, fd)


def _remove_if_abandoned(lock: Path) -> None:
    fd = _locked(lock)
    if fd is None:
        return
    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    lock.unlink()
    os.close(fd)


def _remove(folder: Path) -> None:
    """Remove a folder; what of it is gone, or goes at the same time, is no error."""

    def failed(_function: object, _path: str, failure: tuple[type[BaseException], BaseException, object]) -> None:
        if not isinstance(failure[1], FileNotFoundError):
            raise failure[1]

    shutil.rmtree(folder, onerror=failed)


def _locked(lock: Path, flags: int = 0) -> int | None:
    """Open and lock a file; None where another process has it, or has just removed it."""
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock.stat().st_ino == os.fstat(fd).st_ino:
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(fd)
    return None
