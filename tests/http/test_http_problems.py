"""What clients are told of errors, by a real server."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

import grpc
import msgspec
import pytest
from aiohttp import ClientPayloadError, ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from drive.errors import Code, DriveError, invalid, not_found, unavailable
from drive.http.problems import (
    REQUEST_ID,
    _wrong_field,
    errors_middleware,
    problem,
    request_id_middleware,
    send_request_id,
)

LARGE_BYTES = 256 * 1024 * 1024

Client = TestClient[web.Request, web.Application]


class Pool(msgspec.Struct):
    """A part of a body."""

    ids: list[int]


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """A body with one of everything that can be wrong."""

    name: str
    pool: Pool | None = None
    counts: dict[str, int] = {}


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """Give the log lines of the test."""
    with capture_logs() as lines:
        yield lines


class Server(TestServer):
    """A server that leaves handlers alone when their client goes away, as aiohttp's do by default outside of tests."""

    async def _make_runner(self, **options: Any) -> web.BaseRunner:
        return await super()._make_runner(**options | {"handler_cancellation": False})


@asynccontextmanager
async def serving(handler: Handler, *outer: Any) -> AsyncIterator[Client]:
    """Serve `/it` behind the two middlewares, and whatever is to stand around them."""
    app = web.Application(middlewares=[*outer, request_id_middleware, errors_middleware], client_max_size=1000)
    app.on_response_prepare.append(send_request_id)
    for method in ("GET", "POST"):
        app.router.add_route(method, "/it", handler)
    async with TestClient(Server(app)) as client:
        yield client


def raising(error: BaseException) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise error

    return handler


async def decoding(request: web.Request) -> web.StreamResponse:
    msgspec.json.decode(await request.read(), type=Body)
    return web.Response()


async def reading_form(request: web.Request) -> web.StreamResponse:
    async for part in await request.multipart():
        await part.read(decode=True)  # type: ignore[union-attr]
    return web.Response()


async def problem_of(response: ClientResponse) -> dict[str, Any]:
    """Check what all problems have in common, and return the body."""
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    body: dict[str, Any] = json.loads(await response.read())
    assert body["status"] == response.status
    assert body["detail"] == body["message"]
    assert body["trace_id"] == response.headers["X-Request-Id"]
    return body


