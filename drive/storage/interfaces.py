"""What the services need of a store."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID


class Hasher(Protocol):
    """What hashlib's objects do."""

    def update(self, data: bytes, /) -> None: ...  # noqa: D102
    def digest(self) -> bytes: ...  # noqa: D102


class StoreBusyError(Exception):
    """Another request has the same bytes locked."""


class StoreFullError(Exception):
    """No space is left where files are stored."""


class StoreUnavailableError(Exception):
    """The store cannot be reached, or refuses us; the message never holds a credential."""


class BodyTooLongError(Exception):
    """The sender gave more bytes than were expected."""


@dataclass(frozen=True, slots=True)
class Content:
    """What an upload turned out to be."""

    sha256: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store holds under a name: an object's id, or `<id>.<variant>`."""

    name: str
    size_bytes: int
    modified_at: datetime


class Upload(Protocol):
    """An upload on its way to become an object. All its chunks are of one size, but for the last."""

    @property
    def object_id(self) -> str:
        """What it is staged under, and what the object will be called."""

    @property
    def mime_type(self) -> str:
        """What the object is stored as, where a store serves it by itself."""

    @property
    def size_bytes(self) -> int:
        """How long it is, or, of one that is a single chunk, at most."""

    @property
    def chunk_size_bytes(self) -> int:
        """How long a chunk is."""


class Part(Protocol):
    """A part of a staged upload, which nobody else can write or promote meanwhile."""

    async def write(self, body: AsyncIterator[bytes], hasher: Hasher | None = None) -> int:
        """Write a body into it, durably, and return its size.

        Raises:
            BodyTooLongError: it has more bytes than the part.
            StoreFullError: no space is left.
            StoreUnavailableError: the store cannot be reached.

        """

    @property
    def tag(self) -> str:
        """By what the store knows again what was written, for `promote`; empty where it needs nothing."""


class Store(Protocol):
    """Keeps objects, and uploads that are on their way to become objects.

    An upload is staged under its object's id, written in any order, and at last promoted to the object: only then can
    it be read. Every method may be repeated after a crash at any point. All raise StoreUnavailableError where the store
    cannot be reached.
    """

    @property
    def least_chunk_bytes(self) -> int:
        """How short the chunks of an upload of several may be, the last excepted."""

    def part(self, upload: Upload, *, offset: int, most_bytes: int) -> AbstractAsyncContextManager[Part]:
        """Lock a part of a staged upload for a block, against other requests.

        The part lies within one chunk, and begins where the chunk does or where what was written of it ends.

        Raises:
            StoreBusyError: another request has some of it.
            StoreFullError: no space is left.

        """

    async def promote(self, upload: Upload, *, tags: list[str], known: Content | None) -> Content:
        """Make a staged upload the object, and return what it is; `known` spares reading it again.

        An upload that was promoted before a crash is found again. `tags` are those of the chunks' parts, in order.

        Raises:
            FileNotFoundError: nothing is staged for it, or other bytes than the tags name.
            StoreBusyError: it is still being written, or promoted by another request.
            StoreFullError: no space is left.

        """

    async def discard(self, object_id: str) -> None:
        """Forget a staged upload, if there is one."""

    async def staged(self) -> list[str]:
        """Return the object ids of all staged uploads."""

    def read(self, name: str) -> AsyncIterator[bytes]:
        """Give an object's bytes, or a variant's.

        Raises:
            FileNotFoundError: it is not there.

        """

    async def write(self, name: str, body: AsyncIterator[bytes], *, mime_type: str) -> int:
        """Store an object, or a variant, at once and durably, in place of what is there; return its size.

        Raises:
            StoreFullError: no space is left.

        """

    async def delete(self, name: str) -> None:
        """Delete an object or a variant, if it is there."""

    def stored(self) -> AsyncIterator[list[StoredObject]]:
        """Give all that is stored, in pages and in the order of names.

        What is stored or deleted meanwhile may be among it or not.
        """

    def path(self, name: str) -> Path | None:
        """Return where the object would be on this machine's disk; None where it is elsewhere."""

    def url(self, name: str, *, mime_type: str, disposition: str, is_public: bool) -> str | None:
        """Return where a client can read the object; None where only through us.

        Args:
            name: the object's id, or a variant's name.
            mime_type: what it is to be sent as.
            disposition: the header Content-Disposition that is to come with it.
            is_public: whether anybody may read it: otherwise the URL is signed and ends soon.

        """


class Stores(Protocol):
    """The stores of all pools."""

    async def of(self, pool_id: UUID) -> Store:
        """Return the store of a pool, deleted or not.

        Raises:
            DriveError: NOT_FOUND, UNAVAILABLE.

        """
