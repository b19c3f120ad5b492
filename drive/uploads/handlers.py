"""`/api/files/upload`."""

from aiohttp import web

from drive.http.answers import answer
from drive.http.auth import account_of
from drive.http.bodies import file_part, read_json
from drive.http.params import Params
from drive.http.routes import Route
from drive.uploads.interfaces import CreateUpload, Message
from drive.uploads.service import Uploads

_DIRECT_DEFAULT_TYPE = "application/octet-stream"


class UploadHandlers:
    """Answers what concerns uploads."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def routes(self) -> list[Route]:
        """Return what is served here."""
        return [
            Route("POST", "/api/files/upload/direct", self.direct),
            Route("POST", "/api/files/upload/create", self.create),
            Route("POST", r"/api/files/upload/chunk/{taskId}/{chunkIndex:\d{1,9}}", self.chunk),
            Route("POST", "/api/files/upload/complete/{taskId}", self.complete),
            Route("GET", "/api/files/upload/progress/{taskId}", self.progress),
            Route("GET", "/api/files/upload/resume/{taskId}", self.progress),
            Route("DELETE", "/api/files/upload/task/{taskId}", self.cancel),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Begin an upload."""
        wanted = await read_json(request, CreateUpload)
        return answer(await self._uploads.create(account_of(request), wanted))

    async def chunk(self, request: web.Request) -> web.Response:
        """Receive one chunk: as the multipart field `chunk`, or as the plain body."""
        part = await file_part(request, "chunk")
        received = await self._uploads.receive_chunk(
            account_of(request), request.match_info["taskId"], int(request.match_info["chunkIndex"]), part.body
        )
        return web.Response() if received else answer(Message("Chunk already uploaded"))

    async def complete(self, request: web.Request) -> web.Response:
        """Make the chunks a file."""
        return answer(await self._uploads.complete(account_of(request), request.match_info["taskId"]))

    async def direct(self, request: web.Request) -> web.Response:
        """Store a small file in one request: the multipart field `file`."""
        with Params(request.query) as params:
            pool_id = params.uuid("poolId")
            path = params.text("path", most_chars=1024)
        part = await file_part(request, "file")
        file = await self._uploads.direct(
            account_of(request),
            part.file_name or "",
            part.content_type or _DIRECT_DEFAULT_TYPE,
            part.body,
            most_bytes=part.most_bytes,
            pool_id=pool_id,
            path=path,
        )
        return answer(file)

    async def progress(self, request: web.Request) -> web.Response:
        """Tell where an upload is, for a progress bar or to resume it."""
        return answer(await self._uploads.progress(account_of(request), request.match_info["taskId"]))

    async def cancel(self, request: web.Request) -> web.Response:
        """End an upload without a file."""
        await self._uploads.cancel(account_of(request), request.match_info["taskId"])
        return answer(Message("Upload task cancelled"))
