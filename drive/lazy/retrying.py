"""Calls on an open channel, that begin again where that is safe."""

import asyncio
import random
import time
from collections.abc import Callable, Generator
from typing import Any, Final

from drive.lazy.call import CallInFront, cancelled_call
from drive.lazy.channel import OpenChannel

_UNAVAILABLE_ATTEMPTS_MAX: Final = 5  # over 0.3 s: a server that is down is reported soon
_REFUSED_ATTEMPTS_MAX: Final = 10  # over 5 s: one that is overloaded is given time
_FIRST_BACKOFF_S: Final = 0.02
_BACKOFF_MAX_S: Final = 1.0

# What gRPC says of a stream that the server refused (RST_STREAM with REFUSED_STREAM, RFC 9113 section 8.7): it was not
# processed, so that any method may be sent again. Nothing else tells it from other reasons of UNAVAILABLE.
_REFUSED: Final = "Stream removed (RST_STREAM (Received RST_STREAM with error code 7))"

_OVER: Final = 0


class Bound:
    """A method on an open channel.

    What `start` does is what a call through a lazy stub costs beyond the generated one: every line of it counts.
    """

    __slots__ = ("channel", "is_idempotent", "loop", "multicallable", "start", "timeout_s")

    def __init__(
        self, channel: OpenChannel, multicallable: Any, timeout_s: float | None, *, is_idempotent: bool
    ) -> None:
        """Bind.

        Args:
            channel: where its calls are counted.
            multicallable: what gRPC generated for it on that channel.
            timeout_s: the deadline of calls that give none.
            is_idempotent: whether a call may be sent again though the server may have processed it.

        """
        self.channel = channel
        self.loop = channel.loop
        self.multicallable = multicallable
        self.timeout_s = timeout_s
        self.is_idempotent = is_idempotent
        self.start = _way_to_start(multicallable)
        """Starts a call: `start(bound, args, kwargs)`."""


