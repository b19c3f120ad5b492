"""What uploads leave behind, and who removes it."""

from typing import Any
from uuid import UUID

import structlog

from drive.db.database import Database
from drive.media.interfaces import VARIANTS
from drive.storage.interfaces import Store, StoreUnavailableError
from drive.storage.stores import PoolStores
from drive.uploads.service import QUERIES

log = structlog.get_logger()

_PAGE = 500


class Sweep:
    """Ends uploads that have expired, and removes staged bytes that no upload in progress owns."""

    def __init__(self, database: Database, stores: PoolStores) -> None:
        self._database = database
        self._stores = stores

    async def __call__(self, _payload: dict[str, Any]) -> None:
        """Do the job `sweep`. Any number of workers may do so at the same time."""
        expired = 0
        while page := await self._database.fetch(QUERIES["expire"], _PAGE):
            expired += len(page)
        removed = sum([await self._swept(store) for store in await self._stores.all()])
        if expired or removed:
            log.info("Swept uploads", expired=expired, removed=removed)

    async def _swept(self, store: Store) -> int:
        try:
            return await self._discard_rubbish(store)
        except (StoreUnavailableError, ValueError) as error:  # down, or configured wrongly: the others are swept
            log.warning("Store not swept", reason=str(error))
            return 0

    async def _discard_rubbish(self, store: Store) -> int:
        # Listed before the database is asked: whatever was staged by then had its task already.
        staged = await store.staged()
        removed = 0
        for start in range(0, len(staged), _PAGE):
            page_ids = staged[start : start + _PAGE]
            active = {row["object_id"] for row in await self._database.fetch(QUERIES["active_among"], page_ids)}
            for object_id in set(page_ids) - active:
                await store.discard(object_id)
                removed += 1
        return removed

    async def delete_object(self, payload: dict[str, Any]) -> None:
        """Do the job `delete_object`: its bytes go after the transaction that dropped it has committed."""
        store, object_id = await self._stores.of(UUID(payload["pool_id"])), payload["object_id"]
        for variant in VARIANTS:  # recorded or not: a crash may have come between writing and recording it
            await store.delete(f"{object_id}.{variant}")
        await store.delete(object_id)
