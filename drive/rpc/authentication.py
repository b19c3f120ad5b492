"""Who may call."""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, TypeAlias

import grpc
import grpc.aio

from drive.rpc.messages import Context

Continue: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]

_HEALTH = "/grpc.health.v1.Health/"
_HOW = "Send the metadata `authorization: Bearer <token>`, with one of the tokens in DRIVE_GRPC_TOKENS."


class Authentication(grpc.aio.ServerInterceptor):
    """Lets callers in that send one of the tokens, and probes of the health. It stands before all other interceptors.

    Several tokens are valid at once, so that callers can change theirs one after the other.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self._digests = [_digest(token) for token in tokens]

    async def intercept_service(self, continuation: Continue, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Answer those without a token before their request is read."""
        if self._may_pass(handler_call_details):
            return await continuation(handler_call_details)
        return grpc.stream_stream_rpc_method_handler(_refuse)

    def _may_pass(self, call: grpc.HandlerCallDetails) -> bool:
        if not self._digests or call.method.startswith(_HEALTH):
            return True
        given = _digest(_token_in(call))
        # Each is compared, in full: how long that takes tells nothing of any of them.
        return sum(hmac.compare_digest(given, one) for one in self._digests) > 0


def _token_in(call: grpc.HandlerCallDetails) -> str:
    for name, value in call.invocation_metadata or ():
        if name == "authorization":
            scheme, _, token = str(value).partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


async def _refuse(_requests: object, context: Context) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"Authentication is required. {_HOW}")
