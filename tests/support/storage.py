"""What is in a store's folders."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drive.settings import Settings


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
