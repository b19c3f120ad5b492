"""Objects in this process's memory."""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from drive.storage.interfaces import BodyTooLongError, Content, Hasher, StoreBusyError, StoredObject, Upload


class MemoryStore:
    """A `Store` that is gone with its process, for tests: neither replicas nor a worker see what is in it."""

    least_chunk_bytes = 1

    def __init__(self) -> None:
        self._staging: dict[str, bytearray] = {}
        self._objects: dict[str, tuple[bytes, datetime]] = {}
        self._busy: set[tuple[str, int]] = set()

    def path(self, name: str) -> None:
        """Return None: nothing is on a disk."""

    def url(self, name: str, *, mime_type: str, disposition: str, is_public: bool) -> None:
        """Return None: what is here is read through us."""

    @contextlib.asynccontextmanager
    async def part(self, upload: Upload, *, offset: int, most_bytes: int) -> AsyncIterator["MemoryPart"]:
        """Lock a part of a staged upload for a block."""
        place = upload.object_id, offset // upload.chunk_size_bytes
        if place in self._busy:
            raise StoreBusyError
        self._busy.add(place)
        try:
            yield MemoryPart(self._staging.setdefault(upload.object_id, bytearray()), offset, most_bytes)
        finally:
            self._busy.discard(place)

    async def promote(self, upload: Upload, *, tags: list[str], known: Content | None) -> Content:  # noqa: ARG002
        """Make a staged upload the object, and return what it is."""
        staged = self._staging.pop(upload.object_id, bytearray() if upload.size_bytes == 0 else None)
        if staged is not None:
            self._objects.setdefault(upload.object_id, (bytes(staged), datetime.now(UTC)))
        data, _ = self._found(upload.object_id)
        if len(data) != upload.size_bytes:
            raise FileNotFoundError(upload.object_id)
        return known or Content(hashlib.sha256(data).digest(), len(data))

    async def discard(self, object_id: str) -> None:
        """Forget a staged upload, if there is one."""
        self._staging.pop(object_id, None)

    async def staged(self) -> list[str]:
        """Return the object ids of all staged uploads."""
        return list(self._staging)

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Give an object's bytes."""
        yield self._found(name)[0]

    async def write(self, name: str, body: AsyncIterator[bytes], *, mime_type: str) -> int:  # noqa: ARG002
        """Store an object at once."""
        data = b"".join([piece async for piece in body])
        self._objects[name] = data, datetime.now(UTC)
        return len(data)

    async def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        self._objects.pop(name, None)

    async def stored(self) -> AsyncIterator[list[StoredObject]]:
        """Give all that is stored."""
        yield [StoredObject(name, len(data), at) for name, (data, at) in self._objects.items()]

    def _found(self, name: str) -> tuple[bytes, datetime]:
        try:
            return self._objects[name]
        except KeyError as error:
            raise FileNotFoundError(name) from error


class MemoryPart:
    """A `Part`: a range of an array."""

    tag = ""

    def __init__(self, data: bytearray, offset: int, most_bytes: int) -> None:
        self._data = data
        self._offset = offset
        self._most_bytes = most_bytes

    async def write(self, body: AsyncIterator[bytes], hasher: Hasher | None = None) -> int:
        """Write a body into it, and return its size."""
        received = bytearray()
        async for piece in body:
            received += piece
            if len(received) > self._most_bytes:
                raise BodyTooLongError
        end = self._offset + len(received)
        self._data.extend(bytes(max(0, end - len(self._data))))
        self._data[self._offset : end] = received
        if hasher is not None:
            hasher.update(bytes(received))
        return len(received)
