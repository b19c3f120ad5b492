"""The side of a fake call where a server would be."""

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message
from grpc import StatusCode
from grpc.aio import EOF, AioRpcError, Metadata

from drive.testing.answers import FakeError, Method, rpc_error

NOT_GIVEN: Final = rpc_error(
    StatusCode.UNIMPLEMENTED, "Unexpected <class 'NotImplementedError'>: Method not implemented!"
)
"""What grpc.aio answers for a generated servicer where nobody wrote the method."""
CANCELLED_HERE: Final = "Locally cancelled by application!"


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ended."""

    code: StatusCode
    details: str = ""
    initial_metadata: Metadata | None = None
    trailing_metadata: Metadata | None = None
    is_cancelled_here: bool = False
    cause: BaseException | None = None
    """What the answer, or the iterator of the requests, raised that no status tells."""

    @classmethod
    def of(cls, error: Exception) -> "Status":
        """Return the status that a server would send if its servicer raised this."""
        if isinstance(error, AioRpcError):
            return cls(error.code(), error.details() or "", error.initial_metadata(), error.trailing_metadata())
        return cls(StatusCode.UNKNOWN, f"Unexpected {type(error)}: {error}", cause=error)

    def raise_if_failed(self) -> None:
        """Raise what the caller sees. A mistake of the test is no failure of an rpc, and looks like none."""
        if self.is_cancelled_here:
            raise asyncio.CancelledError from self.cause
        if isinstance(self.cause, FakeError | AssertionError):
            raise self.cause
        if self.code is not StatusCode.OK:
            initial, trailing = self.initial_metadata or Metadata(), self.trailing_metadata or Metadata()
            raise AioRpcError(self.code, initial, trailing, details=self.details) from self.cause


class Exchange:
    """One call under way. The caller's half holds it, never the other way, so that a dropped call can be noticed."""

    def __init__(self, method: Method, answer: Any, timeout_s: float | None, received: list[Message]) -> None:
        self.responses: asyncio.Queue[Any] = asyncio.Queue()
        """What was sent back, then EOF."""
        self.status: Status | None = None
        self._method = method
        self._answer = answer
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._deadline_s = None if timeout_s is None else self._loop.time() + timeout_s
        self._timer = None if timeout_s is None else self._loop.call_later(timeout_s, self._time_is_up)
        self._requests: asyncio.Queue[Any] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._callbacks: list[Callable[[], object]] = []
        self._ended: asyncio.Future[None] = self._loop.create_future()

    def serve(self, request: Message | None) -> None:
        """Begin to answer: one request, or with None what is received from now on."""
        self._start(self._serve(request))

    def take_from(self, requests: AsyncIterable[Any] | Iterable[Any]) -> None:
        """Take the request stream from an iterator."""
        self._start(self._poll(requests))

    def receive(self, request: object) -> None:
        """Take one message of a request stream."""
        message = self._method.checked_request(request)
        self._received.append(message)
        self._requests.put_nowait(message)

    def receive_end(self) -> None:
        """Take the end of a request stream."""
        self._requests.put_nowait(EOF)

    def left_s(self) -> float | None:
        """Return the seconds before the deadline; None if there is none."""
        return None if self._deadline_s is None else max(0.0, self._deadline_s - self._loop.time())

    async def wait(self) -> Status:
        """Return the final status. Cancelling who waits does not cancel the call."""
        while self.status is None:
            await asyncio.wait([self._ended])
        return self.status

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Call back when the status is there."""
        if self.status is None:
            self._callbacks.append(callback)
        else:
            callback()

    def cancel(self, details: str, cause: Exception | None = None) -> bool:
        """End the call at the caller's side; False if it was over. What was not read by then is lost."""
        if self.status is not None or self._loop.is_closed():
            return False
        while not self.responses.empty():
            self.responses.get_nowait()
        self._end(Status(StatusCode.CANCELLED, details, is_cancelled_here=True, cause=cause))
        return True

    def _end(self, status: Status) -> None:
        if self.status is not None:
            return
        self.status = status
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks - {asyncio.current_task(self._loop)}:
            task.cancel()
        self.responses.put_nowait(EOF)
        self._ended.set_result(None)
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def _time_is_up(self) -> None:
        self._end(Status(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work, name=f"fake {self._method}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, request: Message | None) -> None:
        try:
            await self._respond(self._requested() if request is None else request)
        except asyncio.CancelledError:  # by `_end`, or raised by the answer
            self._end(Status(StatusCode.CANCELLED))
        except Exception as error:  # noqa: BLE001 - a server tells its clients of any
            self._end(Status.of(error))
        else:
            self._end(Status(StatusCode.OK))

    async def _respond(self, request: Any) -> None:
        answer = self._answer
        is_fixed = not callable(answer)
        if not is_fixed:
            answer = answer(request)
            answer = await answer if inspect.isawaitable(answer) else answer
        if isinstance(answer, StatusCode | Exception):
            self._method.check_answer(answer)
            raise rpc_error(answer) if isinstance(answer, StatusCode) else answer
        # What is given as it is depends on no request: a message follows the last of them, a stream comes at once.
        if is_fixed and not self._method.is_response_stream:
            await self._drain()
        await self._send(answer)
        if is_fixed and self._method.is_response_stream:
            await self._drain()

    async def _send(self, answer: Any) -> None:
        if not self._method.is_response_stream:
            self.responses.put_nowait(self._method.checked_response(answer))
            return
        self._method.check_answer(answer)
        async for response in _each(answer):
            self.responses.put_nowait(self._method.checked_response(response))

    async def _requested(self) -> AsyncIterator[Message]:
        while (request := await self._requests.get()) is not EOF:
            yield request

    async def _drain(self) -> None:
        if self._method.is_request_stream:
            async for _ in self._requested():
                pass

    async def _poll(self, requests: AsyncIterable[Any] | Iterable[Any]) -> None:
        try:
            async for request in _each(requests):
                self.receive(request)
        except FakeError as error:
            self._end(Status.of(error))
        except Exception as error:  # noqa: BLE001 - grpc.aio cancels the call whatever it is, and so do we
            self.cancel(CANCELLED_HERE, error)
        else:
            self.receive_end()


async def _each(messages: Any) -> AsyncIterator[Any]:
    """Iterate over what can be iterated in either way, and let others run meanwhile."""
    if isinstance(messages, AsyncIterable):
        async for message in messages:
            yield message
            await asyncio.sleep(0)
    else:
        for message in messages:
            yield message
            await asyncio.sleep(0)
