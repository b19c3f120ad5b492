"""`drive worker`."""

import asyncio
import os
from pathlib import Path

import structlog

from drive import logs
from drive.cli.serve import stop_signal
from drive.containers import Container
from drive.lazy import lifespan
from drive.settings import load

log = structlog.get_logger()


def worker(settings_file: Path | None, *, once: bool) -> int:
    """Do jobs until SIGTERM or Ctrl-C; or, once, what is due now."""
    settings = load(file=settings_file)
    logs.configure(level=settings.log_level, format_=settings.log_format)
    asyncio.run(_work(Container(settings=settings), once=once))
    return 0


async def _work(container: Container, *, once: bool) -> None:
    stop = stop_signal()
    async with lifespan(container):
        if once:
            await container.worker().run_once()
            return
        log.info("Working", pid=os.getpid())
        working = asyncio.create_task(container.worker().run())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():  # a job cut short is taken again by the next worker
            working.cancel()
            await asyncio.wait([working])
        else:
            stopping.cancel()
            working.result()
