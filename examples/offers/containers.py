"""The whole wiring, from top to bottom. Building it opens nothing."""

from typing import TYPE_CHECKING

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Singleton

from drive.lazy import Channels, Stub
from examples.offers.handlers import OfferHandlers
from examples.offers.service import Offers
from examples.offers.settings import load

if TYPE_CHECKING:
    from examples.offers.proto.offers_pb2_grpc import CatalogServiceStub, PricingServiceStub

_GENERATED = "examples.offers.proto.offers_pb2_grpc"


class Container(DeclarativeContainer):
    """The parts of the service. `Container(settings=Settings(…))` takes other settings than the environment's."""

    settings = Singleton(load)
    _s = settings.provided

    channels = Singleton(Channels)
    catalog: "Stub[CatalogServiceStub]" = Stub(
        f"{_GENERATED}:CatalogServiceStub",
        channels,
        endpoint=_s.catalog_endpoint,
        timeout_s=_s.deadline_s,
        idempotent=["GetProduct"],
    )
    pricing: "Stub[PricingServiceStub]" = Stub(
        f"{_GENERATED}:PricingServiceStub",
        channels,
        endpoint=_s.pricing_endpoint,
        timeout_s=_s.deadline_s,
        idempotent=["GetPrice"],
    )

    offers = Singleton(Offers, catalog, pricing)
    handlers = Singleton(OfferHandlers, offers)
