"""`drive serve`."""

import asyncio
import os
from pathlib import Path

import structlog
from aiohttp import web

from drive import logs
from drive.app import create_app
from drive.cli.errors import CommandError
from drive.cli.precheck import refuse_if_wrong
from drive.cli.signals import stop_signal
from drive.containers import Container
from drive.settings import load, parse_listen

log = structlog.get_logger()

_SHUTDOWN_TIMEOUT_S = 0.4  # for requests to end; aiohttp waits as long again after it has told them to


def serve(settings_file: Path | None) -> int:
    """Answer HTTP until SIGTERM or Ctrl-C."""
    settings = load(file=settings_file)
    logs.configure(level=settings.log_level, format_=settings.log_format)
    container = Container(settings=settings)
    refuse_if_wrong("serve", container)
    asyncio.run(_serve(container, settings.http_listen))
    return 0


async def _serve(container: Container, listen: str) -> None:
    stop = stop_signal()
    runner = web.AppRunner(create_app(container), access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        await _listen(runner, listen)
        bound_host, bound_port = runner.addresses[0][:2]
        log.info("Listening", url=f"http://{bound_host}:{bound_port}", pid=os.getpid())
        await stop.wait()
        log.info("Stopping", pid=os.getpid())
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, listen: str) -> None:
    host, port = parse_listen(listen)
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError as error:
        message = f"Cannot listen on {listen}: {error.strerror}. Stop what does, or set DRIVE_HTTP_LISTEN to another."
        raise CommandError(message) from error
