"""`drive serve`."""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from aiohttp import web

from drive import logs
from drive.app import create_app
from drive.cli.errors import CommandError
from drive.cli.precheck import refuse_if_wrong
from drive.cli.signals import stop_signal
from drive.containers import Container
from drive.lazy import load as load_modules
from drive.settings import Settings, load, parse_listen

log = structlog.get_logger()

_SHUTDOWN_TIMEOUT_S = 0.4  # for requests to end; aiohttp waits as long again after it has told them to


def serve(settings_file: Path | None) -> int:
    """Answer HTTP, and gRPC where that is listened for, until SIGTERM or Ctrl-C."""
    settings = load(file=settings_file)
    logs.configure(level=settings.log_level, format_=settings.log_format)
    container = Container(settings=settings)
    refuse_if_wrong("serve", container)
    asyncio.run(_serve(container, settings))
    return 0


async def _serve(container: Container, settings: Settings) -> None:
    stop = stop_signal()
    runner = web.AppRunner(create_app(container), access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        grpc_url = await _serve_grpc(container, settings.grpc_listen, stack) if settings.grpc_listen else None
        await _listen(runner, settings.http_listen)
        bound_host, bound_port = runner.addresses[0][:2]
        log.info("Listening", url=f"http://{bound_host}:{bound_port}", pid=os.getpid())
        if grpc_url:
            log.info("Listening", protocol="gRPC", url=grpc_url, pid=os.getpid())
        await stop.wait()
        log.info("Stopping", pid=os.getpid())


async def _serve_grpc(container: Container, listen: str, stack: AsyncExitStack) -> str:
    await load_modules("drive.rpc.server")
    server = container.rpc_server()
    stack.push_async_callback(server.stop)  # before what it asks is closed
    try:
        return await server.start()
    except OSError as error:
        message = f"Cannot serve gRPC: {error}. Stop what uses {listen}, or set DRIVE_GRPC_LISTEN to another."
        raise CommandError(message) from error


async def _listen(runner: web.AppRunner, listen: str) -> None:
    host, port = parse_listen(listen)
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError as error:
        message = f"Cannot listen on {listen}: {error.strerror}. Stop what does, or set DRIVE_HTTP_LISTEN to another."
        raise CommandError(message) from error
