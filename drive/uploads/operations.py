"""What OpenAPI says of `/api/files/upload` and `/api/files/tus`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from drive.errors import Code
from drive.files.interfaces import CloudFile, Visibility
from drive.files.operations import FILE_LINKS, FILE_NAME, MIME_TYPE
from drive.folders.operations import FOLDER_PATH, folder
from drive.http.describe import (
    Answer,
    FileBody,
    Operation,
    Parameter,
    PlainBody,
    Schema,
    boolean,
    choice,
    header,
    integer,
    page,
    uuid,
)
from drive.http.params import MOST_TAKE
from drive.http.tus import VERSION
from drive.uploads.history import ORDERS, STATUSES
from drive.uploads.interfaces import CreatedUpload, CreateUpload, Message, UploadProgress
from drive.uploads.tasks import BriefTask, ListedTask, Statistics, TaskDetails

LIMITS: dict[type, dict[str, Schema]] = {
    CreateUpload: {
        "hash": {"minLength": 1, "maxLength": 256, "description": "The SHA-256 in hex; others are taken, and not used"},
        "file_name": FILE_NAME,
        "file_size": {"minimum": 0},
        "content_type": {"maxLength": 256, "pattern": f"^{MIME_TYPE}$", "examples": ["image/png"]},
        "encrypt_password": {"type": "null", "description": "The server does not encrypt"},
        "expired_at": {"description": "In the future, before 9000"},
        "chunk_size": {"minimum": 1, "description": "What is answered fits between the server's limits"},
        "path": FOLDER_PATH,
    }
}

_TASK = {"taskId": "$response.body#/task_id"}
_TASK_LINKS = {
    "sendChunk": {**_TASK, "chunkIndex": "0"},
    "completeUpload": _TASK,
    "getUploadProgress": _TASK,
    "resumeUpload": _TASK,
    "getUploadDetails": _TASK,
    "cancelUpload": _TASK,
}
_STORE_ERRORS = (Code.CONFLICT, Code.TOO_LARGE, Code.INSUFFICIENT_STORAGE)
_ADMISSION_ERRORS = (Code.NOT_FOUND, Code.FORBIDDEN, Code.QUOTA_EXCEEDED, Code.CONFLICT, Code.TOO_LARGE)
_OWN = (Code.FORBIDDEN,)

_TUS_TYPE = "application/offset+octet-stream"
_TUS_VERSION = Parameter(
    "Tus-Resumable", {"const": VERSION}, "What the client speaks", place="header", is_required=True
)
_TUS_CHECKSUM = header("Upload-Checksum", "`sha1`, `sha256` or `md5`, a space, and the digest in base64")
_TUS_OFFSET = Parameter(
    "Upload-Offset",
    {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
    "Where the bytes begin",
    place="header",
    is_required=True,
)
_TUS_ANSWER = {"Tus-Resumable": f"`{VERSION}`"}
_TUS_STATE = _TUS_ANSWER | {"Upload-Offset": "How many bytes have arrived"}
_TUS_ERRORS = (Code.VALIDATION_ERROR, Code.FORBIDDEN, Code.GONE, Code.LOCKED, Code.PRECONDITION_FAILED)
_TUS_BODY_ERRORS = (
    Code.CONFLICT,
    Code.TOO_LARGE,
    Code.UNSUPPORTED_MEDIA_TYPE,
    Code.CHECKSUM_MISMATCH,
    Code.INSUFFICIENT_STORAGE,
)


_TUS_FOLLOWING = ("getTusUpload", "appendToTusUpload", "cancelTusUpload", "doWithTusUpload")


def _tus_options(suffix: str) -> Operation:
    headers = {
        "Tus-Version": "What is spoken",
        "Tus-Extension": "What else",
        "Tus-Max-Size": "How large a file may be",
        "Tus-Checksum-Algorithm": "Which digests are known",
    }
    return Operation(
        f"getTusOptions{suffix}",
        path={"uploadId": {"type": "string"}},
        answers={204: Answer("See the headers", headers=headers | _TUS_ANSWER)},
        takes_token=False,
    )


def _create_tus(suffix: str = "", links: Mapping[str, Mapping[str, Any]] | None = None) -> Operation:
    return Operation(
        f"createTusUpload{suffix}",
        headers=(
            _TUS_VERSION,
            Parameter(
                "Upload-Length",
                {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
                "How large the file is",
                place="header",
                is_required=True,
            ),
            header(
                "Upload-Metadata",
                "Pairs with commas between, each a key, a space and its value in base64: `filename`, `filetype`, "
                "`hash`, `pool_id`, `bundle_id`, `path`, `expired_at`, `visibility`, `realm_id`",
            ),
            _TUS_CHECKSUM,
        ),
        body=PlainBody(_TUS_TYPE, is_required=False),
        answers={
            201: Answer(
                "Created, with what came of its bytes",
                headers=_TUS_STATE | {"Location": "Of the upload, to be resolved by the client"},
                links=links or {},
            )
        },
        errors=(*_TUS_ERRORS, *_TUS_BODY_ERRORS, Code.NOT_FOUND, Code.QUOTA_EXCEEDED),
    )


OPERATIONS = {
    "POST /api/files/upload/direct": Operation(
        "uploadFile",
        CloudFile,
        query=(
            Parameter("fileName", {"type": "string"}, "Of a plain body, which needs one; a form brings its own"),
            uuid("poolId", "Where to store it"),
            folder("A folder to put it into"),
            choice("visibility", "Whom it is for", [it.value for it in Visibility], default=Visibility.PUBLIC.value),
            uuid("realmId", "With the visibility `realm` alone"),
        ),
        body=FileBody("file"),
        errors=(*_ADMISSION_ERRORS, *_STORE_ERRORS),
        links=FILE_LINKS,
    ),
    "POST /api/files/upload/create": Operation(
        "createUpload",
        CreatedUpload,
        body=CreateUpload,
        example={
            "hash": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "file_name": "abc.txt",
            "file_size": 3,
            "content_type": "text/plain",
        },
        errors=_ADMISSION_ERRORS,
        links=_TASK_LINKS,
        details="The answer is the file, where the account has this content in this pool already.",
    ),
    "POST /api/files/upload/chunk/{taskId}/{chunkIndex}": Operation(
        "sendChunk",
        path={"chunkIndex": {"type": "integer", "minimum": 0, "maximum": 10**9 - 1}},
        body=FileBody("chunk"),
        answers={
            200: Answer("Received; a body says that it was here before", Message, ["application/octet-stream"]),
        },
        errors=(*_OWN, *_STORE_ERRORS),
    ),
    "POST /api/files/upload/complete/{taskId}": Operation(
        "completeUpload", CloudFile, errors=(*_OWN, Code.VALIDATION_ERROR, Code.CONFLICT, Code.INSUFFICIENT_STORAGE)
    ),
    "GET /api/files/upload/progress/{taskId}": Operation("getUploadProgress", UploadProgress, errors=_OWN),
    "GET /api/files/upload/resume/{taskId}": Operation("resumeUpload", UploadProgress, errors=_OWN),
    "DELETE /api/files/upload/task/{taskId}": Operation("cancelUpload", Message, errors=(*_OWN, Code.CONFLICT)),
    "GET /api/files/upload/stats": Operation("getUploadStatistics", Statistics),
    "GET /api/files/upload/tasks": Operation(
        "listUploads",
        list[ListedTask],
        query=(
            *page(default_take=50),
            choice("status", "Only those that are so", STATUSES, default=None),
            choice("sortBy", "By what", ORDERS, default="lastActivity"),
            boolean("sortDescending", "The last first", default=True),
        ),
        has_total=True,
    ),
    "GET /api/files/upload/tasks/recent": Operation(
        "listRecentUploads",
        list[BriefTask],
        query=(integer("limit", "How many to show", default=10, least=1, most=MOST_TAKE),),
    ),
    "GET /api/files/upload/tasks/{taskId}/details": Operation("getUploadDetails", TaskDetails, errors=_OWN),
    "DELETE /api/files/upload/tasks/cleanup": Operation("forgetFailedUploads", Message),
    "OPTIONS /api/files/tus": _tus_options(""),
    "OPTIONS /api/files/tus/": _tus_options("OfFolder"),
    "OPTIONS /api/files/tus/{uploadId}": _tus_options("OfUpload"),
    "POST /api/files/tus": _create_tus(),
    "POST /api/files/tus/": _create_tus(
        "InFolder", {name: {"uploadId": "$response.header.Location"} for name in _TUS_FOLLOWING}
    ),
    "HEAD /api/files/tus/{uploadId}": Operation(
        "getTusUpload",
        headers=(_TUS_VERSION,),
        answers={200: Answer("See the headers", headers=_TUS_STATE | {"Upload-Length": "How large the file is"})},
        errors=_TUS_ERRORS,
        summary="Tell how much of an upload has arrived.",
    ),
    "PATCH /api/files/tus/{uploadId}": Operation(
        "appendToTusUpload",
        headers=(_TUS_VERSION, _TUS_OFFSET, _TUS_CHECKSUM),
        body=PlainBody(_TUS_TYPE),
        answers={204: Answer("They have arrived", headers=_TUS_STATE)},
        errors=(*_TUS_ERRORS, *_TUS_BODY_ERRORS),
        summary="Take the bytes that follow.",
    ),
    "DELETE /api/files/tus/{uploadId}": Operation(
        "cancelTusUpload",
        headers=(_TUS_VERSION,),
        answers={204: Answer("Ended", headers=_TUS_ANSWER)},
        errors=(*_TUS_ERRORS, Code.CONFLICT),
        summary="End an upload without a file.",
    ),
    "POST /api/files/tus/{uploadId}": Operation(
        "doWithTusUpload",
        headers=(
            _TUS_VERSION,
            Parameter(
                "X-HTTP-Method-Override",
                {"enum": ["HEAD", "PATCH", "DELETE"]},
                "What is meant",
                place="header",
                is_required=True,
            ),
            replace(_TUS_OFFSET, is_required=False),
            _TUS_CHECKSUM,
        ),
        body=PlainBody(_TUS_TYPE, is_required=False),
        answers={
            200: Answer("As that of `HEAD`", headers=_TUS_STATE | {"Upload-Length": "How large the file is"}),
            204: Answer("As that of `PATCH` or `DELETE`", headers=_TUS_ANSWER),
        },
        errors=(*_TUS_ERRORS, *_TUS_BODY_ERRORS, Code.METHOD_NOT_ALLOWED),
        summary="Do what another method does, for clients that can send none but POST.",
    ),
}
