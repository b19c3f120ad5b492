"""The job `fold`: what has changed in folders is added up."""

from typing import Any
from uuid import UUID

from drive.db.database import Database
from drive.upkeep.recycling import QUERIES

_PAGE = 500


class FolderCounts:
    """Keeps the rows few that say how many files a folder has: each change adds some, whoever lists adds them up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fold(self, _payload: dict[str, Any]) -> None:
        """Make one row of those of each folder that has changed, and none of an empty one, page by page."""
        await self.fold_of(None)

    async def fold_of(self, account_id: UUID | None) -> None:
        """Do so for one account, or for all."""
        while await self._database.fetchval(QUERIES["fold_folder_counts"], account_id, _PAGE) == _PAGE:
            pass
