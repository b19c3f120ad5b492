"""What can go wrong, in one vocabulary that HTTP and gRPC both speak."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class Status(NamedTuple):
    """How an error is shown to a client."""

    http: int
    grpc: str
    """The name of a `grpc.StatusCode`: this module must not import grpc."""
    title: str


class Code(Enum):
    """Every error that a client can see. The names are part of the API; the first five are the original service's."""

    VALIDATION_ERROR = Status(400, "INVALID_ARGUMENT", "The request is not valid")
    UNAUTHORIZED = Status(401, "UNAUTHENTICATED", "Authentication is required")
    FORBIDDEN = Status(403, "PERMISSION_DENIED", "Not allowed")
    NOT_FOUND = Status(404, "NOT_FOUND", "Not found")
    SERVER_ERROR = Status(500, "INTERNAL", "The server failed")
    QUOTA_EXCEEDED = Status(403, "RESOURCE_EXHAUSTED", "Quota exceeded")
    METHOD_NOT_ALLOWED = Status(405, "UNIMPLEMENTED", "Method not allowed")
    CONFLICT = Status(409, "FAILED_PRECONDITION", "Conflict with the current state")
    GONE = Status(410, "NOT_FOUND", "No longer there")
    PRECONDITION_FAILED = Status(412, "FAILED_PRECONDITION", "Precondition failed")
    TOO_LARGE = Status(413, "OUT_OF_RANGE", "Too large")
    UNSUPPORTED_MEDIA_TYPE = Status(415, "INVALID_ARGUMENT", "Unsupported media type")
    RANGE_NOT_SATISFIABLE = Status(416, "OUT_OF_RANGE", "Range not satisfiable")
    LOCKED = Status(423, "ABORTED", "In use by another request")
    TOO_MANY_REQUESTS = Status(429, "RESOURCE_EXHAUSTED", "Too many requests")
    CHECKSUM_MISMATCH = Status(460, "INVALID_ARGUMENT", "Not the announced checksum")  # the status is tus's own
    UNAVAILABLE = Status(503, "UNAVAILABLE", "Temporarily unavailable")
    INSUFFICIENT_STORAGE = Status(507, "RESOURCE_EXHAUSTED", "No space left")


class DriveError(Exception):
    """An error that a client is told: its code, and a message that says what to do.

    Args:
        code: which row of `Code`.
        message: for the client; never a secret, a path of the server or another account's data.
        fields: for `VALIDATION_ERROR` and `CONFLICT`, what is wrong with each field by name.
        retry_after_s: for `UNAVAILABLE`, `CONFLICT` and `TOO_MANY_REQUESTS`, when trying again makes sense.

    """

    def __init__(
        self, code: Code, message: str, *, fields: Mapping[str, str] | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = dict(fields or {})
        self.retry_after_s = retry_after_s


def not_found(what: str) -> DriveError:
    """Return the error for something that is absent, or that the account must not know of."""
    return DriveError(Code.NOT_FOUND, f"The requested resource '{what}' was not found.")


def invalid(field: str, problem: str) -> DriveError:
    """Return the error for one field of a request."""
    return DriveError(Code.VALIDATION_ERROR, f"{field}: {problem}", fields={field: problem})


def unavailable(what: str, *, retry_after_s: int = 2) -> DriveError:
    """Return the error for a part of the service that cannot be reached now."""
    return DriveError(
        Code.UNAVAILABLE, f"{what} cannot be reached right now. Try again shortly.", retry_after_s=retry_after_s
    )
