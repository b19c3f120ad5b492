"""Objects in a bucket of an S3-compatible service."""

import asyncio
import contextlib
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

from drive.ids import new_id
from drive.storage.bucket import Bucket
from drive.storage.interfaces import (
    BodyTooLongError,
    Content,
    Hasher,
    StoreBusyError,
    StoredObject,
    StoreUnavailableError,
    Upload,
)
from drive.storage.redirects import Redirects
from drive.storage.space import space_errors

_STAGING = "staging."  # no id has a dot, so that no object is taken for it
_MIB = 1024 * 1024
_ANY_TYPE = "application/octet-stream"
_MEMORY_BYTES = 256 * 1024  # of a chunk; what is more goes through a nameless file, from which it is sent


class S3Store:
    """A `Store` in a bucket: objects under their names, and `staging.<object>.…` for what is on its way.

    An upload of several chunks is a multipart upload of the service, whose id is kept in `staging.<object>.multipart`,
    so that any replica can go on. One of a single chunk, and a chunk that is not all there yet, is an object of its
    own: `staging.<object>.<chunk>.<bytes>`. Between two replicas there is no lock: chunks are known again by tags,
    ETags or names, so that what was overwritten meanwhile is noticed, and never becomes a file.

    Args:
        bucket: where.
        redirects: how clients read from it.
        work: a folder of this machine for chunks that are being received.

    """

    least_chunk_bytes = 5 * _MIB  # S3 takes no smaller parts

    def __init__(self, bucket: Bucket, redirects: Redirects, work: Path) -> None:
        self._bucket = bucket
        self._redirects = redirects
        self._work = work
        self._busy: set[tuple[str, int]] = set()

    def path(self, name: str) -> None:
        """Return None: objects are not on this machine."""

    def url(self, name: str, *, mime_type: str, disposition: str, is_public: bool) -> str:
        """Return where a client can read the object."""
        return self._redirects.url(
            self._bucket, name, mime_type=mime_type, disposition=disposition, is_public=is_public
        )

    @contextlib.asynccontextmanager
    async def part(self, upload: Upload, *, offset: int, most_bytes: int) -> AsyncIterator["S3Part"]:
        """Lock a part of a staged upload for a block, against other requests to this process."""
        place = upload.object_id, offset // upload.chunk_size_bytes
        if place in self._busy:
            raise StoreBusyError
        self._busy.add(place)
        try:
            yield S3Part(self._bucket, self._work, upload, offset=offset, most_bytes=most_bytes)
        finally:
            self._busy.discard(place)

    async def promote(self, upload: Upload, *, tags: list[str], known: Content | None) -> Content:
        """Make a staged upload the object, and return what it is."""
        place = upload.object_id, -1
        if place in self._busy:
            raise StoreBusyError
        self._busy.add(place)
        try:
            if not await self._promoted(upload, tags):
                size_bytes = await self._bucket.size_bytes(upload.object_id)
                if size_bytes != upload.size_bytes:  # else a crash came after it had been promoted
                    raise FileNotFoundError(upload.object_id)
            content = known or await self._content(upload.object_id)
            await self._forget_pieces(upload.object_id)
        finally:
            self._busy.discard(place)
        return content

    async def discard(self, object_id: str) -> None:
        """Forget a staged upload, if there is one."""
        upload_id = await self._bucket.get(_marker(object_id))
        if upload_id is not None:
            await self._bucket.abort_multipart(object_id, upload_id.decode())
        await self._forget_pieces(object_id)

    async def staged(self) -> list[str]:
        """Return the object ids of all staged uploads."""
        found: set[str] = set()
        async for page in self._bucket.listed(_STAGING):
            found.update(one.name.removeprefix(_STAGING).partition(".")[0] for one in page)
        return sorted(found)

    def read(self, name: str) -> AsyncIterator[bytes]:
        """Give an object's bytes."""
        return self._bucket.read(name)

    async def write(self, name: str, body: AsyncIterator[bytes], *, mime_type: str) -> int:
        """Store an object at once and durably."""
        with _spool(self._work) as spool:
            async for piece in body:
                await asyncio.to_thread(spool.write, piece)
            size_bytes = spool.tell()
            await self._bucket.put(name, spool, mime_type=mime_type)
        return size_bytes

    async def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        await self._bucket.delete(name)

    async def stored(self) -> AsyncIterator[list[StoredObject]]:
        """Give all that is stored."""
        async for page in self._bucket.listed():
            yield [one for one in page if not one.name.startswith(_STAGING)]

    async def _promoted(self, upload: Upload, tags: list[str]) -> bool:
        """Make what is staged the object; False if it is not there."""
        object_id, mime_type = upload.object_id, upload.mime_type
        if upload.size_bytes == 0:
            return await self._bucket.put(object_id, b"", mime_type=mime_type) is not None
        if is_single(upload):
            return await self._bucket.copy(f"{_STAGING}{object_id}.{tags[0]}", object_id, mime_type=mime_type)
        upload_id = await self._bucket.get(_marker(object_id))
        return upload_id is not None and await self._bucket.complete_multipart(object_id, upload_id.decode(), tags)

    async def _forget_pieces(self, object_id: str) -> None:
        async for page in self._bucket.listed(f"{_STAGING}{object_id}."):
            for one in page:
                await self._bucket.delete(one.name)

    async def _content(self, object_id: str) -> Content:
        hasher, size_bytes = hashlib.sha256(), 0
        async for piece in self._bucket.read(object_id):
            hasher.update(piece)
            size_bytes += len(piece)
        return Content(hasher.digest(), size_bytes)


