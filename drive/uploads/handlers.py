"""`/api/files/upload` and, for clients of tus 1.0, `/api/files/tus`."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import hdrs, web

from drive.errors import Code, DriveError, invalid
from drive.files.interfaces import Permission, Visibility
from drive.http.answers import answer
from drive.http.auth import account_of
from drive.http.bodies import file_part, read_json
from drive.http.params import MOST_TAKE, Params
from drive.http.tus import PATH, VERSION
from drive.uploads.history import ORDERS, STATUSES, UploadHistory
from drive.uploads.interfaces import CreateUpload, Message, Task, TaskStatus
from drive.uploads.service import Uploads
from drive.uploads.tus import TusUploads
from drive.uploads.tus_headers import ALGORITHMS, EXTENSIONS, Checksum, byte_count, checksum, metadata

if TYPE_CHECKING:
    from drive.http.routes import Handler

_DIRECT_DEFAULT_TYPE = "application/octet-stream"
_VISIBILITIES = [it.value for it in Visibility]
_LISTED_DEFAULT = 50
_RECENT_DEFAULT = 10

_TUS_TYPE = "application/offset+octet-stream"
_TUS_DEFAULT_NAME = "Unnamed"
_METHOD_OVERRIDE = "X-HTTP-Method-Override"
_MOST_CHARS = 1024


class UploadHandlers:
    """Answers what concerns uploads."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

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
            visibility = params.choice("visibility", _VISIBILITIES, default=Visibility.PUBLIC.value)
            realm_id = params.uuid("realmId")
        part = await file_part(request, "file")
        file = await self._uploads.direct(
            account_of(request),
            part.file_name or "",
            part.content_type or _DIRECT_DEFAULT_TYPE,
            part.body,
            most_bytes=part.most_bytes,
            pool_id=pool_id,
            path=path,
            permission=Permission(visibility=Visibility(visibility), realm_id=realm_id),
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


class TusHandlers:
    """Answers clients of tus 1.0."""

    def __init__(self, uploads: TusUploads) -> None:
        self._uploads = uploads
        self._methods: dict[str, Handler] = {
            hdrs.METH_HEAD: self.look,
            hdrs.METH_PATCH: self.append,
            hdrs.METH_DELETE: self.cancel,
        }

    async def options(self, _request: web.Request) -> web.Response:
        """Tell what is spoken here."""
        headers = {
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(self._uploads.most_bytes),
            "Tus-Checksum-Algorithm": ALGORITHMS,
        }
        return web.Response(status=204, headers=headers)

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        """Answer the method that is meant: some clients and proxies can send none but POST."""
        method = request.headers.get(_METHOD_OVERRIDE, request.method).upper()
        if method not in self._methods:
            raise web.HTTPMethodNotAllowed(method, [*self._methods])
        _check_version(request)
        return await self._methods[method](request)

    async def create(self, request: web.Request) -> web.Response:
        """Begin an upload, and take what of it comes along."""
        _check_version(request)
        for header in ("Upload-Defer-Length", "Upload-Concat"):
            if header in request.headers:
                raise invalid(header, f"is not supported; what is: {EXTENSIONS}")
        if request.body_exists:
            _check_type(request)
        sent = ",".join(request.headers.getall("Upload-Metadata", []))
        wanted = _wanted(byte_count("Upload-Length", request.headers.get("Upload-Length", "")), metadata(sent))
        task = await self._uploads.create(
            account_of(request),
            wanted,
            sent,
            body=(await file_part(request, "")).body,
            announced_bytes=_announced_bytes(request),
            checksum=_checksum(request),
        )
        # Relative, for the client to resolve: a proxy may serve this path under another one.
        location = task.id if request.path.endswith("/") else f"{PATH.rpartition('/')[2]}/{task.id}"
        return web.Response(status=201, headers={"Location": location, **_state(task)})

    async def look(self, request: web.Request) -> web.Response:
        """Tell how much of an upload has arrived."""
        task = await self._uploads.look(account_of(request), request.match_info["uploadId"])
        headers = {"Upload-Length": str(task.size_bytes), **_state(task)}
        if task.tus_metadata:
            headers["Upload-Metadata"] = task.tus_metadata
        return web.Response(headers=headers)

    async def append(self, request: web.Request) -> web.Response:
        """Take the bytes that follow."""
        _check_type(request)
        task = await self._uploads.append(
            account_of(request),
            request.match_info["uploadId"],
            byte_count("Upload-Offset", request.headers.get("Upload-Offset", "")),
            body=(await file_part(request, "")).body,
            announced_bytes=_announced_bytes(request),
            checksum=_checksum(request),
        )
        return web.Response(status=204, headers=_state(task))

    async def cancel(self, request: web.Request) -> web.Response:
        """End an upload without a file."""
        await self._uploads.cancel(account_of(request), request.match_info["uploadId"])
        return web.Response(status=204)


def _check_version(request: web.Request) -> None:
    if request.headers.get("Tus-Resumable") != VERSION:
        raise DriveError(Code.PRECONDITION_FAILED, f"Only tus {VERSION} is spoken here. Send Tus-Resumable: {VERSION}.")


def _check_type(request: web.Request) -> None:
    if request.content_type != _TUS_TYPE:
        raise DriveError(Code.UNSUPPORTED_MEDIA_TYPE, f"Send the bytes with Content-Type: {_TUS_TYPE}.")


def _announced_bytes(request: web.Request) -> int:
    """Return how many bytes there will be at least; the length of a compressed body says nothing."""
    return 0 if hdrs.CONTENT_ENCODING in request.headers else request.content_length or 0


def _checksum(request: web.Request) -> Checksum | None:
    sent = request.headers.get("Upload-Checksum")
    return None if sent is None else checksum(sent)


def _state(task: Task) -> dict[str, str]:
    headers = {"Upload-Offset": str(task.tus_offset_bytes), hdrs.CACHE_CONTROL: "no-store"}
    if task.status is TaskStatus.COMPLETED:
        return headers | {"Upload-File-Id": task.file_id}
    return headers | {"Upload-Expires": format_datetime(task.expires_at, usegmt=True)}


def _wanted(size_bytes: int, sent: Mapping[str, str]) -> CreateUpload:
    """Return what a client says of its file; one that knows tus and not us says `filename` and `filetype`, if that."""
    with Params(sent) as params:
        pool_id, bundle_id, realm_id = (params.uuid(name) for name in ("pool_id", "bundle_id", "realm_id"))
        path = params.text("path", most_chars=_MOST_CHARS)
        declared = params.text("hash", most_chars=256, default="")
        visibility = params.choice("visibility", _VISIBILITIES, default=Visibility.PUBLIC.value)
    return CreateUpload(
        hash=declared,
        file_name=sent.get("filename") or sent.get("name") or _TUS_DEFAULT_NAME,
        file_size=size_bytes,
        content_type=sent.get("filetype") or sent.get("type") or sent.get("content_type") or _DIRECT_DEFAULT_TYPE,
        pool_id=pool_id,
        bundle_id=bundle_id,
        expired_at=_expiry(sent.get("expired_at")),
        path=path,
        visibility=Visibility(visibility),
        realm_id=realm_id,
    )


def _expiry(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment: datetime = msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)])
    except msgspec.ValidationError as error:
        raise invalid("expired_at", "must be a time with its zone, such as 2030-01-31T12:00:00Z") from error
    return moment