async def exchange(client: Client, request: bytes) -> bytes:
    """Send bytes that no client library would send, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(request)
    answered = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answered


@pytest.mark.parametrize("code", Code)
def test_a_code_has_a_real_status_in_http_and_grpc(code: Code) -> None:
    assert code.value.http in {*HTTPStatus, 460}  # which is tus's own
    assert code.value.http >= HTTPStatus.BAD_REQUEST
    assert grpc.StatusCode[code.value.grpc] is not grpc.StatusCode.OK
    assert code.value.title


def test_no_code_is_an_alias_of_another() -> None:
    """Enum makes members with equal values one."""
    assert len(Code) == len(Code.__members__)


@pytest.mark.parametrize("code", Code)
async def test_every_code_is_told_as_a_problem(code: Code) -> None:
    async with (
        serving(raising(DriveError(code, "Do this instead."))) as client,
        client.get("/it?tk=secret") as response,
    ):
        assert response.status == code.value.http
        assert await problem_of(response) == {
            "type": f"urn:drive:problem:{code.name.lower().replace('_', '-')}",
            "title": code.value.title,
            "status": code.value.http,
            "detail": "Do this instead.",
            "instance": "/it",
            "code": code.name,
            "message": "Do this instead.",
            "trace_id": response.headers["X-Request-Id"],
        }
        assert response.headers.get("WWW-Authenticate") == ("Bearer" if code is Code.UNAUTHORIZED else None)
        assert "Retry-After" not in response.headers


async def test_wrong_fields_are_listed() -> None:
    async with serving(raising(invalid("name", "must not be empty."))) as client, client.get("/it") as response:
        assert (await problem_of(response))["errors"] == {"name": ["must not be empty."]}


async def test_when_to_try_again_is_told() -> None:
    async with (
        serving(raising(unavailable("The pool", retry_after_s=7))) as client,
        client.get("/it") as response,
    ):
        assert response.headers["Retry-After"] == "7"


async def test_what_is_unavailable_is_logged_in_one_line_with_its_cause(logged: list[Any]) -> None:
    """An outage must not fill the log with traces, and must not go unnoticed either."""
    error = unavailable("The database")
    error.__cause__ = OSError("no route")
    async with serving(raising(error)) as client, client.get("/it") as response:
        request_id = response.headers["X-Request-Id"]
    assert logged == [
        {
            "event": "Request failed",
            "log_level": "warning",
            "request_id": request_id,
            "method": "GET",
            "path": "/it",
            "code": "UNAVAILABLE",
            "cause": "OSError('no route')",
        }
    ]


async def test_what_the_client_did_wrong_is_not_logged(logged: list[Any]) -> None:
    async with serving(raising(not_found("File"))) as client, client.get("/it"):
        assert logged == []


async def test_a_head_is_told_by_status_and_headers() -> None:
    app = web.Application(middlewares=[request_id_middleware, errors_middleware])
    app.router.add_head("/it", raising(not_found("File")))
    async with TestClient(TestServer(app)) as client, client.head("/it") as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"
        assert await response.read() == b""


async def test_an_unknown_path_is_a_problem() -> None:
    """Its instance stays encoded, as a URI reference must be."""
    async with serving(decoding) as client, client.get("/no/%C3%A9%0A where?tk=secret") as response:
        body = await problem_of(response)
    assert (body["code"], body["instance"]) == ("NOT_FOUND", "/no/%C3%A9%0A%20where")
    assert "secret" not in str(body)


async def test_a_wrong_method_is_told_the_right_ones() -> None:
    async with serving(decoding) as client, client.delete("/it") as response:
        body = await problem_of(response)
        assert set(response.headers["Allow"].split(",")) == {"GET", "POST"}
    assert (response.status, body["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "DELETE" in body["detail"]


async def test_a_body_that_is_too_large_is_told_the_limit() -> None:
    async with serving(decoding) as client, client.post("/it", data=b"x" * 1001) as response:
        body = await problem_of(response)
    assert (response.status, body["code"]) == (413, "TOO_LARGE")
    assert "1000" in body["detail"]


class ClosedError(web.HTTPClientError):
    """A status that Python has no name for."""

    status_code = 499


@pytest.mark.parametrize(
    ("error", "status", "code", "detail"),
    [
        (web.HTTPBadRequest(), 400, "VALIDATION_ERROR", "Bad Request"),
        (web.HTTPBadRequest(text="Send {this}."), 400, "VALIDATION_ERROR", "Send {this}."),
        (web.HTTPBadRequest(reason="No {}"), 400, "VALIDATION_ERROR", "No {}"),
        (web.HTTPForbidden(), 403, "FORBIDDEN", "Forbidden"),
        (web.HTTPGone(), 410, "GONE", "Gone"),
        (web.HTTPUpgradeRequired(), 426, "VALIDATION_ERROR", "Upgrade Required"),
        (web.HTTPTooManyRequests(), 429, "TOO_MANY_REQUESTS", "Too Many Requests"),
        (web.HTTPBadGateway(), 502, "SERVER_ERROR", "Bad Gateway"),
        (web.HTTPServiceUnavailable(), 503, "UNAVAILABLE", "Service Unavailable"),
        (ClosedError(), 499, "VALIDATION_ERROR", ""),
    ],
)
async def test_the_status_of_an_aiohttp_error_is_kept(
    error: web.HTTPException, status: int, code: str, detail: str
) -> None:
    async with serving(raising(error)) as client, client.get("/it") as response:
        body = await problem_of(response)
    assert (response.status, body["code"], body["detail"]) == (status, code, detail)


async def test_the_headers_of_an_aiohttp_error_are_kept() -> None:
    error = web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer realm="drive"', "Retry-After": "3"})
    async with serving(raising(error)) as client, client.get("/it") as response:
        await problem_of(response)
        assert response.headers.getall("WWW-Authenticate") == ['Bearer realm="drive"']
        assert response.headers["Retry-After"] == "3"


async def test_a_redirect_passes() -> None:
    error = web.HTTPFound("https://objects.example/1")
    async with serving(raising(error)) as client, client.get("/it", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "https://objects.example/1")
        assert response.content_type == "text/plain"
        assert response.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("body", "field", "wrong"),
    [
        ('{"name": 1}', "name", "Expected `str`, got `int`."),
        ('{"name": "x", "pool": {"ids": [1, "2"]}}', "pool.ids[1]", "Expected `int`, got `str`."),
        ('{"name": "x", "counts": {"a": "2"}}', "counts[...]", "Expected `int`, got `str`."),
        ("{}", "name", "Object missing required field `name`."),
        ('{"name": "x", "pool": {}}', "pool.ids", "Object missing required field `ids`."),
        ('{"colour": 1}', "colour", "Object contains unknown field `colour`."),
        ("[]", "body", "Expected `object`, got `array`."),
        ("", "body", "Input data was truncated."),
        ('{"name": ', "body", "Input data was truncated."),
        ('{"name"; 1}', "body", "JSON is malformed: expected ':' (byte 7)."),
        (b'{"name": "\xff"}', "body", "must be JSON in UTF-8, and not nested too deeply."),
        (b'{"name": "\\n\xed\xa0\x80"}', "body", "must be JSON in UTF-8, and not nested too deeply."),
    ],
)
async def test_a_body_of_another_type_is_told_which_field_is_wrong(body: str | bytes, field: str, wrong: str) -> None:
    async with serving(decoding) as client, client.post("/it", data=body) as response:
        told = await problem_of(response)
    assert (response.status, told["code"]) == (400, "VALIDATION_ERROR")
    assert told["errors"] == {field: [wrong]}


async def test_json_that_is_nested_too_deeply_is_the_clients_fault() -> None:
    async def decoding_anything(request: web.Request) -> web.StreamResponse:
        msgspec.json.decode(b"[" * 100 * len(await request.read()))
        return web.Response()

    async with serving(decoding_anything) as client, client.post("/it", data=b"x" * 1000) as response:
        assert list((await problem_of(response))["errors"]) == ["body"]


FORM = {"Content-Type": "multipart/form-data; boundary=b"}
MIXED = {"Content-Type": "multipart/mixed; boundary=b"}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"x"),
        ({"Content-Type": "application/json"}, b"{}"),
        ({"Content-Type": "multipart/form-data"}, b"x"),
        ({"Content-Type": f"multipart/form-data; boundary={'b' * 71}"}, b"x"),
        (FORM, b""),
        (FORM, b"no boundary\r\n"),
        (FORM, b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx"),
        (FORM, b"--b\r\nno header\r\n\r\nx\r\n--b--\r\n"),
        (MIXED, b"--b\r\nContent-Length: many\r\n\r\nx\r\n--b--\r\n"),
        (FORM, b"--b\r\n" + b"A: b\r\n" * 140 + b"\r\nx\r\n--b--\r\n"),
        (MIXED, b"--b\r\nContent-Encoding: deflate\r\n\r\nthis is not deflated\r\n--b--\r\n"),
        (MIXED, b"--b\r\nContent-Encoding: strange\r\n\r\nx\r\n--b--\r\n"),
        (MIXED, b"--b\r\nContent-Transfer-Encoding: strange\r\n\r\nx\r\n--b--\r\n"),
        (FORM | {"Content-Encoding": "gzip"}, b"this is no gzip"),
    ],
)
async def test_a_form_that_cannot_be_read_is_the_clients_fault(
    headers: dict[str, str], body: bytes, logged: list[Any]
) -> None:
    """None of aiohttp's errors here has a type of its own."""
    lines = [f"{name}: {value}" for name, value in {"Host": "x", "Connection": "close", **headers}.items()]
    head = "\r\n".join(["POST /it HTTP/1.1", *lines, f"Content-Length: {len(body)}", "", ""])
    async with serving(reading_form) as client:
        answered = await exchange(client, head.encode() + body)
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert list(json.loads(answered.partition(b"\r\n\r\n")[2])["errors"]) == ["body"]
    assert logged == []


