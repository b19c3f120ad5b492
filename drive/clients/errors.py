"""What a failed call means for a request."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from drive.errors import unavailable

log = structlog.get_logger()


@contextmanager
def translated(peer: str) -> Iterator[None]:
    """Turn a failed gRPC call into `UNAVAILABLE`: whatever the reason, this request cannot be answered now.

    A gateway that gives a status a meaning of its own catches it inside.

    Raises:
        DriveError: UNAVAILABLE.

    """
    import grpc

    try:
        yield
    except grpc.aio.AioRpcError as error:
        log.warning("gRPC call failed", peer=peer, code=error.code().name, details=error.details())
        raise unavailable(f"The service {peer!r}") from error
