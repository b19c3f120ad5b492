"""The aiohttp application."""

from collections.abc import AsyncIterator

from aiohttp import web

from drive.containers import Container
from drive.http.problems import errors_middleware, request_id_middleware, send_request_id
from drive.http.routes import ROUTES as SERVED
from drive.http.routes import Access, Handler, Route
from drive.http.tus import send_tus_version
from drive.lazy import Part, lifespan, load_parts
from drive.routes import ROUTES

_JSON_MAX_BYTES = 1024 * 1024  # bodies that are read whole; files are streamed, whatever their size


def create_app(container: Container) -> web.Application:
    """Return the application that serves the container's handlers. It opens nothing, and closes what they opened."""
    app = web.Application(middlewares=[request_id_middleware, errors_middleware], client_max_size=_JSON_MAX_BYTES)
    app[SERVED] = ROUTES
    handlers = {part.path: part for part in container.handlers.args}
    for route in ROUTES:
        handler = _handler(route, handlers[route.handlers], container)
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


def _handler(route: Route, part: Part[object], container: Container) -> Handler:
    """Return what answers a route: its first request imports and builds that."""
    guarded: Handler | None = None

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal guarded
        if guarded is None:
            guarded = await _guarded(route, part, container)
        return await guarded(request)

    return handle


async def _guarded(route: Route, part: Part[object], container: Container) -> Handler:
    await load_parts(part)

    async def method(request: web.Request) -> web.StreamResponse:
        # Asked for at each request: what an override gives must not be kept for when that has ended.
        handler: Handler = getattr(part(), route.name)
        return await handler(request)

    if route.access is Access.OPEN:
        return method
    await load_parts(container.authenticator)
    from drive.http.auth import guard

    return guard(method, route.access, container.authenticator)
