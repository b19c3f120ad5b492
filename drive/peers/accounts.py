"""AccountService and ActionLogService of the stand-in for `pass`."""

from collections.abc import Callable, Iterable
from datetime import timedelta

from google.protobuf.wrappers_pb2 import BoolValue

from drive.errors import invalid, not_found
from drive.peers.answers import Context, page, string_value, text_in, timestamp, values, values_in
from drive.peers.basics import uuid_in
from drive.peers.seed import FRIENDS
from drive.peers.world import Account, ActionLog, Perk, World
from drive.proto import account_pb2 as wire
from drive.proto import wallet_pb2
from drive.proto.account_pb2_grpc import AccountServiceServicer, ActionLogServiceServicer

EXPERIENCE_PER_LEVEL = 1_000
PERK_PERIOD = timedelta(days=30)


def account_message(world: World, account: Account) -> wire.Account:
    """Return an account as the wire has it."""
    created_at = timestamp(account.created_at)
    return wire.Account(
        id=account.id,
        name=account.name,
        nick=account.nick or account.name,
        language="en",
        region="EU",
        activated_at=created_at,
        is_superuser=account.is_superuser,
        profile=_profile(world, account),
        perk_subscription=_perk(account, account.perk) if account.perk and account.perk.is_active else None,
        automated_id=string_value(account.automated_id),
        created_at=created_at,
        updated_at=created_at,
    )


def _profile(world: World, account: Account) -> wire.AccountProfile:
    level, remainder = divmod(account.experience, EXPERIENCE_PER_LEVEL)
    return wire.AccountProfile(
        id=account.id,
        account_id=account.id,
        experience=account.experience,
        level=level,
        leveling_progress=remainder / EXPERIENCE_PER_LEVEL,
        social_credits=world.social_credits(account.id),
        created_at=timestamp(account.created_at),
        updated_at=timestamp(account.created_at),
    )


def _perk(account: Account, perk: Perk) -> wallet_pb2.SubscriptionReferenceObject:
    begun_at = timestamp(perk.begun_at)
    return wallet_pb2.SubscriptionReferenceObject(
        id=account.id,
        identifier=perk.identifier,
        begun_at=begun_at,
        is_active=True,
        is_available=True,
        status=wallet_pb2.SUBSCRIPTION_STATUS_ACTIVE,
        base_price=perk.price,
        final_price=perk.price,
        renewal_at=timestamp(perk.begun_at + PERK_PERIOD),
        account_id=account.id,
        display_name=perk.display_name or None,
        created_at=begun_at,
        updated_at=begun_at,
    )


