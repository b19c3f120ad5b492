"""`proto.FileService`."""

from typing import Annotated, Any

import msgspec
import structlog
from google.protobuf.empty_pb2 import Empty

from drive.errors import DriveError, invalid, not_found
from drive.files.catalog import Catalog, Changes
from drive.files.interfaces import Mark
from drive.files.meta import check_meta, check_size
from drive.files.names import clean_file_name
from drive.proto import file_pb2 as wire
from drive.proto.file_pb2_grpc import FileServiceServicer
from drive.references.service import References
from drive.rpc.messages import Context, gradually, json_in, to_cloud_file

log = structlog.get_logger()

_CHANGEABLE = frozenset({"name", "user_meta", "sensitive_marks"})
_MARKS = Annotated[list[Mark], msgspec.Meta(max_length=100)]
_SHOWN_PATH_CHARS = 100


class FileRpc(FileServiceServicer):
    """Answers what concerns files. Callers are trusted with all of them, whoever owns them and may read them."""

    def __init__(self, catalog: Catalog, references: References) -> None:
        self._catalog = catalog
        self._references = references

    async def GetFile(self, request: wire.GetFileRequest, context: Context) -> wire.CloudFile:
        """Answer with a file, also one that is expired or in the recycle bin; NOT_FOUND once it is deleted."""
        return to_cloud_file(await self._catalog.get(request.id))

    async def GetFileBatch(self, request: wire.GetFileBatchRequest, context: Context) -> wire.GetFileBatchResponse:
        """Answer with up to 1000 files in the order asked for, repeated where asked twice, without unknown ones."""
        files = await self._catalog.get_many(request.ids)
        return wire.GetFileBatchResponse(files=await gradually(to_cloud_file, files))

    async def LoadFromReference(
        self, request: wire.LoadFromReferenceRequest, context: Context
    ) -> wire.LoadFromReferenceResponse:
        """Answer as GetFileBatch: what the wire calls ids of references are those of files."""
        files = await self._catalog.get_many(request.reference_ids)
        return wire.LoadFromReferenceResponse(files=await gradually(to_cloud_file, files))

    async def UpdateFile(self, request: wire.UpdateFileRequest, context: Context) -> wire.CloudFile:
        """Change what the mask names: `name`, `user_meta` and `sensitive_marks`. All of it, or nothing.

        Empty metadata, and marks that are absent or `null`, are removed.
        """
        if not request.HasField("file"):
            raise invalid("file", "is missing.")
        changes = _changes(request)
        return to_cloud_file(await self._catalog.change(request.file.id, changes))

    async def DeleteFile(self, request: wire.DeleteFileRequest, context: Context) -> Empty:
        """Delete a file and its references; a job deletes its bytes, once no other file shares them.

        With `purge` or without: callers of the original delete for good either way, and the recycle bin is its
        owner's.
        """
        await self._catalog.delete(request.id)
        log.info("File deleted", file_id=request.id, caller=context.peer())
        return Empty()

    async def IsReferenced(self, request: wire.IsReferencedRequest, context: Context) -> wire.IsReferencedResponse:
        """Tell whether any reference to a file is in force; an unknown file has none."""
        return wire.IsReferencedResponse(is_referenced=await self._references.exist(request.file_id))

    async def PurgeCache(self, request: wire.PurgeCacheRequest, context: Context) -> Empty:
        """Do nothing for a file that is there: Drive caches none, so each answer is fresh. NOT_FOUND otherwise."""
        if not await self._catalog.exists(request.file_id):
            raise not_found("File")
        return Empty()


def _changes(request: wire.UpdateFileRequest) -> Changes:
    """Read the fields that the mask names, and check their values.

    Raises:
        DriveError: VALIDATION_ERROR; TOO_LARGE.

    """
    if not request.update_mask.paths:
        raise invalid("update_mask", f"is missing. Name what to change: {', '.join(sorted(_CHANGEABLE))}.")
    values: dict[str, Any] = {}
    for path in request.update_mask.paths:
        if path not in _CHANGEABLE:
            raise _unchangeable(path)
        values[path] = _value(path, request.file)
    return Changes(**values)


def _value(path: str, file: wire.CloudFile) -> Any:
    if path == "name":
        return clean_file_name(file.name, field="file.name")
    if path == "user_meta":
        return _user_meta(file.user_meta)
    marks = json_in(file.sensitive_marks, _MARKS, "file.sensitive_marks", "must be a JSON list of marks, 0 to 12.")
    return None if marks is None else sorted({int(mark) for mark in marks})


def _user_meta(text: bytes) -> dict[str, Any] | None:
    check_size(len(text))
    meta = json_in(text, dict[str, Any], "file.user_meta", "must be a JSON object.")
    if meta is not None:
        check_meta(meta, field="file.user_meta")
    return meta


def _unchangeable(path: str) -> DriveError:
    shown = path[:_SHOWN_PATH_CHARS]
    is_field = path in wire.CloudFile.DESCRIPTOR.fields_by_name
    why = "cannot be changed" if is_field else "is no field of CloudFile"
    return invalid("update_mask", f"{shown!r} {why}. What can: {', '.join(sorted(_CHANGEABLE))}.")
