"""Offers, put together from what two upstreams know."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from drive.lazy import load

if TYPE_CHECKING:
    from examples.offers.proto.offers_pb2_grpc import CatalogServiceStub, PricingServiceStub

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a customer sees."""

    sku: str
    title: str
    price_cents: int
    currency: str


class UpstreamError(Exception):
    """An upstream did not answer with what was asked for."""

    def __init__(self, upstream: str, code: str, details: str) -> None:
        super().__init__(f"{upstream}: {code} {details}")
        self.upstream = upstream
        self.code = code
        """The name of the gRPC status: NOT_FOUND, UNAVAILABLE, …"""
        self.details = details


class Offers:
    """Finds offers."""

    def __init__(self, catalog: "CatalogServiceStub", pricing: "PricingServiceStub") -> None:
        self._catalog = catalog
        self._pricing = pricing

    async def find(self, sku: str) -> Offer:
        """Ask both upstreams at the same time.

        Raises:
            UpstreamError: the first failure; the other call ends with its answer or at its deadline.

        """
        # In a thread, at the first request: so long an import would stall every other request.
        await load("grpc.aio", "examples.offers.proto.offers_pb2")
        from examples.offers.proto.offers_pb2 import GetPriceRequest, GetProductRequest

        product, price = await asyncio.gather(
            _answer("catalog", self._catalog.GetProduct(GetProductRequest(sku=sku))),
            _answer("pricing", self._pricing.GetPrice(GetPriceRequest(sku=sku))),
        )
        return Offer(sku, product.title, price.cents, price.currency)


async def _answer(upstream: str, call: Awaitable[T]) -> T:
    from grpc.aio import AioRpcError

    try:
        return await call
    except AioRpcError as error:
        raise UpstreamError(upstream, error.code().name, error.details() or "") from error