class S3Part:
    """A `Part`: a chunk, or what is to follow in it."""

    def __init__(self, bucket: Bucket, work: Path, upload: Upload, *, offset: int, most_bytes: int) -> None:
        self._bucket = bucket
        self._work = work
        self._upload = upload
        self._index, self._had_bytes = divmod(offset, upload.chunk_size_bytes)
        self._most_bytes = most_bytes
        self.tag = ""

    async def write(self, body: AsyncIterator[bytes], hasher: Hasher | None = None) -> int:
        """Write a body into it, durably, and return its size.

        It is received as a whole before it is sent on: a slow client holds no connection to the service, and a bad
        moment of the service costs no client its chunk.
        """
        with _spool(self._work) as spool:
            await self._restore(spool)
            size_bytes = 0
            async for piece in body:
                size_bytes += len(piece)
                if size_bytes > self._most_bytes:
                    raise BodyTooLongError
                await asyncio.to_thread(_keep, spool, piece, hasher)
            if size_bytes:
                self.tag = await self._sent(spool, self._had_bytes + size_bytes)
        return size_bytes

    async def _restore(self, spool: IO[bytes]) -> None:
        """Put in front what the chunk has already."""
        if not self._had_bytes:
            return
        try:
            async for piece in self._bucket.read(_piece(self._upload.object_id, self._index, self._had_bytes)):
                await asyncio.to_thread(spool.write, piece)
        except FileNotFoundError as error:
            raise StoreUnavailableError(f"{self._had_bytes} bytes of chunk {self._index} are gone") from error

    async def _sent(self, spool: IO[bytes], size_bytes: int) -> str:
        upload, index = self._upload, self._index
        whole_bytes = min(upload.chunk_size_bytes, upload.size_bytes - index * upload.chunk_size_bytes)
        if is_single(upload) or size_bytes < whole_bytes:
            await self._forget_older_pieces()
            # What is whole may be sent twice at once, to two replicas: neither overwrites the other's.
            tag = f"{index}.{size_bytes}" + (f".{new_id()}" if size_bytes == whole_bytes else "")
            await self._bucket.put(f"{_STAGING}{upload.object_id}.{tag}", spool, mime_type=_ANY_TYPE)
            return tag
        etag = await self._bucket.put_part(upload.object_id, await self._multipart(), index + 1, spool)
        if etag is None:
            raise StoreBusyError  # it has ended meanwhile
        return etag

    async def _multipart(self) -> str:
        """Return the id of the upload in parts, which the first request of all replicas begins."""
        object_id, marker = self._upload.object_id, _marker(self._upload.object_id)
        if begun := await self._bucket.get(marker):
            return begun.decode()
        mine = await self._bucket.begin_multipart(object_id, mime_type=self._upload.mime_type)
        if await self._bucket.put(marker, mine.encode(), mime_type=_ANY_TYPE, only_if_new=True) is not None:
            return mine
        begun = await self._bucket.get(marker)
        if begun != mine.encode():  # it is ours where the service's answer was lost, and the request sent again
            await self._bucket.abort_multipart(object_id, mine)
        if begun is None:
            raise StoreBusyError
        return begun.decode()

    async def _forget_older_pieces(self) -> None:
        """Delete what was kept of unfinished chunks before the piece that is gone on from.

        A crash may still need that one. What goes further stays: another replica may have recorded it meanwhile.
        """
        if not self._had_bytes:
            return
        prefix = f"{_STAGING}{self._upload.object_id}."
        async for page in self._bucket.listed(prefix):
            for one in page:
                place = one.name.removeprefix(prefix).split(".")
                if place != ["multipart"] and (int(place[0]), int(place[1])) < (self._index, self._had_bytes):
                    await self._bucket.delete(one.name)


def is_single(upload: Upload) -> bool:
    """Tell whether an upload is one chunk, or none."""
    return upload.size_bytes <= upload.chunk_size_bytes


def _marker(object_id: str) -> str:
    return f"{_STAGING}{object_id}.multipart"


def _piece(object_id: str, index: int, size_bytes: int) -> str:
    return f"{_STAGING}{object_id}.{index}.{size_bytes}"


@contextlib.contextmanager
def _spool(work: Path) -> Iterator[IO[bytes]]:
    """Give a nameless file in a folder of ours, which is gone when it is closed, or the process is killed."""
    with space_errors():
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.SpooledTemporaryFile(_MEMORY_BYTES, dir=str(work)) as spool:
            yield spool


def _keep(spool: IO[bytes], piece: bytes, hasher: Hasher | None) -> None:
    spool.write(piece)
    if hasher is not None:
        hasher.update(piece)
