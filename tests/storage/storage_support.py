"""What the tests of the store share."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from drive.storage.interfaces import Content
from drive.storage.local import LocalStore

CONTENT = b"0123456789"


async def body_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def content_of(data: bytes) -> Content:
    """Return what a store says of these bytes."""
    return Content(hashlib.sha256(data).digest(), len(data))


@dataclass(frozen=True)
class Staged:
    """An upload, as a store sees it."""

    object_id: str = "object"
    size_bytes: int = len(CONTENT)
    chunk_size_bytes: int = 1 << 40
    mime_type: str = "application/octet-stream"


async def write(store: LocalStore, object_id: str, data: bytes, *, offset: int = 0) -> int:
    """Write a part that is as long as the data."""
    async with store.part(Staged(object_id), offset=offset, most_bytes=len(data)) as part:
        return await part.write(body_of(data))


async def promote(store: LocalStore, data: bytes, object_id: str = "object") -> Content:
    """Promote an upload of which nothing is known but how long it is."""
    return await store.promote(Staged(object_id, len(data)), tags=[], known=None)


def open_files(folder: Path) -> list[str]:
    """Return which files below a folder this process has open."""
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            found.append(str(fd.readlink()))
    return [file for file in found if file.startswith(str(folder))]
