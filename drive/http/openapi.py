"""The OpenAPI document: made of the route table, of the types of bodies, and of each package's `operations`.

It is for whoever asks for it, so that nothing of this is imported before.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib import import_module
from typing import Any, cast

import msgspec

from drive.errors import Code
from drive.http.describe import ID, Answer, FileBody, Operation, Parameter, PlainBody, Schema
from drive.http.routes import UUID_PATTERN, Access, Route
from drive.http.schemas import Schemas
from drive.names import version

_VARIABLE = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}, {"query": []}]
_ABOUT = (
    "A file service. Parameters of the query are taken in camelCase and in snake_case, whatever the case; an empty one "
    "is as good as absent. Members of a body that are not listed are ignored. `HEAD` works wherever `GET` does. Every "
    "answer has the header `X-Request-Id`. Beside the errors that are listed, 500 (`SERVER_ERROR`) is our fault, and "
    "the log has it under the `trace_id`."
)


class Problem(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """An error, as RFC 9457 has it; `errors` says what is wrong, by field."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    message: str
    trace_id: str
    errors: dict[str, list[str]] | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class Served:
    """A route and what is said of it."""

    route: Route
    operation: Operation

    @property
    def path(self) -> str:
        """The path as OpenAPI writes it: without patterns."""
        return plain_path(self.route.path)

    @property
    def tag(self) -> str:
        """The package that serves it."""
        package = self.route.package.rpartition(".")[2]
        return "service" if package == "http" else package


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document for these routes.

    Raises:
        KeyError: a route is not described.

    """
    served = [Served(route, operation_of(route)) for route in routes]
    schemas = Schemas(
        bodies={one.operation.id: one.operation.body for one in served if _is_json(one.operation.body)},
        answers={name: type_ for one in served for name, type_ in _answer_types(one.operation)} | {"": Problem},
        limits=_limits(served),
    )
    paths: dict[str, dict[str, Any]] = {}
    for one in served:
        paths.setdefault(one.path, {})[one.route.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Drive", "version": version(), "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in served)],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": _problems(served),
            "headers": _HEADERS,
            "securitySchemes": _SCHEMES,
        },
    }


def operation_of(route: Route) -> Operation:
    """Return what is said of a route, in the module `operations` beside its handler."""
    described = import_module(f"{route.package}.operations").OPERATIONS
    return cast("Operation", described[f"{route.method} {plain_path(route.path)}"])


def _method(route: Route) -> Any:
    module, _, name = route.handlers.partition(":")
    return getattr(getattr(import_module(module), name), route.name)


def plain_path(path: str) -> str:
    """Return a path whose variables have no patterns."""
    return _VARIABLE.sub(r"{\1}", path)


def _limits(served: Iterable[Served]) -> Mapping[type, Mapping[str, Schema]]:
    """Return what the types of bodies do not say of their fields, as each package's `operations` has it."""
    limits: dict[type, Mapping[str, Schema]] = {}
    for package in {one.route.package for one in served}:
        limits |= getattr(import_module(f"{package}.operations"), "LIMITS", {})
    return limits


def _is_json(body: Any) -> bool:
    return body is not None and not isinstance(body, (FileBody, PlainBody))


def _answers(operation: Operation) -> Mapping[int, Answer]:
    if operation.answers:
        return operation.answers
    return {200: Answer(type=operation.answer, links=operation.links)}


def _answer_types(operation: Operation) -> Iterator[tuple[str, Any]]:
    for status, answer in _answers(operation).items():
        if answer.type is not None:
            yield f"{operation.id} {status}", answer.type


def _operation(one: Served, schemas: Schemas) -> dict[str, Any]:
    operation = one.operation
    summary = (_method(one.route).__doc__ or operation.id).partition("\n")[0]
    parts: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [one.tag],
        "summary": operation.summary or summary,
        "description": operation.details,
        "security": _security(one),
        "parameters": [_parameter(it) for it in (*_path(one), *operation.query, *operation.headers)],
        "requestBody": _body(operation, schemas),
        "responses": _responses(one, schemas),
    }
    return {name: part for name, part in parts.items() if part or name == "security"}


def _security(one: Served) -> list[dict[str, list[str]]]:
    if one.route.access is Access.ACCOUNT:
        return _SECURITY
    return [{}, *_SECURITY] if one.operation.takes_token else []


def _path(one: Served) -> Iterator[Parameter]:
    for name, pattern in _VARIABLE.findall(one.route.path):
        schema = one.operation.path.get(name, ID)
        if pattern == UUID_PATTERN:
            schema = {"type": "string", "format": "uuid"}
        yield Parameter(name, schema, "", place="path", is_required=True)


