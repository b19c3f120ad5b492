"""What is in a store."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.request import Request, urlopen
from xml.etree import ElementTree as ET

from drive.settings import Settings


class Stored(Protocol):
    """What the default pool's store has, looked at and changed from outside."""

    def objects(self) -> set[str]:
        """Return the ids of the objects."""

    def put(self, name: str, data: bytes) -> None:
        """Store an object."""

    def remove(self, name: str) -> None:
        """Remove an object, which is there."""


class InFolders:
    """In the folders of the local store."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def objects(self) -> set[str]:
        return objects(self._settings)

    def put(self, name: str, data: bytes) -> None:
        place = object_file(self._settings, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def remove(self, name: str) -> None:
        object_file(self._settings, name).unlink()


class InBucket:
    """In a bucket that everybody may use."""

    def __init__(self, url: str) -> None:
        self._url = url

    def objects(self) -> set[str]:
        listed = ET.fromstring(self._ask("GET", "?list-type=2"))
        keys = {str(one.text) for one in listed.iterfind("{*}Contents/{*}Key")}
        return {key for key in keys if not key.startswith("staging.")}

    def put(self, name: str, data: bytes) -> None:
        self._ask("PUT", f"/{name}", data)

    def remove(self, name: str) -> None:
        assert name in self.objects()
        self._ask("DELETE", f"/{name}")

    def _ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        headers = {"Authorization": "AWS whoever:asks", "Content-Type": "application/octet-stream"}
        with urlopen(Request(self._url + path, data, headers, method=method)) as response:
            body: bytes = response.read()
        return body


def staged(settings: Settings) -> set[str]:
    """Return the ids of the staged uploads."""
    return _names(settings.storage_path / "staging")


def objects(settings: Settings) -> set[str]:
    """Return the ids of the objects."""
    return _names(settings.storage_path / "objects")


def object_file(settings: Settings, object_id: str) -> Path:
    """Return where an object is."""
    return settings.storage_path / "objects" / object_id[:2] / object_id


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*") if file.is_file()}


@contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """Keep this process's files from growing beyond a size, which looks like a full disk to whoever writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
