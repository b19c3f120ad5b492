"""Answer every error as problem details (RFC 9457), and give every request an id."""

import asyncio
import json
import os
import re
import traceback
import zlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import hdrs, http_exceptions, web
from aiohttp.typedefs import Handler
from structlog.contextvars import bind_contextvars, reset_contextvars

from drive.errors import Code, DriveError, invalid

log = structlog.get_logger()

REQUEST_ID_HEADER = "X-Request-Id"
# Where the middleware puts the id: `request[REQUEST_ID]`.
REQUEST_ID = web.RequestKey("request_id", str)

_REQUEST_ID = re.compile("[A-Za-z0-9_-]{8,64}")
# Of the codes that share a status, the one that is declared first is the general one.
_CODES = {code.value.http: code for code in reversed(Code)}
_MESSAGES: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "Nothing is served at this path.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path does not answer {method}. The Allow header lists what it answers.",
}
_NAMED_FIELD = re.compile("(?:missing required|contains unknown) field `(.*)`$", re.DOTALL)
_BODY = "body"
_BODY_HEADERS = {"content-type", "content-length", "content-encoding"}
_MOST_PROBLEM_CHARS = 300  # msgspec repeats a wrong enum value, however long
# While sendfile runs the transport does not read: it hears that the client is gone only some turns of the loop later.
_TURNS_TO_NOTICE = 4
_BODY_READERS = {"aiohttp.multipart", "aiohttp.web_request"}
_BODY_ERRORS = (ValueError, LookupError, RuntimeError, AssertionError, zlib.error)


def problem(error: DriveError, *, instance: str, request_id: str, status: int | None = None) -> web.Response:
    """Return the answer that tells a client of an error.

    The body has RFC 9457's members and those that clients of the original know: `code`, `message`, `errors`.

    Args:
        error: what went wrong.
        instance: the path that was asked for, percent-encoded; without its query, which may carry a token.
        request_id: what to look for in the log.
        status: the HTTP status, where it is not that of the error's code.

    """
    code = error.code
    status = status or code.value.http
    members: dict[str, Any] = {
        "type": f"urn:drive:problem:{code.name.lower().replace('_', '-')}",
        "title": code.value.title,
        "status": status,
        "detail": error.message,
        "instance": instance,
        "code": code.name,
        "message": error.message,
        "errors": {field: [wrong] for field, wrong in error.fields.items()},
        "trace_id": request_id,
    }
    if not error.fields:
        del members["errors"]
    # json and not msgspec, which cannot encode the lone surrogates that a header may have brought into a message
    body = json.dumps(members).encode()
    return web.Response(
        status=status, headers=_headers(error, status), body=body, content_type="application/problem+json"
    )


@web.middleware
async def errors_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises into a problem; what nobody foresaw is logged, and the client is not told why.

    Passed on are redirects, cancelling, and a connection that the client broke. Where the answer has begun already,
    the error is logged and passed on too, and the connection is closed, by which the client sees that the rest is
    missing.
    """
    try:
        return await handler(request)
    except Exception as error:
        if await _client_is_gone(request, error):
            raise
        if request.writer.output_size > 0:
            log.exception("Request failed", **_facts(request))
            _hang_up(request)
            raise
        if _is_redirect(error):
            raise
        return _answer(request, error)


@web.middleware
async def request_id_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, its client's if that has sent a usable one, and add it to all log lines meanwhile.

    Answers carry it as a header. One that a handler has begun to send by itself has left by then: where that happens,
    append `send_request_id` to the application's `on_response_prepare`.
    """
    sent = request.headers.get(REQUEST_ID_HEADER, "")
    request[REQUEST_ID] = request_id = sent if _REQUEST_ID.fullmatch(sent) else os.urandom(16).hex()
    bound = bind_contextvars(request_id=request_id)
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers[REQUEST_ID_HEADER] = request_id
        raise
    finally:
        reset_contextvars(**bound)
    response.headers[REQUEST_ID_HEADER] = request_id
    return response


async def send_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """Add the request's id to an answer that is about to be sent: a receiver of `on_response_prepare`."""
    if REQUEST_ID in request:
        response.headers[REQUEST_ID_HEADER] = request[REQUEST_ID]


