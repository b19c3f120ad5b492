"""Who belongs to which realm."""

from typing import TYPE_CHECKING
from uuid import UUID

from drive.cache.cache import Cache
from drive.clients.errors import translated
from drive.lazy import load

if TYPE_CHECKING:
    from drive.proto.realm_pb2_grpc import RealmServiceStub

_ANY_MEMBER = 0  # the least role that a member has; pass takes an empty list for nobody


class RealmsClient:
    """RealmService of pass."""

    def __init__(self, realms: "RealmServiceStub", cache: Cache) -> None:
        self._realms = realms
        self._cache = cache

    async def is_member(self, realm_id: UUID, account_id: UUID) -> bool:
        """Tell whether the account has joined the realm, as of at most one cache lifetime ago.

        Raises:
            DriveError: UNAVAILABLE, when pass cannot say.

        """
        key = f"member:{realm_id}:{account_id}"
        return await self._cache.get_or_load(key, bool, lambda: self._ask(realm_id, account_id))

    async def _ask(self, realm_id: UUID, account_id: UUID) -> bool:
        await load("drive.proto.realm_pb2")
        from drive.proto.realm_pb2 import IsMemberWithRoleRequest

        request = IsMemberWithRoleRequest(
            realm_id=str(realm_id), account_id=str(account_id), required_roles=[_ANY_MEMBER]
        )
        with translated("pass"):
            return (await self._realms.IsMemberWithRole(request)).value