def _parameter(it: Parameter) -> dict[str, Any]:
    parts = {"name": it.name, "in": it.place, "description": it.description, "required": it.is_required}
    return {name: part for name, part in parts.items() if part} | {"schema": it.schema}


def _body(operation: Operation, schemas: Schemas) -> dict[str, Any] | None:
    match operation.body:
        case None:
            return None
        case FileBody(field):
            form = {"type": "object", "properties": {field: _BYTES}, "required": [field]}
            content = {"multipart/form-data": {"schema": form}, "application/octet-stream": {"schema": _BYTES}}
            return {"required": True, "content": content}
        case PlainBody(media_type, is_required):
            return {"required": is_required, "content": {media_type: {"schema": _BYTES}}}
    content = {"schema": schemas.body[operation.id]}
    if operation.example is not None:
        content["example"] = operation.example
    return {"required": True, "content": {"application/json": content}}


def _responses(one: Served, schemas: Schemas) -> dict[str, Any]:
    operation = one.operation
    responses = {
        str(status): _response(operation, status, answer, schemas) for status, answer in _answers(operation).items()
    }
    problems = {
        str(status): {"$ref": f"#/components/responses/{_name(codes)}"} for status, codes in _codes(one).items()
    }
    return dict(sorted((responses | problems).items()))


def _response(operation: Operation, status: int, answer: Answer, schemas: Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {media_type: {} for media_type in answer.media_types}
    if answer.type is not None:
        content["application/json"] = {"schema": schemas.answer[f"{operation.id} {status}"]}
    headers: dict[str, Any] = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if operation.has_total:
        headers["X-Total"] = {"$ref": "#/components/headers/X-Total"}
    for name, description in answer.headers.items():
        headers[name] = {"description": description, "schema": {"type": "string"}}
    parts = {"description": answer.description, "headers": headers, "content": content, "links": _links(answer)}
    return {name: part for name, part in parts.items() if part}


def _links(answer: Answer) -> dict[str, Any]:
    return {operation: _link(operation, dict(parts)) for operation, parts in answer.links.items()}


def _link(operation: str, parts: dict[str, Any]) -> dict[str, Any]:
    body = parts.pop("body", None)
    link = {"operationId": operation, "parameters": parts, "requestBody": body}
    return {name: part for name, part in link.items() if part}


def _codes(one: Served) -> dict[int, tuple[Code, ...]]:
    """Return the errors of a route by their status: those that it names, and those that follow from what it is."""
    operation, codes = one.operation, set(one.operation.errors)
    if one.route.access is Access.ACCOUNT:
        codes |= {Code.UNAUTHORIZED, Code.UNAVAILABLE}
    if _VARIABLE.search(one.route.path):
        codes.add(Code.NOT_FOUND)
    if operation.query or operation.body is not None:
        codes.add(Code.VALIDATION_ERROR)
    if _is_json(operation.body):
        codes.add(Code.TOO_LARGE)
    by_status: dict[int, tuple[Code, ...]] = {}
    for code in Code:
        if code in codes:
            by_status[code.value.http] = (*by_status.get(code.value.http, ()), code)
    return by_status


def _name(codes: Iterable[Code]) -> str:
    return ".".join(code.name for code in codes)


def _problems(served: Iterable[Served]) -> dict[str, Any]:
    """Return an answer for each group of codes that share a status somewhere."""
    groups = {codes for one in served for codes in _codes(one).values()}
    return {_name(codes): _problem(codes) for codes in sorted(groups, key=_name)}


def _problem(codes: tuple[Code, ...]) -> dict[str, Any]:
    status = codes[0].value.http
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WWW-Authenticate"}
    if status in _RETRIED:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    description = "; or ".join(f"{code.value.title} (`{code.name}`)" for code in codes)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "headers": headers, "content": content}


_RETRIED = {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_BYTES = {"type": "string", "format": "binary"}
_HEADERS: dict[str, Any] = {
    "X-Request-Id": {
        "description": "What to look for in the log",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$"},
    },
    "X-Total": {
        "description": "How many there are in all",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "Retry-After": {
        "description": "After how many seconds to try again",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {"description": "How to sign in", "required": True, "schema": {"const": "Bearer"}},
}
_SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of pass. `AtField` and `AkField` instead of `Bearer` work, too.",
    },
    "cookie": {"type": "apiKey", "in": "cookie", "name": "AuthToken"},
    "query": {
        "type": "apiKey",
        "in": "query",
        "name": "tk",
        "description": "Proxies write queries down: prefer others",
    },
}
