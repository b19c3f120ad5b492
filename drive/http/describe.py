"""The words in which a route is described for OpenAPI.

Each package whose handlers serve routes has a module `operations` beside them, with one `Operation` for each route in
its dictionary `OPERATIONS`. These modules are imported where the description is asked for, never at the start.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from drive.errors import Code
from drive.http.params import MOST_OFFSET, MOST_TAKE

Schema: TypeAlias = dict[str, Any]

NO_NUL = "^[^\\u0000]*$"
ID: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,32}$"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a route reads of the query, of the headers or of its path."""

    name: str
    schema: Schema
    description: str
    place: Literal["query", "header", "path"] = "query"
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class FileBody:
    """A body that is a file: plain, or as a field of a form."""

    field: str


@dataclass(frozen=True, slots=True)
class PlainBody:
    """A body that is taken as it comes, of one media type."""

    media_type: str
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error."""

    description: str = "Done"
    type: Any = None
    """Of the JSON body; None where it has none of JSON."""
    media_types: Sequence[str] = ()
    """Of a body that is no JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What each says."""
    links: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By the id of an operation, which of its parameters is what of this answer; `body` is its body."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What OpenAPI says of one route.

    What follows from the route is added: the parameters of its path, 401 and 503 where an account is needed, 404 where
    the path has a variable, 400 where anything is read, 413 where the body is JSON, which is read whole.
    """

    id: str
    answer: Any = None
    """The type of the JSON body of a 200, None where there is no such body."""
    query: Sequence[Parameter] = ()
    headers: Sequence[Parameter] = ()
    path: Mapping[str, Schema] = field(default_factory=dict)
    """Variables of the path that are neither an id, a UUID nor limited by the path's pattern."""
    body: Any = None
    """The type of the JSON body, a `FileBody` or a `PlainBody`."""
    example: Any = None
    """Of the JSON body."""
    errors: Collection[Code] = ()
    answers: Mapping[int, Answer] = field(default_factory=dict)
    """By status, where there is more to say than `answer` can."""
    has_total: bool = False
    links: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """As those of an `Answer`, for a plain 200."""
    summary: str = ""
    """Where the first line of the handler's docstring, which is what it is by default, stands for several routes."""
    details: str = ""
    takes_token: bool = True
    """Whether a token makes a difference, on a route for anybody."""


# What `drive.http.params.Params` reads, in its words. A parameter that is empty is as good as absent.


def boolean(name: str, description: str, *, default: bool = False) -> Parameter:
    """Describe `Params.boolean`."""
    return Parameter(name, {"type": "boolean", "default": default}, description)


def integer(name: str, description: str, *, default: int, least: int = 0, most: int) -> Parameter:
    """Describe `Params.integer`."""
    return Parameter(name, {"type": "integer", "minimum": least, "maximum": most, "default": default}, description)


def text(name: str, description: str, *, most_chars: int, default: str | None = None) -> Parameter:
    """Describe `Params.text`."""
    schema: Schema = {"type": "string", "maxLength": most_chars, "pattern": NO_NUL}
    return Parameter(name, schema if default is None else schema | {"default": default}, description)


def required_text(name: str, description: str, *, most_chars: int) -> Parameter:
    """Describe `Params.required_text`."""
    schema: Schema = {"type": "string", "minLength": 1, "maxLength": most_chars, "pattern": NO_NUL}
    return Parameter(name, schema, description, is_required=True)


def uuid(name: str, description: str) -> Parameter:
    """Describe `Params.uuid`."""
    return Parameter(name, {"type": "string", "format": "uuid"}, description)


def choice(name: str, description: str, choices: Collection[str], *, default: str | None) -> Parameter:
    """Describe `Params.choice`."""
    schema: Schema = {"type": "string", "enum": sorted(choices)}
    return Parameter(name, schema if default is None else schema | {"default": default}, description)


def page(*, default_take: int = 20) -> tuple[Parameter, ...]:
    """Describe `Params.page`."""
    return (
        integer("offset", "How many to skip", default=0, most=MOST_OFFSET),
        integer("take", "How many to show; `limit` is the same", default=default_take, least=1, most=MOST_TAKE),
    )


def header(name: str, description: str, *, most_chars: int | None = None) -> Parameter:
    """Describe a header of the request."""
    schema: Schema = {"type": "string"} if most_chars is None else {"type": "string", "maxLength": most_chars}
    return Parameter(name, schema, description, place="header")


# What `drive.http.visitors` reads of those who come for what is shared, and what they are refused with.
PASSCODE = (
    header("X-Passcode", "Of the bundle; better here than in the query, which proxies write down", most_chars=256),
    text("passcode", "Of the bundle", most_chars=256),
)
VISITOR_ERRORS = frozenset(
    {
        Code.VALIDATION_ERROR,
        Code.UNAUTHORIZED,
        Code.FORBIDDEN,
        Code.NOT_FOUND,
        Code.TOO_MANY_REQUESTS,
        Code.UNAVAILABLE,
    }
)
