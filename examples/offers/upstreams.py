"""Stand-ins for the two upstreams, for development and tests."""

from typing import Any, TypeAlias

import grpc
import grpc.aio

from examples.offers.proto import offers_pb2 as wire
from examples.offers.proto.offers_pb2_grpc import CatalogServiceServicer, PricingServiceServicer

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

TITLES = {"tea": "Green tea, 100 g", "cup": "A cup to drink it from"}
PRICES_CENTS = {"tea": 450, "cup": 1200}


class Catalog(CatalogServiceServicer):
    """Knows two products."""

    async def GetProduct(self, request: wire.GetProductRequest, context: Context) -> wire.Product:  # noqa: N802 - the wire's
        """Answer with a product."""
        if request.sku not in TITLES:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no product {request.sku!r}")
        return wire.Product(title=TITLES[request.sku])


class Pricing(PricingServiceServicer):
    """Knows what they cost."""

    async def GetPrice(self, request: wire.GetPriceRequest, context: Context) -> wire.Price:  # noqa: N802 - the wire's
        """Answer with a price."""
        if request.sku not in PRICES_CENTS:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no price of {request.sku!r}")
        return wire.Price(cents=PRICES_CENTS[request.sku], currency="EUR")
