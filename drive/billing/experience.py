"""Points for the first upload of a day."""

from datetime import date
from typing import Any
from uuid import UUID

import structlog

from drive.billing.service import QUERIES
from drive.clients.errors import RefusedError, UnconfirmedError
from drive.clients.experiences import ExperiencesClient
from drive.db.database import Database
from drive.errors import unavailable

log = structlog.get_logger()

_KIND = "drive.upload"


class Experience:
    """Gives accounts their points, at most once a day.

    Pass does not know a repeated call for what it is. That it was asked is written before it is, so that a worker that
    is killed meanwhile leaves the points perhaps not given, but never given twice. Asked again is only where the call
    failed as UNAVAILABLE, which means in all but rare cases that it never arrived.
    """

    def __init__(self, database: Database, experiences: ExperiencesClient) -> None:
        self._database = database
        self._experiences = experiences

    async def give(self, payload: dict[str, Any]) -> None:
        """Do the job `give_experience`.

        Raises:
            DriveError: UNAVAILABLE; the job is tried again.

        """
        account_id, day = UUID(payload["account_id"]), date.fromisoformat(payload["day"])
        points = await self._database.fetchval(QUERIES["ask_experience"], account_id, day)
        if points is None:  # a worker was killed in the middle
            _log_unconfirmed(account_id, day, "asked before")
            return
        try:
            await self._experiences.give(account_id, points, kind=_KIND, reason=f"First upload of {day}")
        except (RefusedError, UnconfirmedError) as error:
            if isinstance(error, UnconfirmedError) and error.status == "UNAVAILABLE":
                await self._database.execute(QUERIES["unask_experience"], account_id, day)
                raise unavailable("The service 'pass'") from error
            _log_unconfirmed(account_id, day, str(error))
        await self._database.execute(QUERIES["forget_experience"], account_id)


def _log_unconfirmed(account_id: UUID, day: date, reason: str) -> None:
    log.warning("Experience unconfirmed", account_id=str(account_id), day=str(day), reason=reason)
