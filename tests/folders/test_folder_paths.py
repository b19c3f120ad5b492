"""How deep a folder can be; the rest of what a path is stands with the uploads' tests."""

import pytest

from drive.errors import DriveError
from drive.folders.paths import normalise


def test_folders_are_at_most_64_deep() -> None:
    assert normalise("a/" * 64) == "/" + "a/" * 64
    with pytest.raises(DriveError, match="64 folders deep"):
        normalise("a/" * 65)
