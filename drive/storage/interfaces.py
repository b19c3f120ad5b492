"""What the services need of a store."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Hasher(Protocol):
    """What hashlib's objects do."""

    def update(self, data: bytes, /) -> None: ...  # noqa: D102
    def digest(self) -> bytes: ...  # noqa: D102


class StoreBusyError(Exception):
    """Another request is writing the same bytes."""


class StoreFullError(Exception):
    """No space is left where files are stored."""


class BodyTooLongError(Exception):
    """The sender gave more bytes than were expected."""


@dataclass(frozen=True, slots=True)
class Content:
    """What an upload turned out to be."""

    sha256: bytes
    size_bytes: int


class Store(Protocol):
    """Keeps objects, and uploads that are on their way to become objects.

    An upload is staged under its id, written in any order, and at last promoted to an object: only then can it be read.
    Every method may be repeated after a crash at any point.
    """

    async def write(
        self, upload_id: str, body: AsyncIterator[bytes], *, offset: int, most_bytes: int, hasher: Hasher | None = None
    ) -> int:
        """Write a body into a staged upload, durably, and return its size.

        Raises:
            BodyTooLongError: it has more than `most_bytes`.
            StoreBusyError: another request is writing the same bytes.
            StoreFullError: no space is left.

        """

    async def promote(self, upload_id: str, object_id: str, *, known: Content | None, expected_bytes: int) -> Content:
        """Make a staged upload the object, and return what it is; `known` spares reading it again.

        An upload that was promoted before a crash is found again.

        Raises:
            FileNotFoundError: nothing is staged under this id, or fewer bytes than expected.
            StoreBusyError: it is still being written, or promoted by another request.

        """

    async def discard(self, upload_id: str) -> None:
        """Forget a staged upload, if there is one."""

    async def delete(self, object_id: str) -> None:
        """Delete an object, if it is there."""

    async def staged(self) -> list[str]:
        """Return the ids of all staged uploads."""

    def path(self, object_id: str) -> Path:
        """Return where the object can be read from."""
