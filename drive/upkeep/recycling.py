"""The job `recycle`: what nobody uses goes into the recycle bin."""

from typing import Any

import structlog

from drive.db.database import Database
from drive.db.queries import load_queries

log = structlog.get_logger()

QUERIES = load_queries(__package__)

_PAGE = 500


class UnusedFiles:
    """Marks old files that are in no folder and no bundle, and that nobody refers to, in the pools that want it.

    Only marks: their owners see them in their recycle bin, and may take them out again.
    """

    def __init__(self, database: Database, *, after_s: float) -> None:
        self._database = database
        self._after_s = after_s

    async def recycle(self, _payload: dict[str, Any]) -> None:
        """Go through all such pools, page by page."""
        pools = await self._database.fetch(QUERIES["recycling_pools"])
        count = sum([await self._recycle_in(row["id"]) for row in pools])
        if count:
            log.info("Recycled unused files", count=count)

    async def _recycle_in(self, pool_id: Any) -> int:
        count, after_id = 0, ""
        while True:
            async with self._database.transaction() as connection:
                rows = await connection.fetch(QUERIES["lock_page"], pool_id, after_id, self._after_s, _PAGE)
                ids = [row["id"] for row in rows]
                count += len(await connection.fetch(QUERIES["recycle_unused"], ids))
            if len(ids) < _PAGE:
                return count
            after_id = ids[-1]