class AccountPeer(AccountServiceServicer):
    """Answers what accounts are. What the real `pass` leaves UNIMPLEMENTED is so here too."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _messages(self, accounts: Iterable[Account]) -> list[wire.Account]:
        return [account_message(self._world, account) for account in accounts]

    def _where(self, holds: Callable[[Account], bool]) -> list[Account]:
        return sorted(filter(holds, self._world.accounts.values()), key=lambda account: account.name)

    def _known(self, ids: Iterable[str]) -> list[Account]:
        """Return the accounts in the order asked, without those that nobody has."""
        canonical = [uuid_in("id", account_id) for account_id in ids]
        return [self._world.accounts[it] for it in canonical if it in self._world.accounts]

    async def GetAccount(self, request: wire.GetAccountRequest, context: Context) -> wire.Account:
        """Answer with an account."""
        return account_message(self._world, self._world.account(request.id, "id"))

    async def GetBotAccount(self, request: wire.GetBotAccountRequest, context: Context) -> wire.Account:
        """Answer with a bot's account."""
        wanted = uuid_in("automated_id", request.automated_id)
        found = self._where(lambda account: account.automated_id == wanted)
        if not found:
            raise not_found(f"bot account {wanted}")
        return account_message(self._world, found[0])

    async def GetAccountBatch(
        self, request: wire.GetAccountBatchRequest, context: Context
    ) -> wire.GetAccountBatchResponse:
        """Answer with those that exist."""
        return wire.GetAccountBatchResponse(accounts=self._messages(self._known(request.id)))

    async def GetBotAccountBatch(
        self, request: wire.GetBotAccountBatchRequest, context: Context
    ) -> wire.GetAccountBatchResponse:
        """Answer with those that exist."""
        wanted = {uuid_in("automated_id", it) for it in request.automated_id}
        found = self._where(lambda account: account.automated_id in wanted)
        return wire.GetAccountBatchResponse(accounts=self._messages(found))

    async def LookupAccountBatch(
        self, request: wire.LookupAccountBatchRequest, context: Context
    ) -> wire.GetAccountBatchResponse:
        """Answer with those that have one of the names."""
        wanted = set(request.names)
        found = self._where(lambda account: account.name in wanted)
        return wire.GetAccountBatchResponse(accounts=self._messages(found))

    async def SearchAccount(self, request: wire.SearchAccountRequest, context: Context) -> wire.GetAccountBatchResponse:
        """Answer with those whose name or nick contains the query."""
        return wire.GetAccountBatchResponse(accounts=self._messages(self._matching(request.query)))

    def _matching(self, query: str) -> list[Account]:
        wanted = query.casefold()
        return self._where(lambda account: wanted in account.name.casefold() or wanted in account.nick.casefold())

    async def ListAccounts(self, request: wire.ListAccountsRequest, context: Context) -> wire.ListAccountsResponse:
        """Answer with a page of those that the filter matches, by name."""
        part = page(self._matching(request.filter), request.page_size, request.page_token)
        return wire.ListAccountsResponse(
            accounts=self._messages(part.items), next_page_token=part.next_token, total_size=part.total
        )

    async def GetAccountStatus(self, request: wire.GetAccountRequest, context: Context) -> wire.AccountStatus:
        """Answer whether an account is connected."""
        return self._status(self._world.account(request.id, "id"))

    async def GetAccountStatusBatch(
        self, request: wire.GetAccountBatchRequest, context: Context
    ) -> wire.GetAccountStatusBatchResponse:
        """Answer which of those that exist are connected."""
        return wire.GetAccountStatusBatchResponse(statuses=map(self._status, self._known(request.id)))

    def _status(self, account: Account) -> wire.AccountStatus:
        is_online = account.id in self._world.online
        return wire.AccountStatus(id=account.id, account_id=account.id, attitude=wire.NEUTRAL, is_online=is_online)

    async def GetRelationship(
        self, request: wire.GetRelationshipRequest, context: Context
    ) -> wire.GetRelationshipResponse:
        """Answer with a relationship, or without where there is none."""
        return wire.GetRelationshipResponse(relationship=self._relationship(request))

    async def HasRelationship(self, request: wire.GetRelationshipRequest, context: Context) -> BoolValue:
        """Answer whether there is one."""
        return BoolValue(value=self._relationship(request) is not None)

    def _relationship(self, request: wire.GetRelationshipRequest) -> wire.Relationship | None:
        account = self._world.account(request.account_id)
        related = self._world.account(request.related_id, "related_id")
        status = self._world.relationships.get((account.id, related.id))
        if status is None or (request.HasField("status") and request.status != status):
            return None
        return wire.Relationship(account_id=account.id, related_id=related.id, status=status)

    async def ListFriends(
        self, request: wire.ListRelationshipSimpleRequest, context: Context
    ) -> wire.ListRelationshipSimpleResponse:
        """Answer with the ids of an account's friends."""
        return wire.ListRelationshipSimpleResponse(accounts_id=self._related(request, FRIENDS))

    async def ListBlocked(
        self, request: wire.ListRelationshipSimpleRequest, context: Context
    ) -> wire.ListRelationshipSimpleResponse:
        """Answer with the ids of those that an account blocks, or that block it, by the side that is given."""
        return wire.ListRelationshipSimpleResponse(accounts_id=self._related(request, -FRIENDS))

    def _related(self, request: wire.ListRelationshipSimpleRequest, status: int) -> list[str]:
        side = request.WhichOneof("relation_identifier")
        if side is None:
            raise invalid("relation_identifier", "account_id or related_id must be given")
        wanted = self._world.account(getattr(request, side), side).id
        here, there = (0, 1) if side == "account_id" else (1, 0)
        found = self._world.relationships.items()
        return [pair[there] for pair, has_status in found if pair[here] == wanted and has_status == status]


class ActionLogPeer(ActionLogServiceServicer):
    """Keeps the trail of what accounts did."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def CreateActionLog(
        self, request: wire.CreateActionLogRequest, context: Context
    ) -> wire.CreateActionLogResponse:
        """Add an entry."""
        if not request.action:
            raise invalid("action", "must be given")
        log = ActionLog(
            self._world.account(request.account_id).id,
            request.action,
            values_in(request.meta),
            user_agent=text_in(request, "user_agent"),
            ip_address=text_in(request, "ip_address"),
            location=text_in(request, "location"),
            session_id=text_in(request, "session_id"),
        )
        self._world.action_logs.append(log)
        return wire.CreateActionLogResponse(action_log=_log_message(log))

    async def ListActionLogs(
        self, request: wire.ListActionLogsRequest, context: Context
    ) -> wire.ListActionLogsResponse:
        """Answer with a page of an account's entries, newest first, of one action where one is given."""
        account = self._world.account(request.account_id)
        found = [
            log
            for log in reversed(self._world.action_logs)
            if log.account_id == account.id and request.action in {"", log.action}
        ]
        part = page(found, request.page_size, request.page_token)
        return wire.ListActionLogsResponse(
            action_logs=map(_log_message, part.items), next_page_token=part.next_token, total_size=part.total
        )


def _log_message(log: ActionLog) -> wire.ActionLog:
    return wire.ActionLog(
        id=log.id,
        action=log.action,
        meta=values(log.meta),
        user_agent=string_value(log.user_agent),
        ip_address=string_value(log.ip_address),
        location=string_value(log.location),
        account_id=log.account_id,
        session_id=string_value(log.session_id),
        created_at=timestamp(log.created_at),
    )
