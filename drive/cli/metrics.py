"""Serve `/metrics` beside what a command does. Imported only where that is listened for."""

from contextlib import AsyncExitStack

from aiohttp import web

from drive.cli.errors import CommandError
from drive.containers import Container
from drive.monitor.backlog import Backlog
from drive.monitor.collector import Collector
from drive.monitor.listener import serving_metrics
from drive.monitor.requests import Requests


async def serve_metrics_of_service(container: Container, app: web.Application, stack: AsyncExitStack) -> str:
    """Count what the application answers, from before it is started; return the URL of the metrics."""
    requests = Requests()
    app.middlewares.insert(0, requests.middleware)
    return await _serve(Collector(container, requests, None), container, stack)


async def serve_metrics_of_worker(container: Container, stack: AsyncExitStack) -> str:
    """Tell also of what waits in the database; return the URL of the metrics."""
    return await _serve(Collector(container, None, Backlog(container.database())), container, stack)


async def _serve(collector: Collector, container: Container, stack: AsyncExitStack) -> str:
    listen = container.settings().metrics_listen
    try:
        return await stack.enter_async_context(serving_metrics(collector, listen))
    except OSError as error:
        raise CommandError(
            f"Cannot serve metrics on {listen}: {error.strerror}. Stop what listens there, or set DRIVE_METRICS_LISTEN "
            "to another: each process needs its own."
        ) from error