class RetryingCall(CallInFront):
    """A call with one request, sent again within its deadline if the server refused it.

    One of an idempotent method is also sent again where the server was unavailable, unless part of a response stream
    was read by then. It waits between attempts, each time about twice as long.
    """

    _attempt = 1
    _is_awaited = False
    _is_read = False
    _failed: Any = None
    _timer: asyncio.TimerHandle
    _waiting: asyncio.Future[None]

    def __init__(self, bound: Bound, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Begin, with a caller's arguments."""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = bound.timeout_s
        self._begun_s = time.monotonic()  # a call that interceptors are on does not tell how much time it has left
        self._bound = bound
        self._args = args
        self._kwargs = kwargs
        call = self._call = bound.multicallable(*args, **kwargs)
        bound.channel.in_flight += 1
        call.add_done_callback(self._attempt_ended)

    def cancel(self) -> bool:
        """Cancel the call; False if it is already over."""
        if self._call is not None:
            return bool(self._call.cancel())
        self._end_waiting(cancelled_call(), type(self._bound.channel.ok).CANCELLED)
        return True

    def done(self) -> bool:
        """Tell whether the call is over."""
        return self._call is not None and self._call.done()

    def time_remaining(self) -> float | None:
        """Return the seconds left before the deadline; None if there is none."""
        timeout_s: float | None = self._kwargs["timeout"]
        return None if timeout_s is None else max(0.0, self._begun_s + timeout_s - time.monotonic())

    def give_up(self) -> None:
        """End the waiting for another attempt: the last one's failure is the call's."""
        self._end_waiting(self._failed, _at_hand(self._failed.code()))

    async def _begun(self) -> Any:
        while self._call is None:
            await asyncio.wait([self._waiting])
        return self._call

    def _is_last(self, call: Any) -> bool:
        if call.done():
            self._settle(call)
        return call is self._call

    def _attempt_ended(self, call: Any) -> None:
        if not self._is_awaited:  # who awaits it is told how it ended, which we would have to ask for
            self._settle(call)

    def _settle(self, call: Any) -> None:
        """End, or begin again, after an attempt that is over: once, though gRPC tells some ends twice."""
        if call is not self._call or self._attempt == _OVER:
            return
        code = _at_hand(call.code())
        backoff_s = self._backoff_s(call) if code.name == "UNAVAILABLE" else None
        if backoff_s is None:
            self._end(code)
            return
        channel = self._bound.channel
        self._call, self._failed = None, call
        channel.waiting.add(self)
        self._waiting = channel.loop.create_future()
        self._timer = channel.loop.call_later(backoff_s, self._try_again)

    def _backoff_s(self, call: Any) -> float | None:
        """Return how long to wait before the next attempt; None if there must be none."""
        if self._attempt >= self._attempts_max(call) or self._bound.channel.is_closed:
            return None
        backoff_s = min(_FIRST_BACKOFF_S * 2 ** (self._attempt - 1), _BACKOFF_MAX_S)
        # Each differently, lest calls that were refused together come back together.
        backoff_s *= random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        left_s = self.time_remaining()
        return backoff_s if left_s is None or backoff_s < left_s else None

    def _attempts_max(self, call: Any) -> int:
        if _at_hand(call.details()) == _REFUSED:
            return _REFUSED_ATTEMPTS_MAX
        return _UNAVAILABLE_ATTEMPTS_MAX if self._bound.is_idempotent and not self._is_read else 1

    def _try_again(self) -> None:
        self._attempt += 1
        self._is_awaited = False
        self._bound.channel.usage.retries += 1
        self._kwargs["timeout"], self._begun_s = self.time_remaining(), time.monotonic()
        call = self._bound.multicallable(*self._args, **self._kwargs)
        self._resume(call)
        call.add_done_callback(self._attempt_ended)

    def _end_waiting(self, call: Any, code: Any) -> None:
        self._timer.cancel()
        self._resume(call)
        self._end(code)

    def _resume(self, call: Any) -> None:
        self._bound.channel.waiting.discard(self)
        self._call, self._failed = call, None
        self._waiting.set_result(None)

    def _end(self, code: Any) -> None:
        self._attempt = _OVER
        self._bound.channel.ended(code)
        if self._callbacks:
            self._tell()


class RetryingUnaryCall(RetryingCall):
    """One response: it is awaited."""

    def __await__(self) -> Generator[Any, None, Any]:
        while True:
            call = self._call
            if call is None:
                call = yield from self._begun_to_read().__await__()
            self._is_awaited = True
            try:
                response = yield from call.__await__()
            except BaseException as error:
                self._is_awaited = False
                if self._is_last(call):
                    raise
                if not isinstance(error, Exception):  # what its cancelling cancelled is not any more what goes on
                    self.cancel()
                    raise
            else:
                if self._attempt:
                    self._attempt = _OVER
                    self._bound.channel.ended_well()
                    if self._callbacks:
                        self._tell()
                return response


class RetryingStreamCall(RetryingCall):
    """A stream of responses: it is iterated or read."""

    def __aiter__(self) -> "RetryingStreamCall":
        return self

    async def __anext__(self) -> Any:
        return self._taken(await self._next())

    async def read(self) -> Any:
        """Return the next message, or grpc.aio.EOF."""
        return self._taken(await self._read())

    def _taken(self, message: Any) -> Any:
        self._is_read = True  # what the caller has got cannot be taken back
        return message


class _StreamEnd:
    """Notes the end of a call whose requests are a stream: once, though gRPC tells some ends twice."""

    __slots__ = ("_channel",)

    def __init__(self, channel: OpenChannel) -> None:
        self._channel: OpenChannel | None = channel

    def __call__(self, call: Any) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.ended(_at_hand(call.code()))


def timeout_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | None:
    """Return the deadline that a caller gives, in seconds."""
    # Multicallables that stream requests take it as second positional argument, too.
    return args[1] if len(args) > 1 else kwargs.get("timeout")


def with_timeout(
    args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float | None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a caller's arguments with another deadline."""
    if len(args) > 1:
        return (args[0], timeout_s, *args[2:]), kwargs
    return args, kwargs | {"timeout": timeout_s}


def _way_to_start(multicallable: Any) -> Callable[[Bound, tuple[Any, ...], dict[str, Any]], Any]:
    from grpc.aio import UnaryStreamMultiCallable, UnaryUnaryMultiCallable

    if isinstance(multicallable, UnaryUnaryMultiCallable):
        return RetryingUnaryCall
    return RetryingStreamCall if isinstance(multicallable, UnaryStreamMultiCallable) else _start_streaming


def _start_streaming(bound: Bound, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Start a call whose requests are a stream, which nobody has a second time."""
    if timeout_of(args, kwargs) is None:
        args, kwargs = with_timeout(args, kwargs, bound.timeout_s)
    call = bound.multicallable(*args, **kwargs)
    bound.channel.in_flight += 1
    call.add_done_callback(_StreamEnd(bound.channel))
    return call


def _at_hand(asked: Any) -> Any:
    """Return the result of a coroutine that has nothing to wait for, as those of a call that is over."""
    try:
        asked.send(None)
    except StopIteration as ended:
        return ended.value
    asked.close()
    raise RuntimeError("a call of gRPC that is over made us wait for how it ended")
