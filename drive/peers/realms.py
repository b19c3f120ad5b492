"""RealmService of the stand-in for `pass`."""

from collections.abc import Callable

from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import BoolValue

from drive.errors import invalid, not_found
from drive.peers.accounts import account_message
from drive.peers.answers import Context
from drive.peers.basics import uuid_in
from drive.peers.world import Notification, Realm, World
from drive.proto import realm_pb2 as wire
from drive.proto.realm_pb2_grpc import RealmServiceServicer

SEARCH_LIMIT = 10


def _message(realm: Realm) -> wire.Realm:
    return wire.Realm(
        id=realm.id,
        name=realm.name,
        slug=realm.slug,
        is_community=realm.is_community,
        is_public=realm.is_public,
        description=realm.description,
        account_id=realm.owner_id,
    )


class RealmPeer(RealmServiceServicer):
    """Answers which realms there are, and who belongs to them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _realm(self, name: str, realm_id: str) -> Realm:
        found = self._world.realms.get(uuid_in(name, realm_id))
        if found is None:
            raise not_found(f"realm {realm_id}")
        return found

    def _where(self, holds: Callable[[Realm], bool]) -> list[Realm]:
        return sorted(filter(holds, self._world.realms.values()), key=lambda realm: realm.name)

    async def GetRealm(self, request: wire.GetRealmRequest, context: Context) -> wire.Realm:
        """Answer with a realm by its id or its slug."""
        match request.WhichOneof("query"):
            case "id":
                return _message(self._realm("id", request.id))
            case "slug":
                return _message(self._with_slug(request.slug))
        raise invalid("query", "id or slug must be given")

    def _with_slug(self, slug: str) -> Realm:
        found = self._where(lambda realm: realm.slug == slug)
        if not found:
            raise not_found(f"realm {slug}")
        return found[0]

    async def GetRealmBatch(self, request: wire.GetRealmBatchRequest, context: Context) -> wire.GetRealmBatchResponse:
        """Answer with those that exist, in the order asked."""
        canonical = [uuid_in("ids", realm_id) for realm_id in request.ids]
        known = [self._world.realms[it] for it in canonical if it in self._world.realms]
        return wire.GetRealmBatchResponse(realms=map(_message, known))

    async def GetUserRealms(self, request: wire.GetUserRealmsRequest, context: Context) -> wire.GetUserRealmsResponse:
        """Answer with the ids of the realms that an account has joined."""
        account_id = self._world.account(request.account_id).id
        joined = self._where(lambda realm: account_id in realm.members and realm.members[account_id].has_joined())
        return wire.GetUserRealmsResponse(realm_ids=[realm.id for realm in joined])

    async def GetPublicRealms(
        self, request: wire.GetPublicRealmsRequest, context: Context
    ) -> wire.GetPublicRealmsResponse:
        """Answer with the public ones, always by name."""
        return wire.GetPublicRealmsResponse(realms=map(_message, self._where(lambda realm: realm.is_public)))

    async def SearchRealms(self, request: wire.SearchRealmsRequest, context: Context) -> wire.GetPublicRealmsResponse:
        """Answer with the public ones whose name or slug contains the query."""
        wanted = request.query.casefold()
        found = self._where(lambda it: it.is_public and (wanted in it.name.casefold() or wanted in it.slug.casefold()))
        limit = request.limit if request.limit > 0 else SEARCH_LIMIT
        return wire.GetPublicRealmsResponse(realms=map(_message, found[:limit]))

    async def SendInviteNotify(self, request: wire.SendInviteNotifyRequest, context: Context) -> Empty:
        """Notify an account of its invitation, which Ring's record then shows."""
        realm = self._realm("member.realm_id", request.member.realm_id)
        account = self._world.account(request.member.account_id, "member.account_id")
        self._world.notifications.append(Notification(account.id, "invites.realms", f"Join {realm.name}"))
        return Empty()

    async def IsMemberWithRole(self, request: wire.IsMemberWithRoleRequest, context: Context) -> BoolValue:
        """Answer whether an account is a member whose role is at least the highest of those required.

        Where none is required it is false, so that a caller names the role it means: 0 is that of any member.
        """
        account_id = uuid_in("account_id", request.account_id)
        realm = self._world.realms.get(uuid_in("realm_id", request.realm_id))
        member = realm.members.get(account_id) if realm else None
        if member is None or not member.has_joined() or not request.required_roles:
            return BoolValue(value=False)
        return BoolValue(value=member.role >= max(request.required_roles))

    async def LoadMemberAccount(self, request: wire.LoadMemberAccountRequest, context: Context) -> wire.RealmMember:
        """Answer with the member and its account."""
        return self._with_account(request.member)

    async def LoadMemberAccounts(
        self, request: wire.LoadMemberAccountsRequest, context: Context
    ) -> wire.LoadMemberAccountsResponse:
        """Answer with the members and their accounts."""
        return wire.LoadMemberAccountsResponse(members=map(self._with_account, request.members))

    def _with_account(self, member: wire.RealmMember) -> wire.RealmMember:
        account = self._world.account(member.account_id, "member.account_id")
        member.account.CopyFrom(account_message(self._world, account))
        return member
