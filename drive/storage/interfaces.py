"""What the services need of a store."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Hasher(Protocol):
    """What hashlib's objects do."""

    def update(self, data: bytes, /) -> None: ...  # noqa: D102
    def digest(self) -> bytes: ...  # noqa: D102


class StoreBusyError(Exception):
    """Another request has the same bytes locked."""


class StoreFullError(Exception):
    """No space is left where files are stored."""


class BodyTooLongError(Exception):
    """The sender gave more bytes than were expected."""


@dataclass(frozen=True, slots=True)
class Content:
    """What an upload turned out to be."""

    sha256: bytes
    size_bytes: int


class Part(Protocol):
    """A part of a staged upload, which nobody else can write or promote meanwhile."""

    async def write(self, body: AsyncIterator[bytes], hasher: Hasher | None = None) -> int:
        """Write a body into it, durably, and return its size.

        Raises:
            BodyTooLongError: it has more bytes than the part.
            StoreFullError: no space is left.

        """


class Store(Protocol):
    """Keeps objects, and uploads that are on their way to become objects.

    An upload is staged under its id, written in any order, and at last promoted to an object: only then can it be read.
    Every method may be repeated after a crash at any point.
    """

    def part(self, upload_id: str, *, offset: int, most_bytes: int) -> AbstractAsyncContextManager[Part]:
        """Lock a part of a staged upload for a block, against other processes too.

        Raises:
            StoreBusyError: another request has some of it.
            StoreFullError: no space is left.

        """

    async def promote(self, upload_id: str, object_id: str, *, known: Content | None, expected_bytes: int) -> Content:
        """Make a staged upload the object, and return what it is; `known` spares reading it again.

        An upload that was promoted before a crash is found again.

        Raises:
            FileNotFoundError: nothing is staged under this id, or fewer bytes than expected.
            StoreBusyError: it is still being written, or promoted by another request.
            StoreFullError: no space is left.

        """

    async def discard(self, upload_id: str) -> None:
        """Forget a staged upload, if there is one."""

    async def delete(self, object_id: str) -> None:
        """Delete an object, if it is there."""

    async def staged(self) -> list[str]:
        """Return the ids of all staged uploads."""

    def path(self, object_id: str) -> Path:
        """Return where the object can be read from."""
