"""Who is asking, what they may do and what they pay for."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from drive.cache.cache import Cache
from drive.clients.errors import translated
from drive.lazy import load

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from drive.proto.account_pb2_grpc import AccountServiceStub
    from drive.proto.auth_pb2_grpc import AuthServiceStub, PermissionServiceStub

_TIERS = {"solian.stellar.primary": 1, "solian.stellar.nova": 2, "solian.stellar.supernova": 3}


@dataclass(frozen=True, slots=True)
class Account:
    """Whose request this is."""

    id: UUID
    name: str
    is_superuser: bool
    expires_at: datetime | None = None
    """When the session behind the token ends, if pass says."""


class AccountsClient:
    """AuthService, PermissionService and AccountService of pass."""

    def __init__(
        self,
        auth: "AuthServiceStub",
        permissions: "PermissionServiceStub",
        accounts: "AccountServiceStub",
        cache: Cache,
    ) -> None:
        self._auth = auth
        self._permissions = permissions
        self._accounts = accounts
        self._cache = cache

    async def authenticate(self, token: str, ip_address: str | None) -> Account | None:
        """Return whose token this is, None if it is nobody's or no longer valid.

        Raises:
            DriveError: UNAVAILABLE, when pass cannot say.

        """
        await load("drive.proto.auth_pb2")
        from google.protobuf.wrappers_pb2 import StringValue

        from drive.proto.auth_pb2 import AuthenticateRequest

        request = AuthenticateRequest(token=token, ip_address=StringValue(value=ip_address) if ip_address else None)
        with _pass():
            answer = await self._auth.Authenticate(request)
        if not answer.valid or not answer.HasField("session"):
            return None
        session = answer.session
        return Account(
            id=UUID(session.account_id or session.account.id),
            name=session.account.name,
            is_superuser=session.account.is_superuser,
            expires_at=session.expired_at.ToDatetime(UTC) if session.HasField("expired_at") else None,
        )

    async def has_permission(self, account_id: UUID, key: str) -> bool:
        """Tell whether the account may do this.

        Raises:
            DriveError: UNAVAILABLE, when pass cannot say.

        """
        await load("drive.proto.auth_pb2")
        from drive.proto.auth_pb2 import HasPermissionRequest

        with _pass():
            answer = await self._permissions.HasPermission(HasPermissionRequest(actor=str(account_id), key=key))
        return answer.has_permission

    async def tier(self, account_id: UUID) -> int:
        """Return the account's subscription tier, 0 to 3, as of at most one cache lifetime ago.

        Raises:
            DriveError: UNAVAILABLE, when pass cannot say.

        """
        return await self._cache.get_or_load(f"tier:{account_id}", int, lambda: self._ask_tier(account_id))

    async def _ask_tier(self, account_id: UUID) -> int:
        await load("drive.proto.account_pb2")
        from drive.proto.account_pb2 import GetAccountRequest

        with _pass():
            account = await self._accounts.GetAccount(GetAccountRequest(id=str(account_id)))
        if not account.HasField("perk_subscription"):
            return 0
        return _TIERS.get(account.perk_subscription.identifier, 0)


def _pass() -> "AbstractContextManager[None]":
    return translated("pass")
