"""Between the wire's messages and our own types."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar, cast
from uuid import UUID

import grpc.aio
import msgspec
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from drive.errors import invalid
from drive.files.catalog import SharedFile
from drive.proto.file_pb2 import CloudFile, CloudFileReference
from drive.references.interfaces import FileReference

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
S = TypeVar("S")
T = TypeVar("T")

_NULL = b"null"
_AT_ONCE = 100


def to_cloud_file(file: SharedFile) -> CloudFile:
    """Return a file as the wire has it; JSON that is absent is the text `null` there."""
    return CloudFile(
        id=file.id,
        name=file.name,
        file_meta=_json(file.file_meta),
        user_meta=_json(file.user_meta),
        mime_type=file.mime_type,
        hash=file.sha256.hex(),
        size=file.size_bytes,
        has_compression=file.has_compression,
        url=file.storage_url or "",
        content_type=file.mime_type,
        uploaded_at=_timestamp(file.uploaded_at),
        sensitive_marks=msgspec.json.encode(file.sensitive_marks),
        width=file.width,
        height=file.height,
        blurhash=file.blurhash,
    )


def to_reference(reference: FileReference) -> CloudFileReference:
    """Return a reference as the wire has it; its file is for the caller to load."""
    return CloudFileReference(
        id=str(reference.id),
        file_id=reference.file_id,
        usage=reference.usage,
        resource_id=reference.resource_id,
        expired_at=_timestamp(reference.expired_at),
    )


async def gradually(convert: Callable[[S], T], things: Sequence[S]) -> list[T]:
    """Convert very many things, and let others go on meanwhile: a full answer takes a tenth of a second."""
    converted: list[T] = []
    for begin in range(0, len(things), _AT_ONCE):
        converted += map(convert, things[begin : begin + _AT_ONCE])
        await asyncio.sleep(0)
    return converted


def usage_in(request: Message) -> str | None:
    """Return the usage of a request; None, for all of them, where it is absent. An empty one is one of its own."""
    return str(getattr(request, "usage")) if request.HasField("usage") else None  # noqa: B009 - of several types


def uuid_in(request: Message, field: str) -> UUID:
    """Return the UUID of a field.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    try:
        return UUID(getattr(request, field))
    except ValueError as error:
        raise invalid(field, "must be a UUID.") from error


def moment_in(request: Message, field: str = "expired_at") -> datetime | None:
    """Return the moment of a field, None where it is absent.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    if not request.HasField(field):
        return None
    try:
        return cast("datetime", getattr(request, field).ToDatetime(UTC))
    except (ValueError, OverflowError) as error:
        raise invalid(field, "must be a moment between the years 1 and 9999.") from error


def expiry_in(request: Message) -> datetime | None:
    """Return when something is to expire: at `expired_at`, or else after `duration`; None, for never, without either.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    moment = moment_in(request)
    if moment is not None or not request.HasField("duration"):
        return moment
    try:
        lifetime = cast("timedelta", getattr(request, "duration").ToTimedelta())  # noqa: B009 - of several types
        expiry = datetime.now(UTC) + lifetime
    except (ValueError, OverflowError) as error:
        raise invalid("duration", "must end before the year 10000.") from error
    if lifetime <= timedelta():
        raise invalid("duration", "must be above zero.")
    return expiry


def future_expiry_in(request: Message) -> datetime | None:
    """Return when something that begins now is to expire, as `expiry_in`.

    Raises:
        DriveError: VALIDATION_ERROR, also where that moment is over.

    """
    moment = expiry_in(request)
    if moment is not None and moment <= datetime.now(UTC):
        raise invalid("expired_at", "must be in the future.")
    return moment


def json_in(text: bytes, kind: type[T], field: str, expected: str) -> T | None:
    """Return what a JSON text holds, None where it is `null` or empty.

    Raises:
        DriveError: VALIDATION_ERROR; `expected` says what it must be.

    """
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=kind | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(field, expected) from error


def _json(text: str | None) -> bytes:
    return _NULL if text is None else text.encode()


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message
