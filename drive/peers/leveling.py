"""SocialCreditService and ExperienceService of the stand-in for `pass`."""

import math

from drive.errors import invalid
from drive.peers.answers import Context, moment_in, timestamp
from drive.peers.world import Record, World
from drive.proto import leveling_pb2 as wire
from drive.proto.leveling_pb2_grpc import ExperienceServiceServicer, SocialCreditServiceServicer

EXPERIENCE_LIMIT = 2**31 - 1
"""What a profile's field can carry."""


class SocialCreditPeer(SocialCreditServiceServicer):
    """Keeps the credits of accounts."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def AddRecord(self, request: wire.AddSocialCreditRecordRequest, context: Context) -> wire.SocialCreditRecord:
        """Give or take credits, until they expire where that is given."""
        if not math.isfinite(request.delta):
            raise invalid("delta", "must be a finite number")
        account = self._world.account(request.account_id)
        expired_at = moment_in(request, "expired_at")
        record = Record(account.id, request.delta, request.reason_type, request.reason, expired_at)
        self._world.credit_records.append(record)
        return wire.SocialCreditRecord(
            id=record.id,
            reason_type=record.reason_type,
            reason=record.reason,
            delta=record.delta,
            account_id=record.account_id,
            created_at=timestamp(record.created_at),
            updated_at=timestamp(record.created_at),
        )

    async def GetSocialCredit(
        self, request: wire.GetSocialCreditRequest, context: Context
    ) -> wire.SocialCreditResponse:
        """Answer with an account's sum."""
        account = self._world.account(request.account_id)
        return wire.SocialCreditResponse(amount=self._world.social_credits(account.id))


class ExperiencePeer(ExperienceServiceServicer):
    """Keeps the experience of accounts."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def AddRecord(self, request: wire.AddExperienceRecordRequest, context: Context) -> wire.ExperienceRecord:
        """Give or take experience, never below zero."""
        account = self._world.account(request.account_id)
        account.experience = min(max(0, account.experience + request.delta), EXPERIENCE_LIMIT)
        record = Record(account.id, request.delta, request.reason_type, request.reason)
        self._world.experience_records.append(record)
        return wire.ExperienceRecord(
            id=record.id,
            reason_type=record.reason_type,
            reason=record.reason,
            delta=request.delta,
            bonus_multiplier=1.0,
            account_id=record.account_id,
            created_at=timestamp(record.created_at),
            updated_at=timestamp(record.created_at),
        )
