"""The job `purge`: rows that were only marked as deleted, and what has ended long ago."""

from typing import Any

import structlog

from drive.db.database import Database
from drive.upkeep.recycling import QUERIES

log = structlog.get_logger()

_PAGE = 500


class Purge:
    """Removes rows for good, those first that others refer to.

    Args:
        database: where they are.
        deleted_after_s: how long what was deleted is kept.
        ended_after_s: how long uploads that have ended, and jobs that have failed, are kept.

    """

    def __init__(self, database: Database, *, deleted_after_s: float, ended_after_s: float) -> None:
        self._database = database
        self._after_s = {
            "files": deleted_after_s,
            "uploads": ended_after_s,
            "bundles": deleted_after_s,
            "quota_records": deleted_after_s,
            "pools": deleted_after_s,
            "jobs": ended_after_s,
        }

    async def purge(self, _payload: dict[str, Any]) -> None:
        """Remove all such rows, page by page."""
        counts = {name: await self._purged(name, after_s) for name, after_s in self._after_s.items()}
        if any(counts.values()):
            log.info("Purged rows", **counts)

    async def _purged(self, name: str, after_s: float) -> int:
        count = 0
        while page := await self._database.fetch(QUERIES[f"purge_{name}"], after_s, _PAGE):
            count += len(page)
        return count
