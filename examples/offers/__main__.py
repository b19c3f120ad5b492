"""Serve on this machine, with stand-ins for both upstreams: `python -m examples.offers`."""

from contextlib import AsyncExitStack

from aiohttp import web

from drive.lazy import validate
from drive.testing import serving
from examples.offers.app import create_app
from examples.offers.containers import Container
from examples.offers.settings import Settings
from examples.offers.upstreams import Catalog, Pricing


async def demo() -> web.Application:
    """Return the application, with stand-ins that stop after it."""
    stand_ins = AsyncExitStack()
    settings = Settings(
        catalog_endpoint=await stand_ins.enter_async_context(serving(Catalog())),
        pricing_endpoint=await stand_ins.enter_async_context(serving(Pricing())),
    )
    container = Container(settings=settings)
    validate(container)
    app = create_app(container)
    app.on_cleanup.append(lambda _app: stand_ins.aclose())
    return app


if __name__ == "__main__":
    web.run_app(demo(), host="127.0.0.1", port=8100)
