"""A gRPC service of one method, its stub, and a server of grpcio that allows a hundred streams on a connection.

python -m bench.support.streams protected|patient
"""

import asyncio
import sys
from typing import Any, Final

STREAMS: Final = 100
WORK_S: Final = 0.02
"""What the server takes for a call, as that of grpc-js in tests/lazy/grpc_js does."""
_METHOD: Final = "/drive.tests.Streams/Echo"


class StreamsStub:
    """What the protobuf plugin would generate, but for messages of plain bytes."""

    def __init__(self, channel: Any) -> None:
        """Make the multicallable, as a generated stub does."""
        self.Echo = channel.unary_unary(_METHOD, _registered_method=True)


async def serve(*, is_protected: bool) -> None:
    """Answer until standard input ends.

    Args:
        is_protected: whether it refuses calls beyond those that it allows, as gRPC's own servers do unless they are
            told otherwise; else these wait, as they do with other servers.

    """
    import grpc.aio

    async def echo(request: bytes, _context: Any) -> bytes:
        await asyncio.sleep(WORK_S)
        return request.upper()

    methods: dict[str, Any] = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    options = [("grpc.max_concurrent_streams", STREAMS), ("grpc.http.overload_protection", int(is_protected))]
    handlers = [grpc.method_handlers_generic_handler("drive.tests.Streams", methods)]
    server = grpc.aio.server(handlers=handlers, options=options)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(serve(is_protected=sys.argv[1] == "protected"))
