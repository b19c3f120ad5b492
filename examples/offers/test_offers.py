"""Tests of the offers service. The fixtures `container`, `peers` and `channel_log` are from drive.testing."""
# ruff: noqa: S101 - what tests are made of

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from grpc import StatusCode

from drive.lazy import ContainerError, override, validate
from drive.testing import ChannelLog, Servers, calls_of, fake, rpc_error, serving
from examples.offers.app import create_app
from examples.offers.containers import Container
from examples.offers.proto.offers_pb2 import GetProductRequest, Price, Product
from examples.offers.proto.offers_pb2_grpc import CatalogServiceStub, PricingServiceStub
from examples.offers.settings import Settings
from examples.offers.upstreams import Catalog, Context, Pricing

Client: TypeAlias = "TestClient[Any, Any]"


@pytest_asyncio.fixture
async def settings(peers: Servers) -> Settings:
    """Give settings that lead to a catalog and a pricing service on this machine."""
    return Settings(catalog_endpoint=await peers.serve(Catalog()), pricing_endpoint=await peers.serve(Pricing()))


@pytest.fixture
def container_class(settings: Settings) -> Callable[[], Container]:
    """Tell the fixture `container` of drive.testing what to build."""
    return partial(Container, settings=settings)


@pytest_asyncio.fixture
async def client(container: Container) -> AsyncIterator[Client]:
    """Give a client of the running application."""
    async with TestClient(TestServer(create_app(container))) as running:
        yield running


async def get(client: Client, path: str) -> tuple[int, Any]:
    """Return an answer's status and body."""
    async with client.get(path) as response:
        return response.status, await response.json()


async def test_an_offer_is_put_together_from_both_upstreams(client: Client) -> None:
    """The title is the catalog's, the price pricing's."""
    expected = {"sku": "tea", "title": "Green tea, 100 g", "price_cents": 450, "currency": "EUR"}
    assert await get(client, "/offers/tea") == (HTTPStatus.OK, expected)


async def test_channels_are_opened_by_the_first_request_and_once(
    channel_log: ChannelLog, client: Client, settings: Settings
) -> None:
    """A service that runs holds nothing open; after many requests at once it holds one channel per endpoint.

    `channel_log` is asked for first: pytest makes fixtures in this order, and it must see the start of the application.
    """
    channel_log.assert_nothing_opened()
    await asyncio.gather(*(get(client, "/offers/tea") for _ in range(50)))
    channel_log.assert_opened_once(settings.catalog_endpoint)
    channel_log.assert_opened_once(settings.pricing_endpoint)


async def test_the_application_closes_what_it_opened(channel_log: ChannelLog, container: Container) -> None:
    """No channel outlives it."""
    async with TestClient(TestServer(create_app(container))) as client:
        await get(client, "/offers/tea")
    assert [line["event"] for line in channel_log.lines][2:] == ["Closing gRPC channel"] * 2


async def test_an_override_reaches_the_running_application(client: Client, container: Container) -> None:
    """What was built with the real catalog asks the fake until the block ends, and the real one after it."""
    catalog = fake(CatalogServiceStub, GetProduct=Product(title="Free samples"))
    with override(container, catalog=catalog):
        _, offer = await get(client, "/offers/tea")
        assert offer["title"] == "Free samples"
    _, offer = await get(client, "/offers/tea")
    assert offer["title"] == "Green tea, 100 g"
    assert [call.request for call in calls_of(catalog)] == [GetProductRequest(sku="tea")]


async def test_both_upstreams_are_asked_at_the_same_time(client: Client, container: Container) -> None:
    """Neither waits for the other: each fake answers only once the other was asked."""
    both = asyncio.Barrier(2)

    async def product(_request: Any) -> Product:
        await both.wait()
        return Product()

    async def price(_request: Any) -> Price:
        await both.wait()
        return Price()

    catalog, pricing = fake(CatalogServiceStub, GetProduct=product), fake(PricingServiceStub, GetPrice=price)
    with override(container, catalog=catalog, pricing=pricing):
        status, _ = await get(client, "/offers/tea")
    assert status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (StatusCode.NOT_FOUND, HTTPStatus.NOT_FOUND),
        (StatusCode.DEADLINE_EXCEEDED, HTTPStatus.GATEWAY_TIMEOUT),
        (StatusCode.UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE),
        (StatusCode.INTERNAL, HTTPStatus.SERVICE_UNAVAILABLE),
    ],
)
async def test_a_failure_has_a_status_and_keeps_its_reason_to_itself(
    client: Client, container: Container, code: StatusCode, status: HTTPStatus
) -> None:
    """The client is told what to do, not what the upstream said."""
    with override(container, pricing=fake(PricingServiceStub, GetPrice=rpc_error(code, "password of db7 is wrong"))):
        answered, body = await get(client, "/offers/tea")
    assert answered == status
    assert list(body) == ["error"]
    assert "db7" not in body["error"]


async def test_an_unknown_path_is_answered_in_json(client: Client) -> None:
    """Errors of the router have the same form."""
    assert await get(client, "/nothing") == (HTTPStatus.NOT_FOUND, {"error": "Not Found"})


async def test_an_upstream_that_is_down_is_503(client: Client, container: Container, settings: Settings) -> None:
    """Also a setting can be overridden while the application runs: what depends on it is built anew."""
    async with serving(Pricing()) as endpoint:
        pass  # it is gone afterwards
    with override(container, settings=replace(settings, pricing_endpoint=endpoint)):
        status, body = await get(client, "/offers/tea")
    assert (status, list(body)) == (HTTPStatus.SERVICE_UNAVAILABLE, ["error"])


async def test_an_upstream_that_never_answers_is_504(
    client: Client, container: Container, settings: Settings, peers: Servers
) -> None:
    """The deadline ends the call."""

    class Silent(Pricing):
        async def GetPrice(self, _request: Any, _context: Context) -> Price:  # noqa: N802 - the wire's
            return await asyncio.Future[Price]()

    silent = await peers.serve(Silent())
    with override(container, settings=replace(settings, pricing_endpoint=silent, deadline_s=0.2)):
        status, body = await get(client, "/offers/tea")
    assert (status, list(body)) == (HTTPStatus.GATEWAY_TIMEOUT, ["error"])


def test_the_wiring_is_sound() -> None:
    """Every argument fits, every endpoint parses, every stub exists; nothing is opened to find out."""
    validate(Container(settings=Settings(catalog_endpoint="http://catalog:80", pricing_endpoint="http://pricing:80")))


def test_a_wrong_endpoint_is_found_before_the_first_request() -> None:
    """The report names the way to it."""
    settings = Settings(catalog_endpoint="catalog:80", pricing_endpoint="http://pricing:80")
    with pytest.raises(ContainerError, match="catalog"):
        validate(Container(settings=settings))
