"""The call object of a stub's very first call, handed out while gRPC is still being imported."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NoReturn

from drive.lazy.modules import load


class DeferredCall:
    """Behaves as the `grpc.aio` call that it becomes once gRPC is imported and the channel open.

    It begins at once, as a call of grpc.aio does, whether or not it is awaited. The time that the import takes counts
    against the deadline. Cancelled before it begins, it opens nothing.
    """

    def __init__(
        self,
        load_: Callable[[], Awaitable[None]],
        start: Callable[[float | None], Any],
        timeout_s: float | None,
    ) -> None:
        """Begin.

        Args:
            load_: imports what `start` needs.
            start: makes the real call, given the seconds that are left of `timeout_s`.
            timeout_s: the call's deadline, None for none.

        """
        self._loop = asyncio.get_running_loop()
        self._deadline_s = None if timeout_s is None else self._loop.time() + timeout_s
        self._call: Any = None
        self._callbacks: list[Callable[[Any], None]] = []
        self._starting = self._loop.create_task(self._start(load_, start), name="first gRPC call")
        self._starting.add_done_callback(self._begun)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._response().__await__()

    def __aiter__(self) -> "DeferredCall":
        return self

    async def __anext__(self) -> Any:
        return await anext(aiter(await self._started_to_read()))  # a call gives the same iterator each time

    def cancel(self) -> bool:
        """Cancel the call; False if it is already over."""
        if self._call is not None:
            return bool(self._call.cancel())
        if self._starting.done():
            return False
        self._starting.cancel()
        self._become(_EndedCall.by_cancelling())
        return True

    def cancelled(self) -> bool:
        """Tell whether the call was cancelled."""
        return self._call is not None and self._call.cancelled()

    def done(self) -> bool:
        """Tell whether the call is over."""
        return self._starting.done() if self._call is None else self._call.done()

    def time_remaining(self) -> float | None:
        """Return the seconds left before the deadline; None if there is none."""
        left_s = self._left_s()
        return None if left_s is None else max(0.0, left_s)

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback(call)` when the call is over; at once if it already is."""
        if self._call is not None:
            self._call.add_done_callback(lambda _call: callback(self))
        elif self._starting.done():
            callback(self)
        else:
            self._callbacks.append(callback)

    async def initial_metadata(self) -> Any:
        """Return the metadata that the server sent first."""
        return await (await self._started()).initial_metadata()

    async def trailing_metadata(self) -> Any:
        """Return the metadata that the server sent last."""
        return await (await self._started()).trailing_metadata()

    async def code(self) -> Any:
        """Return the final status code."""
        return await (await self._started()).code()

    async def details(self) -> Any:
        """Return the final status's text."""
        return await (await self._started()).details()

    async def debug_error_string(self) -> Any:
        """Return gRPC's own account of the failure."""
        return await (await self._started()).debug_error_string()

    async def wait_for_connection(self) -> None:
        """Wait until the channel is connected."""
        await (await self._started()).wait_for_connection()

    async def read(self) -> Any:
        """Return the next message of a response stream, or grpc.aio.EOF."""
        return await (await self._started_to_read()).read()

    async def write(self, request: Any) -> None:
        """Send a message on a request stream."""
        await (await self._started()).write(request)

    async def done_writing(self) -> None:
        """End the request stream."""
        await (await self._started()).done_writing()

    async def _start(self, load_: Callable[[], Awaitable[None]], start: Callable[[float | None], Any]) -> None:
        await load_()
        left_s = self._left_s()
        # gRPC would send a call whose time is up, and might even take an answer that comes soon enough.
        is_over = left_s is not None and left_s <= 0
        self._become(_EndedCall.by_deadline() if is_over else start(left_s))

    def _left_s(self) -> float | None:
        return None if self._deadline_s is None else self._deadline_s - self._loop.time()

    def _become(self, call: Any) -> None:
        self._call = call
        self._hand_over_callbacks()

    def _begun(self, starting: asyncio.Task[None]) -> None:
        if starting.cancelled():
            if self._call is None:  # not by `cancel`: the loop is being ended, with all of its tasks
                self._become(_EndedCall.by_cancelling())
        elif starting.exception() is not None:  # asking marks it as seen: a call may be dropped without awaiting it
            self._hand_over_callbacks()

    def _hand_over_callbacks(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self.add_done_callback(callback)

    async def _started(self) -> Any:
        """Return the real call. Cancelling one who waits for it does not cancel the call."""
        if self._call is None:
            await asyncio.wait([self._starting])
        if self._call is None:
            self._starting.result()  # raises why it could not begin
        return self._call

    async def _started_to_read(self) -> Any:
        """Return the real call. As in grpc.aio, cancelling one who waits for a response cancels the call."""
        try:
            return await self._started()
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def _response(self) -> Any:
        return await (await self._started_to_read())


class _EndedCall:
    """A call that was over before it began: cancelled, or its deadline passed. Answers as one of grpc.aio does."""

    def __init__(self, status: str, details: str) -> None:
        self._status = status
        self._details = details

    @classmethod
    def by_cancelling(cls) -> "_EndedCall":
        return cls("CANCELLED", "Locally cancelled by application!")

    @classmethod
    def by_deadline(cls) -> "_EndedCall":
        return cls("DEADLINE_EXCEEDED", "Deadline Exceeded")

    def __await__(self) -> Generator[Any, None, Any]:
        return self._fail().__await__()

    def __aiter__(self) -> "_EndedCall":
        return self

    async def __anext__(self) -> NoReturn:
        await self._fail()

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return self._status == "CANCELLED"

    def done(self) -> bool:
        return True

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)

    async def initial_metadata(self) -> Any:
        await load("grpc.aio")
        from grpc.aio import Metadata

        return Metadata()

    async def trailing_metadata(self) -> Any:
        return await self.initial_metadata()

    async def code(self) -> Any:
        await load("grpc")
        from grpc import StatusCode

        return StatusCode[self._status]

    async def details(self) -> str:
        return self._details

    async def debug_error_string(self) -> None:
        return None

    async def wait_for_connection(self) -> NoReturn:
        await self._fail()

    async def read(self) -> NoReturn:
        await self._fail()

    async def write(self, _request: Any) -> NoReturn:
        raise asyncio.InvalidStateError("RPC already finished.")

    async def done_writing(self) -> None:
        return None

    async def _fail(self) -> NoReturn:
        if self.cancelled():
            raise asyncio.CancelledError
        await load("grpc.aio")
        from grpc.aio import AioRpcError, Metadata

        raise AioRpcError(await self.code(), Metadata(), Metadata(), self._details)
