"""The aiohttp application."""

from collections.abc import AsyncIterator

from aiohttp import web

from drive.containers import Container
from drive.http.auth import guard
from drive.http.problems import errors_middleware, request_id_middleware, send_request_id
from drive.http.routes import ROUTES
from drive.lazy import lifespan
from drive.uploads.handlers import send_tus_version

_JSON_MAX_BYTES = 1024 * 1024  # bodies that are read whole; files are streamed, whatever their size


def create_app(container: Container) -> web.Application:
    """Return the application that serves the container's handlers. It opens nothing, and closes what they opened."""
    app = web.Application(middlewares=[request_id_middleware, errors_middleware], client_max_size=_JSON_MAX_BYTES)
    authenticator = container.authenticator()
    app[ROUTES] = tuple(route for handlers in container.handlers() for route in handlers.routes())
    for route in app[ROUTES]:
        handler = guard(route, authenticator)
        app.router.add_route(route.method, route.path, handler)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, handler)

    async def close_at_end(_app: web.Application) -> AsyncIterator[None]:
        async with lifespan(container):
            yield
            await container.outbox().drain()

    app.on_response_prepare.append(send_request_id)
    app.on_response_prepare.append(send_tus_version)
    app.cleanup_ctx.append(close_at_end)
    return app
