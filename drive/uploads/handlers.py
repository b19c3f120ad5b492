"""`/api/files/upload`."""

from aiohttp import web

from drive.http.answers import answer
from drive.http.auth import account_of
from drive.http.bodies import file_part, read_json
from drive.http.params import MOST_TAKE, Params
from drive.http.routes import Route
from drive.uploads.history import ORDERS, STATUSES, UploadHistory
from drive.uploads.interfaces import CreateUpload, Message
from drive.uploads.service import Uploads

_DIRECT_DEFAULT_TYPE = "application/octet-stream"
_LISTED_DEFAULT = 50
_RECENT_DEFAULT = 10


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


class UploadTaskHandlers:
    """Answers what has become of uploads."""

    def __init__(self, history: UploadHistory) -> None:
        self._history = history

    def routes(self) -> list[Route]:
        """Return what is served here."""
        return [
            Route("GET", "/api/files/upload/stats", self.statistics),
            Route("GET", "/api/files/upload/tasks", self.listed),
            Route("GET", "/api/files/upload/tasks/recent", self.recent),
            Route("GET", "/api/files/upload/tasks/{taskId}/details", self.details),
            Route("DELETE", "/api/files/upload/tasks/cleanup", self.clean_up),
        ]

    async def listed(self, request: web.Request) -> web.Response:
        """List the account's uploads."""
        with Params(request.query) as params:
            page = params.page(default_take=_LISTED_DEFAULT)
            status = params.choice("status", STATUSES, default="")
            order = params.choice("sortBy", ORDERS, default="lastActivity")
            descending = params.boolean("sortDescending", default=True)
        tasks, total = await self._history.listed(
            account_of(request).id,
            STATUSES.get(status),
            order=order,
            descending=descending,
            offset=page.offset,
            take=page.take,
        )
        return answer(tasks, headers={"X-Total": str(total)})

    async def recent(self, request: web.Request) -> web.Response:
        """List the uploads of the latest activity."""
        with Params(request.query) as params:
            take = params.integer("limit", default=_RECENT_DEFAULT, least=1, most=MOST_TAKE)
        return answer(await self._history.recent(account_of(request).id, take))

    async def details(self, request: web.Request) -> web.Response:
        """Show all that there is to say of an upload."""
        return answer(await self._history.details(account_of(request), request.match_info["taskId"]))

    async def statistics(self, request: web.Request) -> web.Response:
        """Sum the account's uploads up."""
        return answer(await self._history.statistics(account_of(request).id))

    async def clean_up(self, request: web.Request) -> web.Response:
        """Forget the uploads that ended without a file."""
        forgotten = await self._history.forget_failed(account_of(request).id)
        return answer(Message(f"Cleaned up {forgotten} failed tasks"))
