"""A gRPC server in a process of its own, so that its work does not stall the loop that is measured."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.measure import ROOT, child_environment


@contextmanager
def answering() -> Iterator[str]:
    """Start the server, and give its address; at the end it is stopped."""
    command = [sys.executable, "-m", "bench.lazy.server"]
    with subprocess.Popen(
        command, cwd=ROOT, env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        port = "" if process.stdout is None else process.stdout.readline().strip()
        if not port:
            raise RuntimeError("The server that the calls go to did not start; what it printed stands above.")
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.communicate()  # it ends with its standard input, so that it never outlives who started it


async def _serve() -> None:
    import grpc.aio

    from drive.proto.account_pb2 import Account

    answer = Account(id="6a1b2c3d", name="someone").SerializeToString()

    async def get_account(_request: bytes, _context: Any) -> bytes:
        return answer

    methods: dict[str, Any] = {"GetAccount": grpc.unary_unary_rpc_method_handler(get_account)}
    server = grpc.aio.server(handlers=[grpc.method_handlers_generic_handler("proto.AccountService", methods)])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(_serve())