def _answer(request: web.Request, error: Exception) -> web.Response:
    if isinstance(error, web.HTTPException):
        return _from_aiohttp(request, error)
    known = error if isinstance(error, DriveError) else _from_body(request, error)
    if known is None:
        log.error("Request failed", **_facts(request), exc_info=error)
        known = DriveError(Code.SERVER_ERROR, "The server failed. Name the trace_id when you report it.")
    elif known.code.value.http >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("Request failed", **_facts(request), code=known.code.name, cause=repr(known.__cause__))
    return problem(known, instance=request.rel_url.raw_path, request_id=_request_id(request))


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> web.Response:
    """Keep the status and the headers of what aiohttp raised, such as Allow, and replace its body."""
    fallback = Code.VALIDATION_ERROR if error.status < HTTPStatus.INTERNAL_SERVER_ERROR else Code.SERVER_ERROR
    answer = problem(
        DriveError(_CODES.get(error.status, fallback), _message(request, error)),
        instance=request.rel_url.raw_path,
        request_id=_request_id(request),
        status=error.status,
    )
    answer.headers.update((name, value) for name, value in error.headers.items() if name.lower() not in _BODY_HEADERS)
    return answer


def _message(request: web.Request, error: web.HTTPException) -> str:
    """Prefer what a handler has said to aiohttp's text, which repeats the status."""
    if error.text and error.text != f"{error.status}: {error.reason}":
        return error.text
    return _MESSAGES.get(error.status, error.reason).replace("{method}", request.method)


def _from_body(request: web.Request, error: Exception) -> DriveError | None:
    """Return the client's part in it: its body is not what its headers or our types say. None for anything else."""
    import msgspec

    if isinstance(error, msgspec.DecodeError) and _has_body(request):
        return invalid(*_wrong_field(str(error)))
    if _is_undecodable(request, error) or _is_too_deep(error):
        return invalid(_BODY, "must be JSON in UTF-8, and not nested too deeply.")
    if isinstance(error, (http_exceptions.HttpProcessingError, web.RequestPayloadError)) or _broke_a_reader(error):
        return invalid(_BODY, "is not what Content-Type, Content-Encoding and its boundaries announce.")
    return None


def _wrong_field(message: str) -> tuple[str, str]:
    """Split msgspec's "Expected `int`, got `str` - at `$.pool.ids[0]`" into the field, pool.ids[0], and the problem."""
    wrong, found, path = message.rpartition(" - at `")
    wrong, path = (wrong, path.rstrip("`").rpartition("$")[2]) if found else (message, "")
    if named := _NAMED_FIELD.search(wrong):
        path = f"{path}.{named[1]}"
    return path.lstrip(".")[:_MOST_PROBLEM_CHARS] or _BODY, f"{wrong[:_MOST_PROBLEM_CHARS]}."


def _is_undecodable(request: web.Request, error: Exception) -> bool:
    """Tell msgspec's complaint of a body that is no UTF-8 from bytes of our own that are none."""
    return isinstance(error, UnicodeDecodeError) and not _is_utf8(_body_read(request))


def _body_read(request: web.Request) -> bytes:
    return request._read_bytes or b""  # noqa: SLF001 - `await request.read()` would wait for what nobody has read yet


def _has_body(request: web.Request) -> bool:
    """Tell whether there was anything to decode, be it empty; if not, what msgspec refused was something of our own."""
    return request.body_exists or request._read_bytes is not None  # noqa: SLF001 - see above


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_too_deep(error: Exception) -> bool:
    """Tell msgspec's refusal of JSON that is nested thousands of levels deep from a recursion of our own."""
    return isinstance(error, RecursionError) and "deserializing" in str(error)


def _broke_a_reader(error: Exception) -> bool:
    """Tell whether aiohttp's readers of forms raised it, whose errors have plain types such as ValueError."""
    return isinstance(error, _BODY_ERRORS) and not _BODY_READERS.isdisjoint(_modules(error))


def _modules(error: Exception) -> Iterator[str]:
    for frame, _ in traceback.walk_tb(error.__traceback__):
        yield frame.f_globals.get("__name__", "")


def _is_redirect(error: Exception) -> bool:
    return isinstance(error, web.HTTPException) and error.status < HTTPStatus.BAD_REQUEST


async def _client_is_gone(request: web.Request, error: Exception) -> bool:
    """Tell a connection that the client broke from one of our own, to a store for instance, that broke the same way."""
    if isinstance(error, OSError):
        for _ in range(_TURNS_TO_NOTICE):
            await asyncio.sleep(0)
    return isinstance(error, OSError) and (request.transport is None or request.transport.is_closing())


def _hang_up(request: web.Request) -> None:
    # aiohttp closes the connection after other errors, but sends an HTTPException in the midst of what was begun
    if request.transport is not None:
        request.transport.close()


def _request_id(request: web.Request) -> str:
    return str(request.get(REQUEST_ID, ""))


def _facts(request: web.Request) -> dict[str, str]:
    return {"request_id": _request_id(request), "method": request.method, "path": request.rel_url.raw_path}


def _headers(error: DriveError, status: int) -> dict[str, str]:
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: "no-store"}
    if error.retry_after_s is not None:
        headers[hdrs.RETRY_AFTER] = str(error.retry_after_s)
    if status == HTTPStatus.UNAUTHORIZED:
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return headers
