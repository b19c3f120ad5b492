"""Stand-ins for generated stubs."""

from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from grpc.aio import (
    Metadata,
    StreamStreamMultiCallable,
    StreamUnaryMultiCallable,
    UnaryStreamMultiCallable,
    UnaryUnaryMultiCallable,
)

from drive.testing.answers import FakeError, Method
from drive.testing.calls import (
    FakeCall,
    FakeStreamStreamCall,
    FakeStreamUnaryCall,
    FakeUnaryStreamCall,
    FakeUnaryUnaryCall,
)
from drive.testing.exchange import NOT_GIVEN, Exchange

T = TypeVar("T")
C = TypeVar("C", bound=FakeCall)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a fake."""

    method: str
    request: Any
    """The message; for a request stream the list of the messages sent so far."""
    metadata: tuple[tuple[str, str | bytes], ...]
    timeout_s: float | None


def fake(stub_class: type[T], /, **answers: Any) -> T:
    """Return a stand-in for a generated stub, which answers without a server: `fake(AccountServiceStub, GetAccount=…)`.

    An answer is a response message, for a response stream a list or an async iterator of messages; a function of the
    request, sync or async, that returns one of these; or what the call fails with: a `grpc.StatusCode` or an exception.
    A function gets a request stream as an async iterator. Methods that are not given answer UNIMPLEMENTED.

    Raises:
        FakeError: an answer for a method that the service has not, or one of a wrong type; later, from a call, where
            the request or what a function returned is of a wrong type.

    """
    channel = _FakeChannel(answers)
    generated: Any = stub_class
    if not isinstance(generated, type):
        raise FakeError(f"fake takes the class of a generated stub, such as AccountServiceStub, not {stub_class!r}.")
    stub: T = generated(channel)
    if not channel.methods:
        raise FakeError(f"{stub_class.__name__} is no generated stub of a service.")
    for name in answers:
        if name not in channel.methods:
            raise FakeError(_unknown(name, channel.methods))
    return stub


def calls_of(fake: object) -> list[Call]:
    """Return the calls of a fake so far, in order; `calls_of(accounts.GetAccount)` those of one method.

    Raises:
        FakeError: it was not made by `fake`.

    """
    if isinstance(fake, FakeMethod):
        return [call for call in fake.channel.calls if call.method == fake.method.name]
    found = methods_of(fake)
    if not found:
        raise FakeError(f"{fake!r} has no record of calls: only what `fake` returned has.")
    return list(found[0].channel.calls)


def methods_of(fake: object) -> "list[FakeMethod]":
    """Return the methods of a fake, none if it is no fake."""
    return [method for method in getattr(fake, "__dict__", {}).values() if isinstance(method, FakeMethod)]


class FakeMethod:
    """One method of a fake: begins calls."""

    def __init__(self, method: Method, answer: Any, channel: "_FakeChannel") -> None:
        self.method = method
        self.channel = channel
        self._answer = answer

    def __repr__(self) -> str:
        return f"<fake rpc {self.method}>"

    def _begin(self, call_class: type[C], request: object, timeout_s: float | None, metadata: Any) -> C:
        message = self.method.checked_request(request)
        self._record(message, timeout_s, metadata)
        exchange = Exchange(self.method, self._answer, timeout_s, [])
        exchange.serve(message)
        return call_class(exchange, has_iterator=True)

    def _begin_stream(
        self,
        call_class: type[C],
        requests: AsyncIterable[Any] | Iterable[Any] | None,
        timeout_s: float | None,
        metadata: Any,
    ) -> C:
        received: list[Any] = []
        self._record(received, timeout_s, metadata)
        exchange = Exchange(self.method, self._answer, timeout_s, received)
        exchange.serve(None)
        if requests is not None:
            exchange.take_from(requests)
        return call_class(exchange, has_iterator=requests is not None)

    def _record(self, request: Any, timeout_s: float | None, metadata: Any) -> None:
        self.channel.calls.append(Call(self.method.name, request, tuple(metadata or Metadata()), timeout_s))


# What else a call may be given (credentials, wait_for_ready, compression) is of a connection, and there is none.


class _UnaryUnary(FakeMethod, UnaryUnaryMultiCallable[Any, Any]):
    def __call__(
        self, request: Any, *, timeout: float | None = None, metadata: Any = None, **_: Any
    ) -> FakeUnaryUnaryCall:
        return self._begin(FakeUnaryUnaryCall, request, timeout, metadata)


class _UnaryStream(FakeMethod, UnaryStreamMultiCallable[Any, Any]):
    def __call__(
        self, request: Any, *, timeout: float | None = None, metadata: Any = None, **_: Any
    ) -> FakeUnaryStreamCall:
        return self._begin(FakeUnaryStreamCall, request, timeout, metadata)


class _StreamUnary(FakeMethod, StreamUnaryMultiCallable[Any, Any]):
    def __call__(
        self, request_iterator: Any = None, timeout: float | None = None, metadata: Any = None, *_: Any, **__: Any
    ) -> FakeStreamUnaryCall:
        return self._begin_stream(FakeStreamUnaryCall, request_iterator, timeout, metadata)


class _StreamStream(FakeMethod, StreamStreamMultiCallable[Any, Any]):
    def __call__(
        self, request_iterator: Any = None, timeout: float | None = None, metadata: Any = None, *_: Any, **__: Any
    ) -> FakeStreamStreamCall:
        return self._begin_stream(FakeStreamStreamCall, request_iterator, timeout, metadata)


class _FakeChannel:
    """What a generated stub takes for a channel."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.methods: dict[str, FakeMethod] = {}
        self.calls: list[Call] = []
        self._answers = answers

    def unary_unary(self, path: str, *_: Any, **__: Any) -> FakeMethod:
        return self._method(_UnaryUnary, path)

    def unary_stream(self, path: str, *_: Any, **__: Any) -> FakeMethod:
        return self._method(_UnaryStream, path)

    def stream_unary(self, path: str, *_: Any, **__: Any) -> FakeMethod:
        return self._method(_StreamUnary, path)

    def stream_stream(self, path: str, *_: Any, **__: Any) -> FakeMethod:
        return self._method(_StreamStream, path)

    def _method(self, made: type[FakeMethod], path: str) -> FakeMethod:
        method = Method.of(path)
        answer = self._answers.get(method.name, NOT_GIVEN)
        method.check_answer(answer)
        self.methods[method.name] = made(method, answer, self)
        return self.methods[method.name]


def _unknown(name: str, methods: dict[str, FakeMethod]) -> str:
    service = next(iter(methods.values())).method.service
    nearest = get_close_matches(name, methods, n=1)
    hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
    return f"{service} has no method {name!r}. {hint}It has {', '.join(sorted(methods))}."
