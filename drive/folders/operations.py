"""What OpenAPI says of `/api/index`."""

from dataclasses import replace

from drive.errors import Code
from drive.files.interfaces import CloudFile
from drive.files.lists import ORDERS
from drive.files.operations import FILTER
from drive.folders.interfaces import (
    Browsed,
    Cleared,
    Created,
    CreateIndex,
    Everything,
    Found,
    Moved,
    MoveIndex,
    Removed,
)
from drive.folders.paths import MOST_CHARACTERS
from drive.http.describe import Operation, Parameter, Schema, boolean, choice, page, required_text, text

FOLDER_PATH: Schema = {
    # The slashes that are added count, too.
    "maxLength": MOST_CHARACTERS - 2,
    "pattern": "^(?!(.*/)?\\.{1,2}(/|$))[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$",
    "examples": ["/photos/2026/"],
}
# Whoever knows of an entry by its id, which is a UUID, need not know more: what is none is not found.
_ENTRY: dict[str, Schema] = {"indexId": {"type": "string", "format": "uuid"}}
_VIEW = (
    *page(),
    choice("order", "By what", ORDERS, default="date"),
    boolean("orderDesc", "The last first", default=True),
)
_NAME_PART = text("query", "A part of the name", most_chars=1024)
_ENTRY_LINKS = {
    "moveEntry": {"indexId": "$response.body#/index_id"},
    "removeEntry": {"indexId": "$response.body#/index_id"},
}

LIMITS = {CreateIndex: {"path": FOLDER_PATH}, MoveIndex: {"new_path": FOLDER_PATH}}


def folder(description: str = "The folder", default: str | None = None) -> Parameter:
    """Describe the path of a folder."""
    parameter = text("path", description, most_chars=MOST_CHARACTERS, default=default)
    return replace(parameter, schema=parameter.schema | FOLDER_PATH)


OPERATIONS = {
    "GET /api/index/browse": Operation(
        "browseFolder",
        Browsed,
        query=(
            folder(default="/"),
            text("foldersAfter", "Show the folders that follow this one", most_chars=MOST_CHARACTERS),
            _NAME_PART,
            *_VIEW,
        ),
        has_total=True,
    ),
    "GET /api/index/all": Operation("listEntries", Everything, query=(_NAME_PART, *_VIEW), has_total=True),
    "GET /api/index/unindexed": Operation("listUnindexedFiles", list[CloudFile], query=FILTER, has_total=True),
    "GET /api/index/search": Operation(
        "searchFiles",
        Found,
        query=(
            required_text("query", "A part of the name, the description or the MIME type", most_chars=1024),
            folder(description="Only exactly this folder"),
            *_VIEW,
        ),
        has_total=True,
    ),
    "POST /api/index/create": Operation(
        "createEntry", Created, body=CreateIndex, errors=[Code.NOT_FOUND, Code.CONFLICT], links=_ENTRY_LINKS
    ),
    "POST /api/index/move/{indexId}": Operation(
        "moveEntry", Moved, path=_ENTRY, body=MoveIndex, errors=[Code.CONFLICT]
    ),
    "DELETE /api/index/remove/{indexId}": Operation(
        "removeEntry", Removed, path=_ENTRY, query=(boolean("deleteFile", "Delete the file, too"),)
    ),
    "DELETE /api/index/clear-path": Operation(
        "clearFolder", Cleared, query=(folder(default="/"), boolean("deleteFiles", "Delete the files, too"))
    ),
}
