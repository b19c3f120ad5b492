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
    try:
        yield
    except Exception as error:
        import grpc.aio  # not before the call: it imports gRPC in a thread, and here the event loop would wait

        if not isinstance(error, grpc.aio.AioRpcError):
            raise
        log.warning("gRPC call failed", peer=peer, code=error.code().name, details=error.details())
        raise unavailable(f"The service {peer!r}") from error
