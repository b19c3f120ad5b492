"""The job `process_object`: what clients may ask for of an image or a video beside its bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from drive.db.database import Database
from drive.db.queries import load_queries
from drive.jobs.interfaces import PermanentError
from drive.lazy import Lazy
from drive.media.interfaces import VARIANTS
from drive.media.making import Made, Making, Task
from drive.media.work import Work
from drive.storage.interfaces import Store, Stores

log = structlog.get_logger()

QUERIES = load_queries(__package__)

_KINDS = {"image", "video", "audio"}
_READ_BYTES = 1024 * 1024


class Processing:
    """Makes an object's variants and its description, each time anew and with the same outcome.

    Args:
        database: where the objects are recorded.
        stores: where their bytes are.
        work: a folder of this process.
        making: makes them.
        tell: called with the upload's id, where the job names one, once nothing more will come of it.
        fetch_max_bytes: the largest object that is copied from a store elsewhere.

    """

    def __init__(
        self,
        database: Database,
        stores: Stores,
        work: Lazy[Work],
        making: Making,
        tell: Callable[[str | None], Awaitable[None]],
        *,
        fetch_max_bytes: int,
    ) -> None:
        self._database = database
        self._stores = stores
        self._work = work
        self._making = making
        self._tell = tell
        self._fetch_max_bytes = fetch_max_bytes

    async def __call__(self, payload: dict[str, Any]) -> None:
        """Process an object, and tell who uploaded it; one that is gone leaves nothing behind.

        Raises:
            PermanentError: it took more than is allowed, which it would again.
            FileNotFoundError: its bytes are missing, or its row has gone since.

        """
        task_id = payload.get("task_id")
        try:
            await self._process(payload["object_id"], UUID(payload["pool_id"]))
        except PermanentError:
            await self._tell(task_id)
            raise
        await self._tell(task_id)

    async def _process(self, object_id: str, pool_id: UUID) -> None:
        store = await self._stores.of(pool_id)
        row = await self._database.fetchrow(QUERIES["object"], object_id)
        if row is None:
            return await self._forget(store, object_id, VARIANTS)
        kind = row["mime_type"].partition("/")[0].lower()
        if kind not in _KINDS or not (row["is_optimized"] or row["is_described"]):
            return None
        work = await self._work()
        async with work.folder() as folder:
            source = await self._source(store, object_id, row["size_bytes"], folder)
            if source is None:
                return None
            made = await self._making.of(kind, Task(source, folder, row["is_optimized"], row["is_described"]))
            if made is None:
                return None
            await self._keep(store, object_id, made, folder, is_described=row["is_described"])
        _report(object_id, made)
        return None

    async def _source(self, store: Store, object_id: str, size_bytes: int, folder: Path) -> Path | None:
        """Return a file with the object's bytes; None where it is too large to be fetched."""
        there = store.path(object_id)
        if there is not None:
            if not there.exists():
                raise FileNotFoundError(object_id)
            return there.absolute()
        if size_bytes > self._fetch_max_bytes:
            log.info("Object not processed", object_id=object_id, reason="it is too large to be fetched")
            return None
        source = folder / "source"
        with source.open("wb") as file:
            async for piece in store.read(object_id):
                await asyncio.to_thread(file.write, piece)
        return source

    async def _keep(self, store: Store, object_id: str, made: Made, folder: Path, *, is_described: bool) -> None:
        """Store what was made and record it. First the bytes: what is recorded can be read."""
        variants = {}
        for name, mime_type in made.variants.items():
            size_bytes = await store.write(f"{object_id}.{name}", _pieces(folder / name), mime_type=mime_type)
            variants[name] = {"size_bytes": size_bytes, "mime_type": mime_type}
        meta = made.meta if is_described else None
        is_there = await self._database.fetchval(QUERIES["record"], object_id, meta, variants)
        await self._forget(store, object_id, [name for name in VARIANTS if not (is_there and name in variants)])

    async def _forget(self, store: Store, object_id: str, variants: tuple[str, ...] | list[str]) -> None:
        for name in variants:
            await store.delete(f"{object_id}.{name}")


def _report(object_id: str, made: Made) -> None:
    if made.problem is not None:
        raise PermanentError(made.problem)
    if made.flaw is not None:
        log.info("Object not processed", object_id=object_id, reason=made.flaw)


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while piece := await asyncio.to_thread(opened.read, _READ_BYTES):
            yield piece
