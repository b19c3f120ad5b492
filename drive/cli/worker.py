"""`drive worker`."""

import asyncio
import os
from contextlib import AsyncExitStack
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
    started_at = logs.now()
    settings = load(file=settings_file)
    logs.configure(level=settings.log_level, format_=settings.log_format)
    if settings.profile:
        log.info("Profile", profile=settings.profile, pid=os.getpid())
    container = WorkerContainer(settings=settings, role="worker")
    refuse_if_wrong("worker", container)
    asyncio.run(until_stopped(_work(container, started_at, once=once)))
    return 0


async def _begin(container: WorkerContainer, started_at: str, stack: AsyncExitStack) -> None:
    if not container.settings().metrics_listen:
        log.info("Working", pid=os.getpid(), started_at=started_at)
        return
    from drive.cli.metrics import serve_metrics_of_worker

    url = await serve_metrics_of_worker(container, stack)
    log.info("Working", pid=os.getpid(), started_at=started_at)
    log.info("Listening", protocol="metrics", url=url, pid=os.getpid())


async def _work(container: WorkerContainer, started_at: str, *, once: bool) -> None:
    async with lifespan(container):
        try:
            await _do_jobs(container, started_at, once=once)
        finally:
            log.info("Stopping", pid=os.getpid())
            await container.outbox().drain()


async def _do_jobs(container: WorkerContainer, started_at: str, *, once: bool) -> None:
    if container.settings().open_at_start:
        from drive.cli.eager import open_all

        await open_all(container)
    if once:
        log.info("Working", pid=os.getpid(), started_at=started_at)
        await container.events().run_once()  # first: what others ask for becomes jobs
        await container.worker().run_once()
        return
    async with AsyncExitStack() as stack:
        await _begin(container, started_at, stack)
        async with asyncio.TaskGroup() as group:
            group.create_task(container.events().run())
            group.create_task(container.worker().run())  # a job that is cut short is taken again by the next worker
