"""The caller's half of a fake call: it quacks like a call of grpc.aio."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

from grpc import StatusCode
from grpc.aio import (
    EOF,
    Call,
    Metadata,
    StreamStreamCall,
    StreamUnaryCall,
    UnaryStreamCall,
    UnaryUnaryCall,
    UsageError,
)

from drive.testing.exchange import CANCELLED_HERE, Exchange


class FakeCall(Call):
    """What calls of all arities have."""

    def __init__(self, exchange: Exchange, *, has_iterator: bool) -> None:
        self._exchange = exchange
        self._has_iterator = has_iterator
        self._response: Any = None
        self._is_half_closed = False
        self._reader: AsyncIterator[Any] | None = None
        self._is_read = False

    def cancel(self) -> bool:
        """Cancel the call; False if it is already over."""
        return self._exchange.cancel(CANCELLED_HERE)

    def cancelled(self) -> bool:
        """Tell whether the call was cancelled."""
        status = self._exchange.status
        return status is not None and status.code is StatusCode.CANCELLED

    def done(self) -> bool:
        """Tell whether the call is over."""
        return self._exchange.status is not None

    def time_remaining(self) -> float | None:
        """Return the seconds left before the deadline; None if there is none."""
        return self._exchange.left_s()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback(call)` when the call is over; at once if it already is."""
        self._exchange.when_ended(functools.partial(callback, self))

    async def initial_metadata(self) -> Metadata:
        """Return the metadata that the server sent first."""
        return (await self._exchange.wait()).initial_metadata or Metadata()

    async def trailing_metadata(self) -> Metadata:
        """Return the metadata that the server sent last."""
        return (await self._exchange.wait()).trailing_metadata or Metadata()

    async def code(self) -> StatusCode:
        """Return the final status code."""
        return (await self._exchange.wait()).code

    async def details(self) -> str:
        """Return the final status's text."""
        return (await self._exchange.wait()).details

    async def debug_error_string(self) -> str:
        """Return what gRPC would say of a failure."""
        return f"{await self.code()}: {await self.details()}"

    async def wait_for_connection(self) -> None:
        """Return at once: there is no connection to wait for."""


class _UnaryResponse(FakeCall):
    def __await__(self) -> Generator[Any, None, Any]:
        return self._answered().__await__()

    async def _answered(self) -> Any:
        try:
            status = await self._exchange.wait()
        except asyncio.CancelledError:
            self.cancel()
            raise
        status.raise_if_failed()
        if self._response is None:
            self._response = self._exchange.responses.get_nowait()
        return self._response


class _StreamResponse(FakeCall):
    def __del__(self) -> None:
        # A stream that nobody reads any more would go on.
        self._exchange.cancel("Cancelled upon garbage collection!")

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._is_read:
            raise UsageError(_MIXED)
        if self._reader is None:
            self._reader = self._iterate()
        return self._reader

    async def read(self) -> Any:
        """Return the next message, or grpc.aio.EOF."""
        if self._reader is not None:
            raise UsageError(_MIXED)
        self._is_read = True
        return await self._next()

    async def _iterate(self) -> AsyncIterator[Any]:
        while (message := await self._next()) is not EOF:
            yield message

    async def _next(self) -> Any:
        try:
            message = await self._exchange.responses.get()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if message is EOF:
            self._exchange.responses.put_nowait(EOF)  # for who reads again
            (await self._exchange.wait()).raise_if_failed()
        return message


class _StreamRequest(FakeCall):
    async def write(self, request: Any) -> None:
        """Send a message."""
        if self._has_iterator:
            raise UsageError(_MIXED)
        if self.done():
            raise asyncio.InvalidStateError("RPC already finished.")
        if self._is_half_closed:
            raise asyncio.InvalidStateError('RPC is half closed after calling "done_writing".')
        self._exchange.receive(request)
        await asyncio.sleep(0)

    async def done_writing(self) -> None:
        """End the request stream."""
        if self._has_iterator:
            raise UsageError(_MIXED)
        if not self._is_half_closed:
            self._is_half_closed = True
            self._exchange.receive_end()


class FakeUnaryUnaryCall(_UnaryResponse, UnaryUnaryCall[Any, Any]):
    """One request, one response."""


class FakeUnaryStreamCall(_StreamResponse, UnaryStreamCall[Any, Any]):
    """One request, a stream of responses."""


class FakeStreamUnaryCall(_StreamRequest, _UnaryResponse, StreamUnaryCall[Any, Any]):
    """A stream of requests, one response."""


class FakeStreamStreamCall(_StreamRequest, _StreamResponse, StreamStreamCall[Any, Any]):
    """Streams both ways."""


_MIXED = "The iterator and read/write APIs may not be mixed on a single RPC."
