"""Folder paths in one spelling."""

from drive.errors import invalid
from drive.files.names import CONTROL_CHARACTERS

MOST_CHARACTERS = 1024
_MOST_BYTES = 2048  # what an index row of the database always holds
_MOST_LEVELS = 64


def normalise(path: str, *, field: str = "path") -> str:
    """Return the path with one slash at its start, at its end and between folders: `a//b` becomes `/a/b/`.

    Raises:
        DriveError: VALIDATION_ERROR; `.` and `..`, control characters, too deep or too long.

    """
    folders = [folder for folder in path.split("/") if folder]
    if any(folder in {".", ".."} for folder in folders):
        raise invalid(field, "must not contain '.' or '..'")
    if CONTROL_CHARACTERS.search(path):
        raise invalid(field, "must not contain control characters")
    if len(folders) > _MOST_LEVELS:
        raise invalid(field, f"must be at most {_MOST_LEVELS} folders deep")
    normal = "/".join(["", *folders, ""])
    if len(normal) > MOST_CHARACTERS or len(normal.encode()) > _MOST_BYTES:
        raise invalid(field, f"must have at most {MOST_CHARACTERS} characters and {_MOST_BYTES} bytes in UTF-8")
    return normal
