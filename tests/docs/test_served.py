"""served.toml lists what is served, and nothing of it may be had by anybody who is not meant to."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.api import Api

from drive.containers import Container
from drive.http.openapi import document
from drive.lazy import lifespan
from drive.routes import ROUTES
from drive.settings import Settings

TABLE = tomllib.loads(Path(__file__).with_name("served.toml").read_text())
ACCOUNT, PUBLIC = set(TABLE["http"]["account"]), set(TABLE["http"]["public"])
RPC_TOKEN = "token-of-another-service-" + "0" * 16
ANSWERED = {"OK", "NOT_FOUND", "INVALID_ARGUMENT"}
"""How an rpc that is served can end when it is asked for nothing."""
VARIABLES = {
    "{chunkIndex}": "0",
    "{poolId}": "00000000-0000-0000-0000-000000000001",
    "{indexId}": "00000000-0000-0000-0000-000000000001",
    "{id}": "00000000-0000-0000-0000-000000000001",
}


def requests(table: set[str]) -> list[tuple[str, str]]:
    """Return the method and a path for each line of the table."""
    return [(method, filled(path)) for method, _, path in (line.partition(" ") for line in sorted(table))]


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", lambda found: VARIABLES.get(found[0], "some-id"), path)


def test_exactly_the_listed_routes_are_described() -> None:
    """The document is made of the route table: what it has is served, and what is served it has."""
    described = {
        f"{method.upper()} {path}" for path, methods in document(ROUTES)["paths"].items() for method in methods
    }
    assert described == ACCOUNT | PUBLIC
    assert ACCOUNT.isdisjoint(PUBLIC)


async def test_every_route_but_the_public_ones_asks_for_a_token() -> None:
    """Nothing is looked at before: neither body nor parameters, nor a database, of which there is none here."""
    wrong = {}
    async with Api.serving(Container(settings=Settings())) as api:
        nobody = api.signed_in_as(None)
        for method, path in requests(ACCOUNT):
            for target in (path, f"{path}?offset=-1"):
                answer = await nobody.request(method, target, data=b"no JSON")
                if answer.status != 401 or answer.headers["WWW-Authenticate"] != "Bearer":
                    wrong[method, target] = answer
    assert wrong == {}


async def test_no_public_route_asks_for_a_token(api: Api) -> None:
    """They find nothing, or answer."""
    statuses = {}
    for method, path in requests(PUBLIC):
        answer = await api.signed_in_as(None).request(method, path)
        statuses[f"{method} {path}"] = answer.status
    assert set(statuses.values()) <= {200, 204, 404}, statuses


async def test_what_is_listed_as_public_says_so(api: Api) -> None:
    """Everything else is documented with the ways to sign in, and with 401."""
    for path, methods in (await api.get("/openapi.json")).json["paths"].items():
        for method, operation in methods.items():
            is_public = f"{method.upper()} {path}" in PUBLIC
            may_be_anybody = not operation["security"] or {} in operation["security"]
            assert may_be_anybody == is_public, path
            assert is_public or "401" in operation["responses"], path


@pytest.mark.parametrize("service", TABLE["rpc"])
def test_exactly_the_listed_rpcs_are_on_the_wire(service: str) -> None:
    from drive.proto import file_pb2

    methods = file_pb2.DESCRIPTOR.services_by_name[service].methods
    assert [method.name for method in methods] == TABLE["rpc"][service]


async def rpc_statuses(settings: Settings, token: str) -> dict[str, str]:
    """Call each listed rpc with nothing in the request, and return how each ends."""
    import grpc.aio

    container = Container(settings=settings)
    statuses = {}
    async with lifespan(container):
        server = container.rpc_server()
        async with grpc.aio.insecure_channel(urlsplit(await server.start()).netloc) as channel:
            for name in (f"/proto.{service}/{one}" for service, rpcs in TABLE["rpc"].items() for one in rpcs):
                rpc: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(name)
                call = rpc(b"", metadata=[("authorization", f"Bearer {token}")])
                statuses[name] = (await call.code()).name
        await server.stop()
    return statuses


async def test_every_listed_rpc_is_served_to_those_with_a_token_and_to_nobody_else(settings: Settings) -> None:
    settings = replace(settings, grpc_listen="127.0.0.1:0", grpc_tokens=RPC_TOKEN)
    assert set((await rpc_statuses(settings, "of-nobody")).values()) == {"UNAUTHENTICATED"}
    served = await rpc_statuses(settings, RPC_TOKEN)
    assert {name: status for name, status in served.items() if status not in ANSWERED} == {}
