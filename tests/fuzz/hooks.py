"""What schemathesis cannot know. It loads this in its own environment.

A check stays on for every operation. What is let pass here are single answers, each for a reason.
"""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import schemathesis

# What a schema has no words for: rules between fields, times to come, sizes of a whole, how a number is written. A
# request may be as the document says and still be answered 400. The field, and how what is said of it begins.
RULES = {
    ("realm_id", "must be given with the visibility 'realm'"),
    ("expired_at", "must be in the future"),
    ("file_name", "must"),  # of a direct upload, whose name is in the form, or else in the query
    ("chunk_index", "must be less than"),  # the number of the upload's chunks
    ("chunk", "Chunk"),  # whose size the upload says
    ("hash", "is not the SHA-256"),
    ("body", "must have"),  # what owners note: of limited depth, in limited numbers, without NUL
    ("body", "must be nested at most"),
    ("", "Expected `int`, got `float`"),  # 1.0, which is an integer to a schema
    ("", "Expected `int | null`, got `float`"),
}
MALFORMED = "The multipart body is malformed"
# `me` and `recycle` could be ids as well: these paths are each two, and Allow has the methods of both.
TWICE = {"/api/files/me", "/api/files/recycle", "/api/files/me/recycle"}


@schemathesis.serializer("application/offset+octet-stream")
def as_it_is(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Send the bytes of a tus client as they are."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.hook
def filter_failure(
    _context: schemathesis.HookContext, failure: Exception, case: schemathesis.Case, response: schemathesis.Response
) -> bool:
    """Tell whether a failure is one."""
    match type(failure).__name__:
        case "RejectedPositiveData":
            return not _broke_a_rule(response)
        case "AcceptedNegativeData":
            return not _has_empty_parameter(response) and not _only_adds_headers(case)
        case "AllowHeaderMismatch":
            return case.operation.path not in TWICE
    return True


def _broke_a_rule(response: schemathesis.Response) -> bool:
    if response.status_code != 400:
        return False
    problem = response.json()
    if problem["detail"].startswith(MALFORMED):  # schemathesis makes fields up whose names no header can have
        return True
    errors = problem.get("errors", {})
    return bool(errors) and all(_is_rule(field, *wrong) for field, wrong in errors.items())


def _is_rule(field: str, wrong: str) -> bool:
    return any(name in {field, ""} and wrong.startswith(begin) for name, begin in RULES)


def _has_empty_parameter(response: schemathesis.Response) -> bool:
    """An empty parameter is as good as absent, whatever its type; the document says so in words."""
    query = urlsplit(response.request.url or "").query
    return any(not value for _, value in parse_qsl(query, keep_blank_values=True))


def _only_adds_headers(case: schemathesis.Case) -> bool:
    """Proxies and browsers add headers as they like: one that is unknown is none of the service's business."""
    return "x-schemathesis-unknown-property" in {name.lower() for name in case.headers or {}}
