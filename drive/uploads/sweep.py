"""What uploads leave behind, and who removes it."""

from typing import Any

import structlog

from drive.db.database import Database
from drive.storage.interfaces import Store
from drive.uploads.service import QUERIES

log = structlog.get_logger()

_PAGE = 500


class Sweep:
    """Ends uploads that have expired, and removes staged bytes that no upload in progress owns."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    async def __call__(self) -> None:
        """Sweep once. Any number of workers may do so at the same time."""
        expired = 0
        while page := await self._database.fetch(QUERIES["expire"], _PAGE):
            expired += len(page)
        # Listed before the database is asked: whatever was staged by then had its task already.
        staged = await self._store.staged()
        removed = 0
        for start in range(0, len(staged), _PAGE):
            page_ids = staged[start : start + _PAGE]
            active = {row["id"] for row in await self._database.fetch(QUERIES["active_among"], page_ids)}
            for upload_id in set(page_ids) - active:
                await self._store.discard(upload_id)
                removed += 1
        if expired or removed:
            log.info("Swept uploads", expired=expired, removed=removed)

    async def delete_object(self, payload: dict[str, Any]) -> None:
        """Do the job `delete_object`: its bytes go after the transaction that dropped it has committed."""
        await self._store.delete(payload["object_id"])
