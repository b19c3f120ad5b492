"""Send a stored file, or the part of it that is asked for."""

import asyncio
import re
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import structlog
from aiohttp import web

from drive.errors import Code, DriveError, invalid, not_found
from drive.http.disposition import content_disposition, is_inline_safe
from drive.http.problems import REQUEST_ID, problem
from drive.http.ranges import Plan, plan

log = structlog.get_logger()

# What is shown inline can do nothing here: no script, no plugin, no form, no request to this origin.
_SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

_MIME_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+([ \t]*;[\x20-\x7e]*)?", re.ASCII)


def type_to_send(mime_type: str, wanted: str | None) -> str:
    """Return what a file is sent as: the wanted type, where a browser does no more than show it, else its own.

    Any visitor can ask for a type, so that none may be had that lets the bytes run, here or as a part of another page.

    Raises:
        DriveError: VALIDATION_ERROR, where the wanted type is none.

    """
    if wanted is None:
        return mime_type
    if not _MIME_TYPE.fullmatch(wanted):
        raise invalid("overrideMimeType", "must be a MIME type such as image/png.")
    return wanted if is_inline_safe(wanted) else mime_type


async def send_file(
    request: web.Request,
    file: Path,
    *,
    name: str,
    mime_type: str,
    etag: str,
    modified_at: datetime,
    size_bytes: int,
    as_attachment: bool,
) -> web.StreamResponse:
    """Send a file as the request's conditions and range ask; its bytes go from the disk to the socket by sendfile.

    Raises:
        DriveError: NOT_FOUND, where the bytes are gone.

    """
    quoted_etag = f'"{etag}"'
    todo = plan(
        range_header=_header(request, "Range"),
        if_range=_header(request, "If-Range"),
        if_none_match=_header(request, "If-None-Match"),
        if_match=_header(request, "If-Match"),
        if_modified_since=_header(request, "If-Modified-Since"),
        if_unmodified_since=_header(request, "If-Unmodified-Since"),
        etag=quoted_etag,
        modified_at=modified_at,
        size_bytes=size_bytes,
        method=request.method,
    )
    if todo.status >= HTTPStatus.BAD_REQUEST:
        return _refusal(request, todo)
    inline = is_inline_safe(mime_type) and not as_attachment
    response = web.StreamResponse(status=todo.status)
    response.headers.update(
        {
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "Content-Disposition": content_disposition("inline" if inline else "attachment", name),
            "Content-Security-Policy": _SANDBOX,
            "Content-Type": mime_type,
            "ETag": quoted_etag,
            "X-Content-Type-Options": "nosniff",
        }
    )
    response.last_modified = modified_at
    if todo.content_range:
        response.headers["Content-Range"] = todo.content_range
    if todo.status == HTTPStatus.NOT_MODIFIED:
        await response.prepare(request)
        await response.write_eof()
        return response
    return await _send_bytes(request, response, file, todo)


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


async def _send_bytes(request: web.Request, response: web.StreamResponse, file: Path, todo: Plan) -> web.StreamResponse:
    response.content_length = todo.count
    try:
        source = await asyncio.to_thread(file.open, "rb")
    except FileNotFoundError as error:
        log.error("Object missing", object_id=file.name)  # noqa: TRY400 - the trace says nothing more
        raise not_found("File") from error
    with source:
        await response.prepare(request)
        if todo.count and request.method != "HEAD":
            await _send_part(request, source, todo, object_id=file.name)
    return response


async def _send_part(request: web.Request, source: BinaryIO, todo: Plan, *, object_id: str) -> None:
    transport = request.transport
    if transport is None or transport.is_closing():
        return
    # A reader who leaves halfway is no error; aiohttp sees for itself that the connection is gone.
    with suppress(ConnectionError):
        sent_bytes = await asyncio.get_running_loop().sendfile(transport, source, todo.offset, todo.count)
        if sent_bytes < todo.count:  # the client waits for the rest unless the connection is closed
            raise EOFError(f"object {object_id} ends after {todo.offset + sent_bytes} of {todo.size_bytes} bytes")
