"""Servers that keep what they are sent, and whether they have."""

import asyncio
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.support.services import Started
from bench.support.transfer import Client

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sent:
    """How uploads went."""

    mib_per_s: float
    most_rss_mib: float


@dataclass(frozen=True, slots=True)
class Keeper:
    """A server, the folder where its files are, and what signs in to it."""

    server: Started
    folder: Path
    headers: Mapping[str, str] = field(default_factory=dict)

    def client(self) -> Client:
        """Connect."""
        return Client(self.server.url, self.headers)

    def check(self, size_bytes: int, sha256: str | None) -> None:
        """See that a file is there with this size, and with this hash where one is given.

        Raises:
            RuntimeError: there is none.

        """
        sizes = {file: file.stat().st_size for file in self._files()}
        if not any(size == size_bytes and sha256 in {None, _sha256(file)} for file, size in sizes.items()):
            raise RuntimeError(f"Of {size_bytes} bytes sent, with the hash {sha256}, there are {sizes}")

    def empty(self) -> None:
        """Remove all files, so that the disk does not fill up."""
        for file in self._files():
            file.unlink()

    def _files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]


async def written() -> None:
    """Wait until the disk has what was written before, so that nobody who is measured waits for that."""
    await asyncio.to_thread(os.sync)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
