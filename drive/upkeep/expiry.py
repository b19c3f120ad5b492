"""The job `expire`: what its owner gave an end is deleted when that has come."""

from typing import Any

import structlog

from drive.db.database import Database
from drive.upkeep.recycling import QUERIES

log = structlog.get_logger()

_PAGE = 500


class Expiry:
    """Deletes files and references that have expired.

    Args:
        database: where they are.
        deletion: the statement that deletes a page of expired files, as it does all others.

    """

    def __init__(self, database: Database, deletion: str) -> None:
        self._database = database
        self._deletion = deletion

    async def expire(self, _payload: dict[str, Any]) -> None:
        """Delete all that has expired, page by page."""
        files = references = 0
        while page := await self._database.fetch(self._deletion):
            files += len(page)
        while page := await self._database.fetch(QUERIES["expire_references"], _PAGE):
            references += len(page)
        if files or references:
            log.info("Deleted what had expired", files=files, references=references)
