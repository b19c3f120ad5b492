"""What clients send."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from aiohttp import BodyPartReader, ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from drive.errors import Code, DriveError, invalid

T = TypeVar("T")

_UNBOUNDED_BYTES = 2**63 - 1
_PIECE_BYTES = 256 * 1024
_IDLE_TIMEOUT_S = 60.0  # a client that stops sending must not hold a chunk for ever


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file within a request, whose bytes are still to come."""

    file_name: str | None
    content_type: str | None
    body: AsyncIterator[bytes]
    most_bytes: int
    """No more than this can come; the true size is known when the body has ended."""


async def read_json(request: web.Request, type_: type[T]) -> T:
    """Return the body as this type.

    Raises:
        msgspec.DecodeError: it is no JSON, or (ValidationError) not of this type. The error middleware says where.

    """
    return msgspec.json.decode(await request.read(), type=type_)


async def file_part(request: web.Request, field: str) -> FilePart:
    """Return the file of a multipart form's field, or the whole body where it is no form.

    Raises:
        DriveError: VALIDATION_ERROR, the field is missing.

    """
    most_bytes = _most_bytes(request)
    if not request.content_type.startswith("multipart/"):
        return FilePart(
            file_name=request.query.get("fileName") or request.query.get("file_name"),
            content_type=request.headers.get("Content-Type"),
            body=_pieces(request.content.iter_chunked(_PIECE_BYTES)),
            most_bytes=most_bytes,
        )
    part = await _named_part(request, field)
    return FilePart(
        file_name=part.filename,
        content_type=part.headers.get("Content-Type"),
        body=_pieces(_part_pieces(part)),
        most_bytes=most_bytes,
    )


def _most_bytes(request: web.Request) -> int:
    """Return what the body's length promises; a compressed body's length, or an absent one, promises nothing."""
    length = None if "Content-Encoding" in request.headers else request.content_length
    return _UNBOUNDED_BYTES if length is None else length


async def _named_part(request: web.Request, field: str) -> BodyPartReader:
    """Skip to the field. Fields before it are read to nowhere."""
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if isinstance(part, BodyPartReader) and part.name == field:
                return part
            await part.release()
    except (ValueError, HttpProcessingError) as error:
        raise DriveError(Code.VALIDATION_ERROR, f"The multipart body is malformed: {error}") from error
    raise invalid(field, "this multipart field is missing")


async def _part_pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while not part.at_eof():
        if piece := await part.read_chunk(_PIECE_BYTES):
            yield piece


async def _pieces(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pass pieces on; a body that breaks off is the client's error, not ours."""
    try:
        while True:
            async with asyncio.timeout(_IDLE_TIMEOUT_S):
                piece = await anext(source, b"")
            if not piece:
                return
            yield piece
    except TimeoutError as error:
        message = f"Nothing of the body came for {_IDLE_TIMEOUT_S:.0f} s. Send it again."
        raise DriveError(Code.VALIDATION_ERROR, message) from error
    except (ConnectionError, ClientPayloadError, web.RequestPayloadError, HttpProcessingError, ValueError) as error:
        raise DriveError(Code.VALIDATION_ERROR, "The body broke off before its end. Send it again.") from error
