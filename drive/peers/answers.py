"""What the servicers need to read requests and to answer in the wire's own types."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

import grpc.aio
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from drive.errors import invalid

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

PAGE_SIZE = 20
PAGE_SIZE_LIMIT = 100
PAGE_TOKEN = re.compile(r"[0-9]{0,9}")
LIFETIME_LIMIT_S = 366 * 86_400

T = TypeVar("T")


def timestamp(moment: datetime | None) -> Timestamp | None:
    """Return a moment as the wire has it, and nothing for nothing."""
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def moment_in(message: Message, name: str) -> datetime | None:
    """Return the moment that a field of the message gives, if it is set."""
    if not message.HasField(name):
        return None
    try:
        return cast("datetime", getattr(message, name).ToDatetime(UTC))
    except (ValueError, OverflowError) as error:
        raise invalid(name, "is not a moment between the years 1 and 9999") from error


def lifetime_in(message: Message, name: str, default: timedelta) -> timedelta:
    """Return how long something is to live by a field of the message, in whole seconds."""
    if not message.HasField(name):
        return default
    lifetime_s = getattr(message, name).seconds
    if not 0 < lifetime_s <= LIFETIME_LIMIT_S:
        raise invalid(name, f"must be between one second and {LIFETIME_LIMIT_S} seconds")
    return timedelta(seconds=lifetime_s)


def string_value(text: str | None) -> StringValue | None:
    """Wrap a text that may be missing."""
    return None if text is None else StringValue(value=text)


def text_in(message: Message, name: str) -> str | None:
    """Return a text that may be missing, whether the wire wraps it or has it as an optional field."""
    if not message.HasField(name):
        return None
    found = getattr(message, name)
    return str(found.value if isinstance(found, StringValue) else found)


def value(thing: Any) -> Value:
    """Return a JSON value as the wire has it."""
    return ParseDict(thing, Value())


def value_in(message: Value) -> Any:
    """Return the JSON value that the wire gives; an empty message is null."""
    return MessageToDict(message) if message.WhichOneof("kind") else None


def values(mapping: Mapping[str, Any]) -> dict[str, Value]:
    """Return a mapping of JSON values as the wire has it."""
    return {key: value(item) for key, item in mapping.items()}


def values_in(mapping: Mapping[str, Value]) -> dict[str, Any]:
    """Return the mapping of JSON values that the wire gives."""
    return {key: value_in(item) for key, item in mapping.items()}


class Page(NamedTuple, Generic[T]):
    """A part of a list, the token that leads to the next part (empty at the end), and the size of the whole."""

    items: Sequence[T]
    next_token: str
    total: int


def page(items: Sequence[T], size: int, token: str) -> Page[T]:
    """Cut a page out of a list. The token is the offset in disguise; a size of zero means the usual one."""
    if not PAGE_TOKEN.fullmatch(token):
        raise invalid("page_token", f"'{token}' was not given out here")
    if size < 0:
        raise invalid("page_size", "must not be negative")
    start = int(token or 0)
    end = start + min(size or PAGE_SIZE, PAGE_SIZE_LIMIT)
    return Page(items[start:end], str(end) if end < len(items) else "", len(items))
