"""Send a stored file, or the part of it that is asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import structlog
from aiohttp import web

from drive.errors import Code, DriveError, invalid, not_found
from drive.http.disposition import content_disposition
from drive.http.problems import REQUEST_ID, problem
from drive.http.ranges import Plan, plan
from drive.mime import is_inline_safe, is_mime_type

if TYPE_CHECKING:
    from drive.storage.interfaces import Store

log = structlog.get_logger()

# What is shown inline can do nothing here: no script, no plugin, no form, no request to this origin.
_SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def type_to_send(mime_type: str, wanted: str | None) -> str:
    """Return what a file is sent as: the wanted type, where a browser does no more than show it, else its own.

    Any visitor can ask for a type, so that none may be had that lets the bytes run, here or as a part of another page.

    Raises:
        DriveError: VALIDATION_ERROR, where the wanted type is none.

    """
    if wanted is None:
        return mime_type
    if not is_mime_type(wanted):
        raise invalid("overrideMimeType", "must be a MIME type such as image/png.")
    return wanted if is_inline_safe(wanted) else mime_type


@dataclass(frozen=True, slots=True)
class Download:
    """What is to be sent, and how a client is told of it."""

    object_name: str
    file_name: str
    mime_type: str
    etag: str
    modified_at: datetime
    size_bytes: int
    as_attachment: bool
    is_public: bool
    """Whether anybody may read it."""

    @property
    def disposition(self) -> str:
        """The header Content-Disposition: only what can do nothing is shown."""
        inline = is_inline_safe(self.mime_type) and not self.as_attachment
        return content_disposition("inline" if inline else "attachment", self.file_name)


async def send(request: web.Request, store: "Store", wanted: Download) -> web.StreamResponse:
    """Send what a store has, or the way to it.

    Raises:
        DriveError: NOT_FOUND, where the bytes are gone.

    """
    path = store.path(wanted.object_name)
    if path is None and request.method != "HEAD":  # which needs no bytes; and what is signed is signed for GET
        url = store.url(
            wanted.object_name,
            mime_type=wanted.mime_type,
            disposition=wanted.disposition,
            is_public=wanted.is_public,
        )
        if url is not None:
            # The next reader may be another, and the way there another by then.
            return web.Response(status=HTTPStatus.FOUND, headers={"Location": url, "Cache-Control": "no-store"})
    return await _send_stored(request, wanted, store.read(wanted.object_name) if path is None else path)


async def _send_stored(
    request: web.Request, wanted: Download, source: Path | AsyncIterator[bytes]
) -> web.StreamResponse:
    """Send bytes as the request's conditions and range ask; from a disk they go to the socket by sendfile."""
    quoted_etag = f'"{wanted.etag}"'
    todo = plan(
        range_header=_header(request, "Range"),
        if_range=_header(request, "If-Range"),
        if_none_match=_header(request, "If-None-Match"),
        if_match=_header(request, "If-Match"),
        if_modified_since=_header(request, "If-Modified-Since"),
        if_unmodified_since=_header(request, "If-Unmodified-Since"),
        etag=quoted_etag,
        modified_at=wanted.modified_at,
        size_bytes=wanted.size_bytes,
        method=request.method,
    )
    if todo.status >= HTTPStatus.BAD_REQUEST:
        return _refusal(request, todo)
    response = web.StreamResponse(status=todo.status)
    response.headers.update(
        {
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "Content-Disposition": wanted.disposition,
            "Content-Security-Policy": _SANDBOX,
            "Content-Type": wanted.mime_type,
            "ETag": quoted_etag,
            "X-Content-Type-Options": "nosniff",
        }
    )
    response.last_modified = wanted.modified_at
    if todo.content_range:
        response.headers["Content-Range"] = todo.content_range
    if todo.status == HTTPStatus.NOT_MODIFIED:
        await response.prepare(request)
        await response.write_eof()
        return response
    response.content_length = todo.count
    if isinstance(source, Path):
        return await _send_file(request, response, source, todo)
    return await _send_stream(request, response, source, todo)


def _header(request: web.Request, name: str) -> str | None:
    """Return a header whose lines, if there are several, count as one list."""
    return ", ".join(request.headers.getall(name)) if name in request.headers else None


def _refusal(request: web.Request, todo: Plan) -> web.Response:
    if todo.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        error = DriveError(
            Code.RANGE_NOT_SATISFIABLE, f"The file has {todo.size_bytes} bytes, none of them in this range."
        )
    else:
        error = DriveError(Code.PRECONDITION_FAILED, "The file is not, or no longer, the one that the condition names.")
    response = problem(error, instance=request.rel_url.raw_path, request_id=request[REQUEST_ID])
    if todo.content_range:
        response.headers["Content-Range"] = todo.content_range
    return response


async def _send_file(request: web.Request, response: web.StreamResponse, file: Path, todo: Plan) -> web.StreamResponse:
    try:
        source = await asyncio.to_thread(file.open, "rb")
    except FileNotFoundError as error:
        raise _missing(file.name) from error
    with source:
        await response.prepare(request)
        if todo.count and request.method != "HEAD":
            await _send_part(request, source, todo, object_id=file.name)
    return response


async def _send_stream(
    request: web.Request, response: web.StreamResponse, source: AsyncIterator[bytes], todo: Plan
) -> web.StreamResponse:
    """Send from a store that has no file and no URL of its own."""
    await response.prepare(request)
    position, end = 0, todo.offset + todo.count
    if todo.count and request.method != "HEAD":
        async for piece in source:
            await response.write(piece[max(0, todo.offset - position) : max(0, end - position)])
            position += len(piece)
    return response


def _missing(name: str) -> DriveError:
    log.error("Object missing", object_id=name)
    return not_found("File")


async def _send_part(request: web.Request, source: BinaryIO, todo: Plan, *, object_id: str) -> None:
    transport = request.transport
    if transport is None or transport.is_closing():
        return
    # A reader who leaves halfway is no error; aiohttp sees for itself that the connection is gone.
    with suppress(ConnectionError):
        sent_bytes = await asyncio.get_running_loop().sendfile(transport, source, todo.offset, todo.count)
        if sent_bytes < todo.count:  # the client waits for the rest unless the connection is closed
            raise EOFError(f"object {object_id} ends after {todo.offset + sent_bytes} of {todo.size_bytes} bytes")
