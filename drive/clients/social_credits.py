"""How well an account is thought of."""

from typing import TYPE_CHECKING
from uuid import UUID

from drive.cache.cache import Cache
from drive.clients.errors import translated
from drive.lazy import load

if TYPE_CHECKING:
    from drive.proto.leveling_pb2_grpc import SocialCreditServiceStub


class SocialCreditsClient:
    """SocialCreditService of pass."""

    def __init__(self, social_credits: "SocialCreditServiceStub", cache: Cache) -> None:
        self._social_credits = social_credits
        self._cache = cache

    async def of(self, account_id: UUID) -> float:
        """Return the account's social credits, as of at most one cache lifetime ago.

        Raises:
            DriveError: UNAVAILABLE, when pass cannot say.

        """
        return await self._cache.get_or_load(f"credits:{account_id}", float, lambda: self._ask(account_id))

    async def _ask(self, account_id: UUID) -> float:
        await load("drive.proto.leveling_pb2")
        from drive.proto.leveling_pb2 import GetSocialCreditRequest

        with translated("pass"):
            answer = await self._social_credits.GetSocialCredit(GetSocialCreditRequest(account_id=str(account_id)))
        return answer.amount
