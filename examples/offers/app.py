"""The aiohttp application."""

from collections.abc import AsyncIterator

from aiohttp import web

from drive.lazy import lifespan
from examples.offers.containers import Container
from examples.offers.handlers import answer_errors


def create_app(container: Container) -> web.Application:
    """Return the application. It opens nothing, and closes what its requests opened."""

    async def close_at_end(_app: web.Application) -> AsyncIterator[None]:
        async with lifespan(container):
            yield

    app = web.Application(middlewares=[answer_errors])
    app.router.add_get("/offers/{sku}", container.handlers().show)
    app.cleanup_ctx.append(close_at_end)
    return app