async def test_a_text_in_an_unknown_charset_is_the_clients_fault() -> None:
    async def reading_text(request: web.Request) -> web.StreamResponse:
        return web.Response(text=await request.text())

    headers = {"Content-Type": "text/plain; charset=klingon"}
    async with serving(reading_text) as client, client.post("/it", data=b"x", headers=headers) as response:
        assert list((await problem_of(response))["errors"]) == ["body"]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        KeyError("secret"),
        AssertionError("secret"),
        UnicodeDecodeError("utf-8", b"secret", 0, 1, "secret"),
        RecursionError("secret"),
        ConnectionResetError("secret"),
        TimeoutError("secret"),
        msgspec.ValidationError("secret"),
        ExceptionGroup("secret", [ValueError("secret")]),
    ],
)
async def test_an_error_of_ours_is_logged_and_not_told(error: Exception, logged: list[Any]) -> None:
    async with serving(raising(error)) as client, client.get("/it?tk=secret") as response:
        body = await problem_of(response)
    assert (response.status, body["code"]) == (500, "SERVER_ERROR")
    assert "secret" not in str(body)
    assert logged == [
        {
            "event": "Request failed",
            "log_level": "error",
            "exc_info": error,
            "request_id": body["trace_id"],
            "method": "GET",
            "path": "/it",
        }
    ]


