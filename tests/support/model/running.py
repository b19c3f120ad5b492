"""The service that is asked, for all runs of the machine."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from drive.bundles.attempts import Attempts
from drive.bundles.passcodes import Passcodes
from drive.containers import Container
from drive.lazy import lifespan
from drive.peers import serve_peers
from drive.settings import Settings
from drive.worker_container import WorkerContainer
from support.api import Api
from support.model.values import IDS, QUOTA_MIB, Clock, Pool
from support.model.world import CHUNK_BYTES, CHUNK_MAX_BYTES, CHUNKS_MAX, DIRECT_MAX_BYTES, FILE_MAX_BYTES, World
from support.rows import POOL_ID, Rows, add_pool, connected, empty


@dataclass(slots=True)
class Running:
    """The service as its clients, its worker, its disk and its database see it."""

    api: Api
    worker: WorkerContainer
    """Another process's, as far as the service knows."""
    rows: Rows
    folder: Path
    clock: Clock
    """What wrong passcodes are counted by."""
    steps: int = 0

    @classmethod
    @asynccontextmanager
    async def opened(cls, database_url: str, redis_url: str, folder: Path) -> AsyncIterator["Running"]:
        """Serve with small limits, and stand-ins for pass and ring."""
        clock = Clock()
        async with serve_peers() as peers:
            settings = Settings(
                database_url=database_url,
                redis_url=redis_url,
                storage_path=folder,
                pass_endpoint=peers.pass_url,
                ring_endpoint=peers.ring_url,
                quota_base_mib=QUOTA_MIB["plain"],
                quota_tier2_mib=QUOTA_MIB["subscriber"],
                upload_chunk_bytes=CHUNK_BYTES,
                upload_chunk_max_bytes=CHUNK_MAX_BYTES,
                upload_chunks_max=CHUNKS_MAX,
                upload_max_bytes=FILE_MAX_BYTES,
                upload_direct_max_bytes=DIRECT_MAX_BYTES,
                worker_sweep_interval_s=1e9,  # what has expired goes when a rule says so
            )
            served = Container(settings=settings, passcodes=Passcodes(Attempts(clock)))
            worker = WorkerContainer(settings=settings)
            async with Api.serving(served) as api, lifespan(worker), connected(database_url) as rows:
                yield cls(api, worker, rows, folder, clock)

    async def begin(self) -> World:
        """Forget the run before, and return an empty world."""
        await empty(self.rows)
        shutil.rmtree(self.folder, ignore_errors=True)
        dear = await add_pool(self.rows, name="Dear", cost_multiplier=2**15, allow_anonymous=False, max_file_size=48)
        own = await add_pool(
            self.rows, name="Own", account_id=IDS["plain"], is_hidden=True, public_usable=False, cost_multiplier=2**13
        )
        pools = [
            Pool(POOL_ID),
            Pool(dear, 2**15, allow_anonymous=False, most_bytes=48),
            Pool(own, 2**13, owner="plain"),
        ]
        return World(pools, self.clock)

    async def work(self) -> None:
        """Let the worker do what waits for it."""
        await self.worker.worker().run_once()

    async def do(self, job: str) -> None:
        """Let the worker do a job of a schedule, due or not."""
        await self.worker.worker().do_now(job)

    def stored(self, where: str) -> set[str]:
        """Return the names of the files in a folder of the store."""
        return {file.name for file in (self.folder / where).rglob("*") if file.is_file()}
