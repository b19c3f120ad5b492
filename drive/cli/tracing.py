"""Trace what `drive serve` does. Imported only where DRIVE_OTEL_URL is set."""

from contextlib import AsyncExitStack

from aiohttp import web

from drive.cli.errors import CommandError
from drive.settings import Settings


def trace(settings: Settings, role: str, app: web.Application, stack: AsyncExitStack) -> None:
    """Trace an application's requests, and what they ask of others, from before it is started until the stack ends."""
    try:
        from drive.monitor.tracing import Tracing
    except ImportError as error:
        raise CommandError(
            f"DRIVE_OTEL_URL needs OpenTelemetry, of which {error.name} is missing. Install drive with the extra otel, "
            "or unset it."
        ) from error
    tracing = Tracing(role, settings.otel_url)
    stack.push_async_callback(tracing.aclose)
    app.middlewares.insert(0, tracing.middleware)
