"""What a failed call means for a request."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from drive.errors import unavailable

log = structlog.get_logger()

# With these a server says that it did nothing. All others leave open whether it did: UNKNOWN and INTERNAL may come from
# what failed after the work, UNAVAILABLE from a connection that broke before the answer.
_REFUSALS = frozenset(
    {
        "ABORTED",
        "ALREADY_EXISTS",
        "FAILED_PRECONDITION",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "OUT_OF_RANGE",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "UNAUTHENTICATED",
        "UNIMPLEMENTED",
    }
)


class RefusedError(Exception):
    """The peer has declined a call: nothing was done."""


class UnconfirmedError(Exception):
    """Nobody knows whether the peer has done what it was asked."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status
        """The name of the `grpc.StatusCode`."""


def status_of(error: Exception) -> str | None:
    """Return the name of the `grpc.StatusCode` of a failed call, None for any other error."""
    import grpc.aio  # not before the call: it imports gRPC in a thread, and here the event loop would wait

    return error.code().name if isinstance(error, grpc.aio.AioRpcError) else None


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
        status = status_of(error)
        if status is None:
            raise
        _log(peer, status, error)
        raise unavailable(f"The service {peer!r}") from error


@contextmanager
def sent_once(peer: str) -> Iterator[None]:
    """Tell what a failed gRPC call has done, for one that must not be done twice.

    Raises:
        RefusedError: nothing.
        UnconfirmedError: perhaps what it was to do.

    """
    try:
        yield
    except Exception as error:
        status = status_of(error)
        if status is None:
            raise
        _log(peer, status, error)
        if status in _REFUSALS:
            raise RefusedError(status) from error
        raise UnconfirmedError(status) from error


def _log(peer: str, status: str, error: Exception) -> None:
    details = getattr(error, "details", None)
    log.warning("gRPC call failed", peer=peer, code=status, details=details() if details else None)
