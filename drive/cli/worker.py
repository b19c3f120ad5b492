"""`drive worker`."""

import asyncio
import os
from pathlib import Path

import structlog

from drive import logs
from drive.cli.precheck import refuse_if_wrong
from drive.cli.signals import until_stopped
from drive.lazy import lifespan
from drive.settings import load
from drive.worker_container import WorkerContainer

log = structlog.get_logger()


def worker(settings_file: Path | None, *, once: bool) -> int:
    """Do jobs until SIGTERM or Ctrl-C; or, once, what is due now."""
    settings = load(file=settings_file)
    logs.configure(level=settings.log_level, format_=settings.log_format)
    container = WorkerContainer(settings=settings)
    refuse_if_wrong("worker", container)
    asyncio.run(until_stopped(_work(container, once=once)))
    return 0


async def _work(container: WorkerContainer, *, once: bool) -> None:
    async with lifespan(container):
        if once:
            await container.events().run_once()  # first: what others ask for becomes jobs
            await container.worker().run_once()
            return
        log.info("Working", pid=os.getpid())
        async with asyncio.TaskGroup() as group:
            group.create_task(container.events().run())
            group.create_task(container.worker().run())  # a job that is cut short is taken again by the next worker
