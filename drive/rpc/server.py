"""The gRPC server."""

from collections.abc import Sequence

import grpc.aio
import structlog

from drive.db.database import Database
from drive.files.catalog import Catalog
from drive.proto import file_pb2
from drive.proto.file_pb2_grpc import add_FileReferenceServiceServicer_to_server, add_FileServiceServicer_to_server
from drive.references.service import References
from drive.rpc.authentication import Authentication
from drive.rpc.boundary import MESSAGE_MAX_BYTES, Boundary
from drive.rpc.files import FileRpc
from drive.rpc.health import Health
from drive.rpc.references import FileReferenceRpc
from drive.rpc.tls import ServerTls

MOST_CALLS = 256
"""Calls under way at a time; further ones are refused."""

_MOST_STREAMS = 1024  # with those who watch the health, which anybody may
_GRACE_S = 0.5
_SERVICES = [service.full_name for service in file_pb2.DESCRIPTOR.services_by_name.values()]
_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
    # By default two gRPC servers may listen on one port, and each would get some of the calls.
    ("grpc.so_reuseport", 0),
)

log = structlog.get_logger()


class RpcServer:
    """Answers other services on one address.

    Args:
        catalog: what FileService answers from.
        references: what FileReferenceService answers from.
        database: what its health is that of.
        listen: host and port.
        tls: the certificates; without any, calls come in plain text.
        tokens: of which callers must send one; none, if there are none.
        with_reflection: whether callers may ask what is served.
        most_calls: how many are answered at a time.

    """

    def __init__(
        self,
        catalog: Catalog,
        references: References,
        database: Database,
        *,
        listen: str,
        tls: ServerTls,
        tokens: Sequence[str],
        with_reflection: bool,
        most_calls: int = MOST_CALLS,
    ) -> None:
        self._catalog = catalog
        self._references = references
        self._listen = listen
        self._tls = tls
        self._tokens = tokens
        self._with_reflection = with_reflection
        self._most_calls = most_calls
        self._health = Health(database, _SERVICES)
        self._server: grpc.aio.Server | None = None

    async def start(self) -> str:
        """Listen, and return the URL.

        Raises:
            OSError: the address is taken, or is none of this machine; or a certificate cannot be read.

        """
        server = grpc.aio.server(
            interceptors=[Authentication(self._tokens), Boundary(self._most_calls)],
            options=_OPTIONS,
            maximum_concurrent_rpcs=_MOST_STREAMS,
        )
        self._add_servicers(server)
        credentials = self._tls.credentials()
        port = self._bind(server, credentials)
        await self._health.look()
        await server.start()
        self._server = server
        url = f"{'http' if credentials is None else 'https'}://{self._listen.rpartition(':')[0]}:{port}"
        if self._tls.client_ca_file is None and not self._tokens:
            log.warning("gRPC without authentication", url=url, hint="Anybody on this machine may delete files.")
        return url

    async def stop(self) -> None:
        """Say NOT_SERVING, take no further calls, and cut those that are not done after a moment. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            await self._health.enter_graceful_shutdown()
            await server.stop(_GRACE_S)

    def _add_servicers(self, server: grpc.aio.Server) -> None:
        from grpc_health.v1 import health, health_pb2_grpc

        add_FileServiceServicer_to_server(FileRpc(self._catalog, self._references), server)
        add_FileReferenceServiceServicer_to_server(FileReferenceRpc(self._references, self._catalog), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._with_reflection:
            from grpc_reflection.v1alpha import reflection

            names = [*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME]
            reflection.enable_server_reflection(names, server)

    def _bind(self, server: grpc.aio.Server, credentials: grpc.ServerCredentials | None) -> int:
        try:
            if credentials is None:
                return server.add_insecure_port(self._listen)
            return server.add_secure_port(self._listen, credentials)
        except RuntimeError as error:
            raise OSError(f"Cannot listen on {self._listen}") from error
