"""What a fake answers: checked against the service's proto, both when it is given and when it is sent."""

import inspect
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from grpc.aio import AioRpcError, Metadata


class FakeError(TypeError):
    """A fake that was made or called in a way that no service could be."""


def rpc_error(code: StatusCode, details: str = "") -> AioRpcError:
    """Return the error that a caller sees where the server fails with a code."""
    return AioRpcError(code, Metadata(), Metadata(), details=details)


@dataclass(frozen=True, slots=True)
class Method:
    """One method as the proto declares it."""

    full_service: str
    """With the package, as it is on the wire."""
    service: str
    name: str
    request_type: type[Message]
    response_type: type[Message]
    is_request_stream: bool
    is_response_stream: bool

    def __str__(self) -> str:
        return f"{self.service}.{self.name}"

    @classmethod
    def of(cls, path: str) -> "Method":
        """Look up `/package.Service/Method`."""
        _, service_name, name = path.split("/")
        try:
            service: Any = descriptor_pool.Default().FindServiceByName(service_name)
        except KeyError as error:
            raise FakeError(f"{service_name} is in no proto that is imported: import its _pb2 module.") from error
        found = service.methods_by_name[name]
        return cls(
            service_name,
            service.name,
            name,
            GetMessageClass(found.input_type),
            GetMessageClass(found.output_type),
            found.client_streaming,
            found.server_streaming,
        )

    def checked_request(self, request: object) -> Message:
        """Return a copy of a request, as a server would see it."""
        if not isinstance(request, self.request_type):
            raise FakeError(f"{self} takes {self.request_type.DESCRIPTOR.full_name}, not {_kind(request)}.")
        return _copy(request)

    def checked_response(self, response: object) -> Message:
        """Return a copy of a response, as a client would see it."""
        if not isinstance(response, self.response_type):
            raise FakeError(f"{self} answers with {self.response_type.DESCRIPTOR.full_name}, not {_kind(response)}.")
        return _copy(response)

    def check_answer(self, answer: object) -> None:
        """Refuse what cannot be an answer, as far as that can be told before there is a request."""
        if isinstance(answer, StatusCode):
            if answer is StatusCode.OK:
                raise FakeError(f"{self} cannot fail with OK: give the response.")
        elif isinstance(answer, type) and issubclass(answer, Message):
            raise FakeError(f"{self} is given the class {answer.__name__}: give an object, {answer.__name__}(…).")
        elif callable(answer):
            self._check_function(answer)
        elif not isinstance(answer, Exception):
            self._check_messages(answer)

    def _check_messages(self, answer: object) -> None:
        if not self.is_response_stream:
            self.checked_response(answer)
        elif is_many(answer):
            for response in answer if isinstance(answer, list | tuple) else ():
                self.checked_response(response)
        else:
            name = self.response_type.DESCRIPTOR.full_name
            raise FakeError(f"{self} answers with a stream: give a list of {name}, not {_kind(answer)}.")

    def _check_function(self, function: Any) -> None:
        try:
            inspect.signature(function).bind(None)
        except TypeError as error:
            raise FakeError(f"The answer of {self} must take one argument, the request: {error}.") from error
        except ValueError:  # built in, and without a signature
            return


def is_many(answer: object) -> bool:
    """Tell whether an answer is a stream of messages; some messages can be iterated, too."""
    is_iterable = isinstance(answer, AsyncIterable | Iterable)
    return is_iterable and not isinstance(answer, Message | str | bytes | dict)


def _copy(message: Message) -> Message:
    return type(message).FromString(message.SerializeToString())


def _kind(given: object) -> str:
    return given.DESCRIPTOR.full_name if isinstance(given, Message) else type(given).__name__
