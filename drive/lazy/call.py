"""Call objects that are handed out before there is a call of grpc.aio: at the very first, gRPC is still imported."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NoReturn

from drive.lazy.modules import load


class CallInFront(ABC):
    """What a caller holds in place of a call of grpc.aio that begins later, or again. Behaves as that call.

    `_call` is the call of grpc.aio; None while there is none. Where another one takes its place, what the former
    answers is not passed on.
    """

    # Of the class, lest each call sets them.
    _call: Any = None
    _callbacks: tuple[Callable[[Any], None], ...] = ()

    @abstractmethod
    def cancel(self) -> bool:
        """Cancel the call; False if it is already over."""

    @abstractmethod
    def done(self) -> bool:
        """Tell whether the call is over."""

    @abstractmethod
    def time_remaining(self) -> float | None:
        """Return the seconds left before the deadline; None if there is none."""

    def cancelled(self) -> bool:
        """Tell whether the call was cancelled."""
        return self._call is not None and self._call.cancelled()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback(call)` when the call is over; at once if it already is."""
        if self.done():
            callback(self)
        else:
            self._callbacks = (*self._callbacks, callback)

    async def initial_metadata(self) -> Any:
        """Return the metadata that the server sent first."""
        return await self._ask("initial_metadata")

    async def trailing_metadata(self) -> Any:
        """Return the metadata that the server sent last."""
        return await self._ask("trailing_metadata")

    async def code(self) -> Any:
        """Return the final status code."""
        return await self._ask("code")

    async def details(self) -> Any:
        """Return the final status's text."""
        return await self._ask("details")

    async def debug_error_string(self) -> Any:
        """Return gRPC's own account of the failure."""
        return await self._ask("debug_error_string")

    async def wait_for_connection(self) -> None:
        """Wait until the channel is connected."""
        await self._ask("wait_for_connection")

    @abstractmethod
    async def _begun(self) -> Any:
        """Return the call of grpc.aio, waited for. Cancelling one who waits for it does not cancel the call."""

    def _is_last(self, call: Any) -> bool:
        """Tell whether what a call of grpc.aio answers is the answer; otherwise another one takes its place."""
        return call is self._call

    async def _begun_to_read(self) -> Any:
        """Return the call of grpc.aio. As there, cancelling one who waits for a response cancels the call."""
        try:
            return await self._begun()
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def _next(self) -> Any:
        return await self._message(lambda call: anext(aiter(call)))  # a call gives the same iterator each time

    async def _read(self) -> Any:
        return await self._message(lambda call: call.read())

    async def _message(self, read: Callable[[Any], Awaitable[Any]]) -> Any:
        failed, failure = None, None
        while True:
            call = await self._begun_to_read()
            if failure is not None and call is failed:
                raise failure  # there will be no other attempt, and an iterator tells only once why it ended
            try:
                message = await read(call)
            except asyncio.CancelledError:
                self._is_last(call)  # settles an attempt that is over: what takes its place is what to cancel
                self.cancel()  # also the attempt itself, as gRPC leaves alone what it has not sent yet
                raise
            except Exception as error:
                if self._is_last(call):
                    raise
                failed, failure = call, error
            else:
                if self._is_last(call):
                    return message

    async def _ask(self, what: str) -> Any:
        while True:
            call = await self._begun()
            try:
                answer = await getattr(call, what)()
            except Exception:
                if self._is_last(call):
                    raise
            else:
                if self._is_last(call):
                    return answer

    def _tell(self) -> None:
        """Tell those who asked for it that the call is over."""
        callbacks, self._callbacks = self._callbacks, ()
        for callback in callbacks:
            callback(self)


class DeferredCall(CallInFront):
    """The call that begins once gRPC is imported and the channel open.

    That begins at once, as a call of grpc.aio does, whether or not it is awaited. The time that the import takes counts
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
        self._starting = self._loop.create_task(self._start(load_, start), name="first gRPC call")
        self._starting.add_done_callback(self._start_ended)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._awaited().__await__()

    def __aiter__(self) -> "DeferredCall":
        return self

    async def __anext__(self) -> Any:
        return await self._next()

    async def read(self) -> Any:
        """Return the next message of a response stream, or grpc.aio.EOF."""
        return await self._read()

    def cancel(self) -> bool:
        """Cancel the call; False if it is already over."""
        if self._call is not None:
            return bool(self._call.cancel())
        if self._starting.done():
            return False
        self._starting.cancel()
        self._become(cancelled_call())
        return True

    def done(self) -> bool:
        """Tell whether the call is over."""
        return self._starting.done() if self._call is None else self._call.done()

    def time_remaining(self) -> float | None:
        """Return the seconds left before the deadline; None if there is none."""
        left_s = self._left_s()
        return None if left_s is None else max(0.0, left_s)

    async def write(self, request: Any) -> None:
        """Send a message on a request stream."""
        await (await self._begun()).write(request)

    async def done_writing(self) -> None:
        """End the request stream."""
        await (await self._begun()).done_writing()

    async def _awaited(self) -> Any:
        return await (await self._begun_to_read())  # of a call that cannot be awaited it says so

    async def _start(self, load_: Callable[[], Awaitable[None]], start: Callable[[float | None], Any]) -> None:
        await load_()
        left_s = self._left_s()
        # gRPC would send a call whose time is up, and might even take an answer that comes soon enough.
        is_over = left_s is not None and left_s <= 0
        self._become(overdue_call() if is_over else start(left_s))

    def _left_s(self) -> float | None:
        return None if self._deadline_s is None else self._deadline_s - self._loop.time()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback(call)` when the call is over; at once if it already is."""
        if self._call is None:
            super().add_done_callback(callback)
        else:
            self._call.add_done_callback(lambda _call: callback(self))

    def _become(self, call: Any) -> None:
        self._call = call
        if self._callbacks:  # otherwise not: they would keep alive a call that is cancelled when it is forgotten
            call.add_done_callback(lambda _call: self._tell())

    def _start_ended(self, starting: asyncio.Task[None]) -> None:
        if starting.cancelled():
            if self._call is None:  # not by `cancel`: the loop is being ended, with all of its tasks
                self._become(cancelled_call())
        elif starting.exception() is not None:  # asking marks it as seen: a call may be dropped without awaiting it
            self._tell()

    async def _begun(self) -> Any:
        if self._call is None:
            await asyncio.wait([self._starting])
        if self._call is None:
            self._starting.result()  # raises why it could not begin
        return self._call


def cancelled_call() -> Any:
    """Return a call that was cancelled before it began."""
    return _EndedCall("CANCELLED", "Locally cancelled by application!")


def overdue_call() -> Any:
    """Return a call whose deadline passed before it began."""
    return _EndedCall("DEADLINE_EXCEEDED", "Deadline Exceeded")


class _EndedCall:
    """A call that was over before it began: cancelled, or its deadline passed. Answers as one of grpc.aio does."""

    def __init__(self, status: str, details: str) -> None:
        self._status = status
        self._details = details

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
