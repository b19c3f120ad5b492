"""A gRPC server of Drive, and a client of it."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import grpc.aio
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from drive.containers import Container
from drive.files.catalog import Catalog
from drive.lazy import lifespan
from drive.proto.file_pb2_grpc import FileReferenceServiceStub, FileServiceStub
from drive.rpc.server import RpcServer
from drive.rpc.tls import ServerTls

FOREVER_S = 60.0


class Rpc:
    """A connection to the server, with the stubs of both services."""

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self.channel = channel
        self.address = address
        self.files = FileServiceStub(channel)
        self.references = FileReferenceServiceStub(channel)
        # Their types know the synchronous channels alone.
        self.health: Any = health_pb2_grpc.HealthStub(channel)
        self.reflection: Any = reflection_pb2_grpc.ServerReflectionStub(cast("Any", channel))

    def method(self, path: str) -> Any:
        """Return a method of which this client knows no types: requests and answers are bytes."""
        return self.channel.unary_unary(path)


def address_of(url: str) -> str:
    """Return host and port as gRPC wants them."""
    return urlsplit(url).netloc


@asynccontextmanager
async def connected(url: str, credentials: grpc.ChannelCredentials | None = None) -> AsyncIterator[Rpc]:
    """Connect to a server, on a connection that no other test has."""
    address = address_of(url)
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = (
        grpc.aio.insecure_channel(address, options)
        if credentials is None
        else grpc.aio.secure_channel(address, credentials, options)
    )
    async with channel:
        yield Rpc(channel, address)


@asynccontextmanager
async def started(
    container: Container,
    *,
    tls: ServerTls | None = None,
    tokens: Sequence[str] = (),
    with_reflection: bool = False,
    most_calls: int = 256,
) -> AsyncIterator[tuple[RpcServer, str]]:
    """Serve a container's files on loopback, and give the server and its URL."""
    database = container.database()
    server = RpcServer(
        Catalog(database),
        container.references(),
        database,
        listen="localhost:0" if tls else "127.0.0.1:0",
        tls=tls or ServerTls(),
        tokens=tokens,
        with_reflection=with_reflection,
        most_calls=most_calls,
    )
    async with lifespan(container):
        try:
            yield server, await server.start()
        finally:
            await server.stop()


async def refused(call: Awaitable[object]) -> tuple[StatusCode, str]:
    """Return with which status and message a call fails, which it must."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details() or ""


def pem(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()
