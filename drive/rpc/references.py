"""`proto.FileReferenceService`."""

from drive.errors import invalid
from drive.files.catalog import Catalog
from drive.proto import file_pb2 as wire
from drive.proto.file_pb2_grpc import FileReferenceServiceServicer
from drive.references.interfaces import Use, check_resource_id, check_usage
from drive.references.service import References
from drive.rpc.messages import (
    Context,
    expiry_in,
    future_expiry_in,
    gradually,
    moment_in,
    to_cloud_file,
    to_reference,
    usage_in,
    uuid_in,
)

_MOST_INT32 = 2**31 - 1


class FileReferenceRpc(FileReferenceServiceServicer):
    """Answers what concerns references. Where a usage is optional, an absent one means all of them."""

    def __init__(self, references: References, catalog: Catalog) -> None:
        self._references = references
        self._catalog = catalog

    async def CreateReference(self, request: wire.CreateReferenceRequest, context: Context) -> wire.CloudFileReference:
        """Let a resource use a file; NOT_FOUND where there is no such file. Repeated, it sets the expiry anew."""
        use = Use(request.resource_id, request.usage)
        (reference,) = await self._references.create([request.file_id], use, future_expiry_in(request))
        return to_reference(reference)

    async def CreateReferenceBatch(
        self, request: wire.CreateReferenceBatchRequest, context: Context
    ) -> wire.CreateReferenceBatchResponse:
        """Let a resource use up to 1000 files: all of them, or none where one is unknown."""
        use = Use(request.resource_id, request.usage)
        references = await self._references.create(request.files_id, use, future_expiry_in(request))
        return wire.CreateReferenceBatchResponse(references=await gradually(to_reference, references))

    async def GetReferences(self, request: wire.GetReferencesRequest, context: Context) -> wire.GetReferencesResponse:
        """Answer with the references to a file, oldest first; OUT_OF_RANGE above 10 000."""
        references = await self._references.of_file(request.file_id)
        return wire.GetReferencesResponse(references=await gradually(to_reference, references))

    async def GetReferenceCount(
        self, request: wire.GetReferenceCountRequest, context: Context
    ) -> wire.GetReferenceCountResponse:
        """Answer with the number of references to a file."""
        count = await self._references.count(request.file_id)
        return wire.GetReferenceCountResponse(count=min(count, _MOST_INT32))

    async def GetResourceReferences(
        self, request: wire.GetResourceReferencesRequest, context: Context
    ) -> wire.GetResourceReferencesResponse:
        """Answer with the references of a resource, oldest first; OUT_OF_RANGE above 10 000.

        The usage has no presence on the wire: an empty one means all of them.
        """
        references = await self._references.of_resource(request.resource_id, request.usage or None)
        return wire.GetResourceReferencesResponse(references=await gradually(to_reference, references))

    async def GetResourceFiles(
        self, request: wire.GetResourceFilesRequest, context: Context
    ) -> wire.GetResourceFilesResponse:
        """Answer with the files that a resource uses, each once, in the order of use; OUT_OF_RANGE above 1000."""
        usage = usage_in(request)
        check_resource_id(request.resource_id)
        check_usage(usage or "")
        files = await self._catalog.of_resource(request.resource_id, usage)
        return wire.GetResourceFilesResponse(files=await gradually(to_cloud_file, files))

    async def DeleteResourceReferences(
        self, request: wire.DeleteResourceReferencesRequest, context: Context
    ) -> wire.DeleteResourceReferencesResponse:
        """Delete what a resource uses, for one usage or for all; its files stay."""
        count = await self._references.delete_of([request.resource_id], usage_in(request))
        return wire.DeleteResourceReferencesResponse(deleted_count=min(count, _MOST_INT32))

    async def DeleteResourceReferencesBatch(
        self, request: wire.DeleteResourceReferencesBatchRequest, context: Context
    ) -> wire.DeleteResourceReferencesBatchResponse:
        """Delete what up to 1000 resources use, for one usage or for all."""
        count = await self._references.delete_of(request.resource_ids, usage_in(request))
        return wire.DeleteResourceReferencesBatchResponse(deleted_count=min(count, _MOST_INT32))

    async def DeleteReference(
        self, request: wire.DeleteReferenceRequest, context: Context
    ) -> wire.DeleteReferenceResponse:
        """Delete a reference; without success where there is none."""
        success = await self._references.delete(uuid_in(request, "reference_id"))
        return wire.DeleteReferenceResponse(success=success)

    async def UpdateResourceFiles(
        self, request: wire.UpdateResourceFilesRequest, context: Context
    ) -> wire.UpdateResourceFilesResponse:
        """Let a resource use exactly these files, up to 1000; none, where the list is empty.

        The expiry is that of the files which are added; the others keep theirs.
        """
        use = Use(request.resource_id, request.usage)
        references = await self._references.replace(request.file_ids, use, future_expiry_in(request))
        return wire.UpdateResourceFilesResponse(references=await gradually(to_reference, references))

    async def SetReferenceExpiration(
        self, request: wire.SetReferenceExpirationRequest, context: Context
    ) -> wire.SetReferenceExpirationResponse:
        """Let a reference end at a moment, after a duration, or never, without either. One in the past ends it now."""
        reference_id, moment = uuid_in(request, "reference_id"), expiry_in(request)
        return wire.SetReferenceExpirationResponse(success=await self._references.expire(reference_id, moment))

    async def SetFileReferencesExpiration(
        self, request: wire.SetFileReferencesExpirationRequest, context: Context
    ) -> wire.SetFileReferencesExpirationResponse:
        """Let all references to a file end at a moment, which must be given; one in the past ends them."""
        moment = moment_in(request)
        if moment is None:
            raise invalid("expired_at", "is missing.")
        count = await self._references.expire_of_file(request.file_id, moment)
        return wire.SetFileReferencesExpirationResponse(updated_count=min(count, _MOST_INT32))

    async def HasFileReferences(
        self, request: wire.HasFileReferencesRequest, context: Context
    ) -> wire.HasFileReferencesResponse:
        """Tell whether any reference to a file is in force; an unknown file has none."""
        return wire.HasFileReferencesResponse(has_references=await self._references.exist(request.file_id))