class Witness:
    """A middleware around ours that keeps what they let pass."""

    def __init__(self) -> None:
        self.passed: list[BaseException] = []
        self.seen = asyncio.Event()

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note what comes out of the handler."""
        try:
            return await handler(request)
        except BaseException as error:  # noqa: BLE001 - any
            self.passed.append(error)
            return web.Response(status=418)
        finally:
            self.seen.set()


async def test_cancelling_passes(logged: list[Any]) -> None:
    witness = Witness()
    async with serving(raising(asyncio.CancelledError()), witness.watch) as client, client.get("/it") as response:
        assert response.status == 418
    assert [type(error) for error in witness.passed] == [asyncio.CancelledError]
    assert logged == []


async def test_a_client_that_goes_away_while_sending_is_no_failure(logged: list[Any]) -> None:
    witness = Witness()
    async with serving(decoding, witness.watch) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /it HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
        writer.close()
        await witness.seen.wait()
    assert [isinstance(error, ConnectionError) for error in witness.passed] == [True]
    assert logged == []


async def writing(response: web.StreamResponse, _: web.Request, source: IO[bytes]) -> None:
    while piece := source.read(65536):
        await response.write(piece)


async def using_sendfile(_: web.StreamResponse, request: web.Request, source: IO[bytes]) -> None:
    assert request.transport is not None
    await asyncio.get_running_loop().sendfile(request.transport, source)


@pytest.mark.parametrize("send", [writing, using_sendfile])
async def test_a_client_that_goes_away_while_reading_is_no_failure(
    send: Callable[[web.StreamResponse, web.Request, IO[bytes]], Awaitable[None]], tmp_path: Path, logged: list[Any]
) -> None:
    """With sendfile, the error comes before the connection knows that it is closed."""
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", LARGE_BYTES)

    async def sending(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(LARGE_BYTES)})
        await response.prepare(request)
        with (tmp_path / "large").open("rb") as source:
            await send(response, request, source)
        return response

    witness = Witness()
    async with serving(sending, witness.watch) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"GET /it HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readexactly(1000)
        writer.close()
        await witness.seen.wait()
    assert [isinstance(error, ConnectionError) for error in witness.passed] == [True]
    assert logged == []


@pytest.mark.parametrize("error", [ValueError("secret"), not_found("File"), web.HTTPNotFound()])
async def test_an_answer_that_has_begun_is_cut_off(error: Exception, logged: list[Any]) -> None:
    """A second answer within the first would be taken for its bytes."""

    async def failing_midway(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"part")
        raise error

    async with serving(failing_midway) as client:
        async with client.get("/it") as response:
            assert response.status == 200
            with pytest.raises(ClientPayloadError):
                await response.read()
        answered = await exchange(client, b"GET /it HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answered.count(b"HTTP/1.1 ") == 1
    assert answered.endswith(b"\r\n\r\npart")
    assert [(line["event"], line["log_level"]) for line in logged] == [("Request failed", "error")] * 2


async def naming(request: web.Request) -> web.StreamResponse:
    return web.json_response([request[REQUEST_ID], get_contextvars().get("request_id")])


@pytest.mark.parametrize("sent", ["abcd1234", "A-z_0-9x", "x" * 64])
async def test_a_usable_request_id_is_taken_over(sent: str) -> None:
    async with serving(naming) as client, client.get("/it", headers={"X-Request-Id": sent}) as response:
        assert await response.json() == [sent, sent]
        assert response.headers.getall("X-Request-Id") == [sent]


@pytest.mark.parametrize("sent", ["", "short12", "x" * 65, "has space", "semi;colon", "é" * 8, "\u0661" * 8])
async def test_any_other_is_replaced(sent: str) -> None:
    """It goes into logs and headers as it is."""
    async with serving(naming) as client, client.get("/it", headers={"X-Request-Id": sent}) as response:
        given_id, bound_id = await response.json()
        assert given_id == bound_id == response.headers["X-Request-Id"]
        assert given_id != sent
        assert len(given_id) == 32


async def test_requests_without_an_id_get_different_ones() -> None:
    async with serving(naming) as client:
        ids = [(await client.get("/it")).headers["X-Request-Id"] for _ in range(3)]
    assert len(set(ids)) == 3


async def test_the_id_is_bound_for_the_request_only() -> None:
    async def looking(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        assert "request_id" not in get_contextvars()
        return response

    async with serving(naming, web.middleware(looking)) as client, client.get("/it") as response:
        assert response.status == 200


async def test_an_answer_that_a_handler_sends_itself_has_the_id_too() -> None:
    async def streaming(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(request[REQUEST_ID].encode())
        return response

    async with serving(streaming) as client, client.get("/it") as response:
        assert response.headers["X-Request-Id"] == await response.text()


async def test_without_an_id_errors_are_still_told() -> None:
    app = web.Application(middlewares=[errors_middleware])
    app.on_response_prepare.append(send_request_id)
    async with TestClient(TestServer(app)) as client, client.get("/") as response:
        assert (await response.json())["trace_id"] == ""
        assert "X-Request-Id" not in response.headers


@settings(deadline=None)
@given(text=st.text(st.characters()), fields=st.dictionaries(st.text(st.characters()), st.text(st.characters())))
def test_any_text_can_be_told(text: str, fields: dict[str, str]) -> None:
    """Lone surrogates too, as a header can bring them."""
    error = DriveError(Code.VALIDATION_ERROR, text, fields=fields)
    answer = problem(error, instance=text, request_id=text)
    assert isinstance(answer.body, bytes)
    body = json.loads(answer.body)
    assert (body["detail"], body["instance"], body["trace_id"]) == (text, text, text)
    assert body.get("errors", {}) == {field: [wrong] for field, wrong in fields.items()}


@settings(deadline=None)
@given(st.text() | st.from_regex(r"(a - at `\$?\.?b`?){0,9}"))
def test_any_message_of_msgspec_names_some_field(message: str) -> None:
    field, wrong = _wrong_field(message)
    assert 0 < len(field) <= 300
    assert 0 < len(wrong) <= 301


def test_a_long_value_in_a_message_is_cut() -> None:
    """A wrong enum value is repeated whole."""
    field, wrong = _wrong_field(f"Invalid enum value '{'x' * 1_000_000}' - at `$.kind`")
    assert field == "kind"
    assert len(wrong) < 400
