"""What happens around every call: ids, limits, and errors in one vocabulary."""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias
from uuid import uuid4

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError
from structlog.contextvars import bound_contextvars

from drive.errors import Code, DriveError
from drive.rpc.messages import Context

MESSAGE_MAX_BYTES = 16 * 1024 * 1024

Behaviour: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
Continue: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]

log = structlog.get_logger()

_OURS = "/proto."
_REQUEST_ID = "x-request-id"
_USABLE_ID = re.compile("[A-Za-z0-9_-]{8,64}")
_SERVER_ERRORS = 500


class Boundary(grpc.aio.ServerInterceptor):
    """Stands between the wire and every servicer of ours.

    Requests are decoded and answers encoded here: gRPC would tell the caller the text of what that raises.
    """

    def __init__(self, most_calls: int) -> None:
        self._most_calls = most_calls
        self._calls = 0

    async def intercept_service(self, continuation: Continue, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Wrap the method that answers, if it is one of ours."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_OURS):
            return handler
        return grpc.unary_unary_rpc_method_handler(self._around(handler_call_details, handler))

    def _around(self, call: grpc.HandlerCallDetails, handler: Any) -> Behaviour:
        method = call.method.removeprefix(_OURS).replace("/", ".")
        request_id = _request_id(call)

        async def answer(payload: bytes, context: Context) -> bytes:
            context.set_trailing_metadata(((_REQUEST_ID, request_id),))
            with bound_contextvars(request_id=request_id):
                try:
                    with self._place():
                        response = await handler.unary_unary(_decoded(payload, handler), context)
                        return _encoded(response, handler)
                except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told, and the log
                    failure = _failure(error, method, request_id)
            return await _tell(failure, context)

        return answer

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Take one of the places for calls under way; beyond them, waiting would only make all of them late."""
        if self._calls >= self._most_calls:
            message = f"The server is at {self._calls} calls already. Try again shortly, with a backoff."
            raise DriveError(Code.TOO_MANY_REQUESTS, message)
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1


async def _tell(failure: DriveError, context: Context) -> NoReturn:
    await context.abort(grpc.StatusCode[failure.code.value.grpc], failure.message)


def _decoded(payload: bytes, handler: Any) -> Any:
    try:
        return handler.request_deserializer(payload)
    except DecodeError as error:
        message = "The request is not a message of this method, or has text that is not UTF-8."
        raise DriveError(Code.VALIDATION_ERROR, message) from error


def _encoded(response: Any, handler: Any) -> bytes:
    payload: bytes = handler.response_serializer(response)
    if len(payload) > MESSAGE_MAX_BYTES:
        message = f"The answer has {len(payload)} bytes, more than the {MESSAGE_MAX_BYTES} of a message. Ask for less."
        raise DriveError(Code.TOO_LARGE, message)
    return payload


def _failure(error: Exception, method: str, request_id: str) -> DriveError:
    """Log what is not the caller's doing; what nobody foresaw, the caller is not told."""
    if not isinstance(error, DriveError):
        log.error("RPC failed", method=method, exc_info=error)
        return DriveError(Code.SERVER_ERROR, f"The server failed. Name the request id when you report it: {request_id}")
    if error.code.value.http >= _SERVER_ERRORS:
        log.warning("RPC failed", method=method, code=error.code.name, cause=repr(error.__cause__))
    return error


def _request_id(call: grpc.HandlerCallDetails) -> str:
    """Return the id that the caller has given, if it is usable, or a new one."""
    for name, value in call.invocation_metadata or ():
        if name == _REQUEST_ID and _USABLE_ID.fullmatch(str(value)):
            return str(value)
    return uuid4().hex
