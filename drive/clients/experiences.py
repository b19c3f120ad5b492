"""Points that accounts gather."""

from typing import TYPE_CHECKING
from uuid import UUID

from drive.clients.errors import sent_once
from drive.lazy import load

if TYPE_CHECKING:
    from drive.proto.leveling_pb2_grpc import ExperienceServiceStub


class ExperiencesClient:
    """ExperienceService of pass."""

    def __init__(self, experiences: "ExperienceServiceStub") -> None:
        self._experiences = experiences

    async def give(self, account_id: UUID, points: int, *, kind: str, reason: str) -> None:
        """Give an account points. Given twice, they are there twice.

        Raises:
            RefusedError: they were not given.
            UnconfirmedError: they may have been.

        """
        await load("drive.proto.leveling_pb2")
        from drive.proto.leveling_pb2 import AddExperienceRecordRequest

        request = AddExperienceRecordRequest(reason_type=kind, reason=reason, delta=points, account_id=str(account_id))
        with sent_once("pass"):
            await self._experiences.AddRecord(request)
