"""What happens around every call: it is counted, fails where a test asks for it, and errors get their status."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio

from drive.errors import DriveError
from drive.peers.answers import Context
from drive.peers.world import Fault, World

Behaviour: TypeAlias = Callable[[Any, Context], Awaitable[Any]]


class Recorder(grpc.aio.ServerInterceptor):
    """Stands between the wire and every servicer."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the method that answers, if there is one."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method.removeprefix("/proto.").replace("/", ".")
        return grpc.unary_unary_rpc_method_handler(
            self._around(method, handler.unary_unary), handler.request_deserializer, handler.response_serializer
        )

    def _around(self, method: str, behaviour: Behaviour) -> Behaviour:
        async def answer(request: Any, context: Context) -> Any:
            self._world.calls[method] += 1
            fault = self._take(method)
            if fault is not None and not fault.is_late:
                await _fail_on_purpose(fault, context)
            try:
                response = await behaviour(request, context)
            except DriveError as error:
                await context.abort(grpc.StatusCode[error.code.value.grpc], error.message)
            except NotImplementedError:
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not implemented, as in the original.")
            if fault is not None and fault.is_late:
                await _fail_on_purpose(fault, context)
            return response

        return answer

    def _take(self, method: str) -> Fault | None:
        """Return the fault of a method and use it up once."""
        fault = self._world.faults.get(method)
        if fault is None or fault.times is None:
            return fault
        fault.times -= 1
        if fault.times <= 0:
            del self._world.faults[method]
        return fault


async def _fail_on_purpose(fault: Fault, context: Context) -> None:
    await asyncio.sleep(fault.delay_s)
    if fault.code is not None:
        await context.abort(fault.code, fault.details)
