"""Real gRPC servers on loopback."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    import grpc

    from drive.testing.fakes import FakeMethod

_HOST: Final = "127.0.0.1"
# By default two servers may listen on one port, and each would get some of the calls.
_OPTIONS: Final = (("grpc.so_reuseport", 0),)
# Enough for clients to be told properly; without any, gRPC complains into their logs.
_GRACE_S: Final = 0.1


@asynccontextmanager
async def serving(*services: object) -> AsyncIterator[str]:
    """Serve on a free port of 127.0.0.1 and give the address, as endpoints are written: `http://127.0.0.1:…`.

    Args:
        services: objects of subclasses of generated servicers, or what `fake` returned.

    Raises:
        TypeError: one is neither.

    """
    import grpc.aio

    server = grpc.aio.server(options=_OPTIONS)
    for service in services:
        _add(service, server)
    port = server.add_insecure_port(f"{_HOST}:0")
    await server.start()
    try:
        yield f"http://{_HOST}:{port}"
    finally:
        await server.stop(_GRACE_S)


class Servers:
    """The servers of one test, stopped in reverse order at the end of `async with`."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

    async def serve(self, *services: object) -> str:
        """Start one server with these services and return its address, as `serving` does."""
        return await self._stack.enter_async_context(serving(*services))


def _add(service: object, server: Any) -> None:
    from drive.testing.fakes import methods_of

    if methods := methods_of(service):
        server.add_generic_rpc_handlers((_handlers(methods),))
    else:
        _adder(service)(service, server)


def _adder(servicer: object) -> Callable[[object, Any], None]:
    """Return the function that was generated beside the servicer's base."""
    for base in type(servicer).__mro__:
        adder = getattr(sys.modules.get(base.__module__), f"add_{base.__name__}_to_server", None)
        if adder is not None:
            return adder  # type: ignore[no-any-return]
    kind = type(servicer).__name__
    raise TypeError(f"{kind} cannot be served: derive it from a generated servicer, or pass what `fake` returned.")


def _handlers(methods: "list[FakeMethod]") -> "grpc.GenericRpcHandler":
    import grpc

    handlers = {one.method.name: _handler(one) for one in methods}
    return grpc.method_handlers_generic_handler(methods[0].method.full_service, handlers)


def _handler(called: Any) -> Any:
    """Return a handler that asks the fake."""
    import grpc
    from grpc.aio import AioRpcError

    method = called.method

    async def answer(request: Any, context: Any) -> Any:
        try:
            return await called(request, timeout=context.time_remaining(), metadata=context.invocation_metadata())
        except AioRpcError as error:
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))

    async def answer_many(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            call = called(request, timeout=context.time_remaining(), metadata=context.invocation_metadata())
            context.add_done_callback(lambda _: call.cancel())  # also where the caller went away
            async for response in call:
                yield response
        except AioRpcError as error:
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))

    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    handle: Any = answer_many if method.is_response_stream else answer
    return kinds[method.is_request_stream, method.is_response_stream](
        handle, method.request_type.FromString, method.response_type.SerializeToString
    )
