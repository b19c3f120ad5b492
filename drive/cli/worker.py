"""`drive worker`."""

import asyncio
import os
from pathlib import Path

import structlog

from drive import logs
from drive.cli.precheck import refuse_if_wrong
from drive.cli.signals import until_stopped
from drive.containers import Container
from drive.lazy import lifespan
from drive.settings import load

log = structlog.get_logger()


def worker(settings_file: Path | None, *, once: bool) -> int:
    """Do jobs until SIGTERM or Ctrl-C; or, once, what is due now."""
    settings = load(file=settings_file)
    logs.configure(level=settings.log_level, format_=settings.log_format)
    container = Container(settings=settings)
    refuse_if_wrong("worker", container)
    asyncio.run(until_stopped(_work(container, once=once)))
    return 0


async def _work(container: Container, *, once: bool) -> None:
    async with lifespan(container):
        if once:
            await container.worker().run_once()
            return
        log.info("Working", pid=os.getpid())
        await container.worker().run()  # a job that is cut short is taken again by the next worker
