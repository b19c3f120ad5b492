"""`drive serve`."""

import asyncio
import os
import signal
from pathlib import Path

import structlog
from aiohttp import web

from drive import logs
from drive.app import create_app
from drive.containers import Container
from drive.settings import load, parse_listen

log = structlog.get_logger()

_SHUTDOWN_TIMEOUT_S = 1.0


def serve(settings_file: Path | None) -> int:
    """Answer HTTP until SIGTERM or Ctrl-C."""
    settings = load(file=settings_file)
    logs.configure(level=settings.log_level, format_=settings.log_format)
    host, port = parse_listen(settings.http_listen)
    asyncio.run(_serve(Container(settings=settings), host, port))
    return 0


async def _serve(container: Container, host: str, port: int) -> None:
    stop = stop_signal()
    runner = web.AppRunner(create_app(container), access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        bound_host, bound_port = runner.addresses[0][:2]
        log.info("Listening", url=f"http://{bound_host}:{bound_port}", pid=os.getpid())
        await stop.wait()
        log.info("Stopping", pid=os.getpid())
    finally:
        await runner.cleanup()


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM or Ctrl-C sets."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
