"""Folder paths in one spelling."""

from drive.errors import invalid

_MAX_CHARS = 1024


def normalise(path: str, *, field: str = "path") -> str:
    """Return the path with one slash at its start, at its end and between folders: `a//b` becomes `/a/b/`.

    Raises:
        DriveError: VALIDATION_ERROR; `.` and `..`, control characters, or too long.

    """
    folders = [folder for folder in path.split("/") if folder]
    if any(folder in {".", ".."} for folder in folders):
        raise invalid(field, "must not contain '.' or '..'")
    if not all(folder.isprintable() for folder in folders):
        raise invalid(field, "must not contain control characters")
    normal = "/".join(["", *folders, ""])
    if len(normal) > _MAX_CHARS:
        raise invalid(field, f"must be at most {_MAX_CHARS} characters long")
    return normal
