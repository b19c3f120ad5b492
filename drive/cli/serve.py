"""`drive serve`."""

import asyncio
import gc
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

_GC_THRESHOLD = 10_000  # objects; with Python's 700, looking for cycles takes a tenth of the time of a busy service
_SHUTDOWN_TIMEOUT_S = 0.4  # for requests to end; aiohttp waits as long again after it has told them to


def serve(settings_file: Path | None) -> int:
    """Answer HTTP, and gRPC where that is listened for, until SIGTERM or Ctrl-C."""
    started_at = logs.now()
    settings = load(file=settings_file)
    logs.configure(level=settings.log_level, format_=settings.log_format)
    if settings.profile:
        log.info("Profile", profile=settings.profile, pid=os.getpid())
    container = Container(settings=settings, role="serve")
    refuse_if_wrong("serve", container)
    gc.freeze()  # what is there stays: no collection needs to look at it
    gc.set_threshold(_GC_THRESHOLD)
    asyncio.run(_serve(container, settings, started_at))
    return 0


async def _serve(container: Container, settings: Settings, started_at: str) -> None:
    stop = stop_signal()
    app = create_app(container)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
    async with AsyncExitStack() as stack:
        if settings.otel_url:
            _trace(settings, app, stack)
        metrics_url = await _serve_metrics(container, app, stack) if settings.metrics_listen else None
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        if settings.open_at_start:
            await _open_all(container)
        grpc_url = await _serve_grpc(container, settings.grpc_listen, stack) if settings.grpc_listen else None
        await _listen(runner, settings.http_listen)
        bound_host, bound_port = runner.addresses[0][:2]
        log.info("Listening", url=f"http://{bound_host}:{bound_port}", pid=os.getpid(), started_at=started_at)
        if grpc_url:
            log.info("Listening", protocol="gRPC", url=grpc_url, pid=os.getpid())
        if metrics_url:
            log.info("Listening", protocol="metrics", url=metrics_url, pid=os.getpid())
        await stop.wait()
        log.info("Stopping", pid=os.getpid())


async def _open_all(container: Container) -> None:
    from drive.cli.eager import open_all

    await open_all(container)


async def _serve_metrics(container: Container, app: web.Application, stack: AsyncExitStack) -> str:
    from drive.cli.metrics import serve_metrics_of_service

    return await serve_metrics_of_service(container, app, stack)


def _trace(settings: Settings, app: web.Application, stack: AsyncExitStack) -> None:
    from drive.cli.tracing import trace

    trace(settings, "serve", app, stack)


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
