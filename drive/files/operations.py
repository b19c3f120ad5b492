"""What OpenAPI says of `/api/files`."""

from typing import Annotated, Any

import msgspec

from drive.errors import Code
from drive.files.interfaces import CloudFile, Count, DeleteBatch, Permission, SetMarks
from drive.files.lists import ORDERS
from drive.files.names import MOST_CHARACTERS
from drive.http.describe import (
    PASSCODE,
    VISITOR_ERRORS,
    Answer,
    Operation,
    Parameter,
    Schema,
    boolean,
    choice,
    header,
    page,
    text,
    uuid,
)
from drive.http.params import MOST_TAKE
from drive.references.interfaces import FileReference

_CONTROL = "\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029"
_INVISIBLE = (
    "\\s\\u00ad\\u0600-\\u061c\\u06dd\\u070f\\u180e\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
)
FILE_NAME: Schema = {
    "minLength": 1,
    "maxLength": MOST_CHARACTERS,
    "pattern": f"^[^{_CONTROL}]*[^{_CONTROL}{_INVISIBLE}][^{_CONTROL}]*$",
    "examples": ["report.pdf"],
}
MIME_TYPE = "[A-Za-z0-9_.+-]+/[A-Za-z0-9_.+-]+([ \\t]*;[\\x20-\\x7e]*)?"
_SHOWN: dict[str, Schema] = {"id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,32}(\\.[^/]*)?$"}}
_CONDITIONS = (
    header("Range", "One range of bytes, such as `bytes=0-1023`; others are ignored"),
    header("If-Range", "An `ETag` or a date: the range counts if the file is still this one"),
    header("If-None-Match", "An `ETag`: 304 if the file is still this one"),
    header("If-Modified-Since", "A date: 304 if the file has not changed since"),
    header("If-Match", "An `ETag`: 412 unless the file is still this one"),
    header("If-Unmodified-Since", "A date: 412 if the file has changed since"),
)
_CACHED = {"ETag": "Of these bytes, in quotes", "Last-Modified": "When it was uploaded"}
_SENT = _CACHED | {
    "Accept-Ranges": "`bytes`",
    "Content-Disposition": "Whether a browser may show it, and its name",
    "Content-Security-Policy": "Lets nothing run",
    "X-Content-Type-Options": "`nosniff`",
}
FILE_LINKS: dict[str, dict[str, Any]] = {
    "getFile": {"id": "$response.body#/id"},
    "getFileInfo": {"id": "$response.body#/id"},
    "renameFile": {"id": "$response.body#/id"},
    "recycleFile": {"id": "$response.body#/id"},
    "restoreFile": {"id": "$response.body#/id"},
    "setFileMarks": {"id": "$response.body#/id"},
    "setFileMeta": {"id": "$response.body#/id"},
    "setFilePermission": {"id": "$response.body#/id"},
    "listFileReferences": {"id": "$response.body#/id"},
    "deleteFile": {"id": "$response.body#/id"},
    "deleteFiles": {"body": {"file_ids": ["$response.body#/id"]}},
    "createEntry": {"body": {"file_id": "$response.body#/id", "path": "/"}},
}

FILTER = (
    *page(),
    uuid("pool", "Only those in this pool"),
    boolean("recycled", "Those in the recycle bin instead"),
    text("query", "A part of the name", most_chars=1024),
    choice("order", "By what", ORDERS, default="date"),
    boolean("orderDesc", "The last first", default=True),
)

OPERATIONS = {
    "GET /api/files/me": Operation("listFiles", list[CloudFile], query=FILTER, has_total=True),
    "POST /api/files/batches/delete": Operation(
        "deleteFiles", Count, body=DeleteBatch, example={"file_ids": ["kdL0fXzHTmOVxtqZc3Lv5A"]}
    ),
    "DELETE /api/files/me/recycle": Operation("purgeOwnRecycled", Count),
    "DELETE /api/files/recycle": Operation("purgeAllRecycled", Count, errors=[Code.FORBIDDEN]),
    "GET /api/files/{id}": Operation(
        "getFile",
        path=_SHOWN,
        query=(
            boolean("download", "Save it rather than show it"),
            boolean("original", "As it was uploaded, for its owner; in full size for others"),
            boolean("thumbnail", "The thumbnail; 404 where there is none"),
            Parameter(
                "overrideMimeType",
                {"type": "string", "maxLength": 256, "pattern": f"^({MIME_TYPE})?$"},
                "Send it as this type, if that is one of those that are shown",
            ),
            *PASSCODE[1:],
        ),
        headers=(*_CONDITIONS, *PASSCODE[:1]),
        answers={
            200: Answer("The bytes", media_types=["*/*"], headers=_SENT),
            206: Answer("A part of them", media_types=["*/*"], headers=_SENT | {"Content-Range": "Which part"}),
            302: Answer("They are elsewhere", headers={"Location": "Where"}),
            304: Answer("The file is still the same", headers=_CACHED),
        },
        errors=VISITOR_ERRORS | {Code.PRECONDITION_FAILED, Code.RANGE_NOT_SATISFIABLE},
        details="The id may carry an extension.",
    ),
    "GET /api/files/{id}/info": Operation(
        "getFileInfo", CloudFile, path=_SHOWN, query=PASSCODE[1:], headers=PASSCODE[:1], errors=VISITOR_ERRORS
    ),
    "PATCH /api/files/{id}/name": Operation(
        "renameFile", CloudFile, body=Annotated[str, msgspec.Meta(extra_json_schema=FILE_NAME)], example="report.pdf"
    ),
    "PUT /api/files/{id}/marks": Operation("setFileMarks", CloudFile, body=SetMarks, example={"sensitive_marks": [2]}),
    "PUT /api/files/{id}/meta": Operation("setFileMeta", CloudFile, body=dict[str, Any], example={"album": "Rome"}),
    "PUT /api/files/{id}/permission": Operation(
        "setFilePermission", CloudFile, body=Permission, errors=[Code.FORBIDDEN], example={"visibility": "private"}
    ),
    "GET /api/files/{id}/references": Operation(
        "listFileReferences",
        list[FileReference],
        path=_SHOWN,
        query=(*page(default_take=MOST_TAKE), *PASSCODE[1:]),
        headers=PASSCODE[:1],
        errors=VISITOR_ERRORS,
        has_total=True,
    ),
    "POST /api/files/{id}/recycle": Operation("recycleFile", CloudFile),
    "DELETE /api/files/{id}/recycle": Operation("restoreFile", CloudFile),
    "DELETE /api/files/{id}": Operation("deleteFile", CloudFile),
}
