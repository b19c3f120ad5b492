from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from google.protobuf.struct_pb2 import Value
from google.protobuf.wrappers_pb2 import StringValue
from grpc import StatusCode
from peers_support import NOBODY_ID, Live, live_peers, refused

from drive.peers import Account, Perk
from drive.peers.answers import timestamp, values, values_in
from drive.peers.basics import fresh_id, now
from drive.peers.seed import ADMIN_ID, EXPIRED, PLAIN_ID, REALM_ID, SUBSCRIBER_ID, TOKENS
from drive.proto import account_pb2, auth_pb2


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    async with live_peers() as live:
        yield live


@pytest.mark.parametrize(
    ("name", "account_id", "is_superuser", "perk"),
    [
        ("plain", PLAIN_ID, False, ""),
        ("subscriber", SUBSCRIBER_ID, False, "solian.stellar.nova"),
        ("admin", ADMIN_ID, True, ""),
    ],
)
async def test_each_account_has_a_token(live: Live, name: str, account_id: str, is_superuser: bool, perk: str) -> None:
    request = auth_pb2.AuthenticateRequest(token=f"{name}-token", ip_address=StringValue(value="192.0.2.1"))
    answer = await live.auth.Authenticate(request)
    account = answer.session.account
    assert answer.valid
    assert not answer.HasField("message")
    assert (account.id, account.name, account.is_superuser) == (account_id, name, is_superuser)
    assert account.perk_subscription.identifier == perk
    assert account.HasField("perk_subscription") == bool(perk)
    assert answer.session.account_id == account_id
    assert answer.session.ip_address.value == "192.0.2.1"


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "No token provided."),
        ("made-up", "Invalid token."),
        (EXPIRED, "Session has been expired."),
        ("revoked", "Session was not found."),
        ("orphaned", "Authentication error."),
    ],
)
async def test_a_bad_token_is_an_answer_and_not_a_failure(live: Live, token: str, message: str) -> None:
    live.world.tokens["revoked"] = "a session that was ended"
    orphan = live.world.add(Account("orphan"), "orphaned")
    del live.world.accounts[orphan.id]
    answer = await live.auth.Authenticate(auth_pb2.AuthenticateRequest(token=token))
    assert not answer.valid
    assert answer.message == message
    assert not answer.HasField("session")


async def test_a_test_can_add_accounts_and_change_them(live: Live) -> None:
    live.world.add(Account("new"), "new-token")
    live.world.named("new").perk = Perk("solian.stellar.primary")
    answer = await live.auth.Authenticate(auth_pb2.AuthenticateRequest(token="new-token"))
    assert answer.session.account.perk_subscription.identifier == "solian.stellar.primary"
    assert answer.session.account.perk_subscription.is_active


async def test_pin_and_captcha(live: Live) -> None:
    right = await live.auth.ValidatePin(auth_pb2.ValidatePinRequest(account_id=PLAIN_ID, pin="123456"))
    wrong = await live.auth.ValidatePin(auth_pb2.ValidatePinRequest(account_id=PLAIN_ID, pin="654321"))
    captcha = await live.auth.ValidateCaptcha(auth_pb2.ValidateCaptchaRequest(token="captcha-token"))
    assert (right.valid, wrong.valid, captcha.valid) == (True, False, True)


async def has(live: Live, actor: str, key: str) -> bool:
    answer = await live.permissions.HasPermission(auth_pb2.HasPermissionRequest(actor=actor, key=key))
    return answer.has_permission


@pytest.mark.parametrize("account_id", [PLAIN_ID, SUBSCRIBER_ID, ADMIN_ID])
async def test_every_account_may_create_files(live: Live, account_id: str) -> None:
    assert await has(live, account_id, "files.create")


async def test_only_the_admin_may_do_anything(live: Live) -> None:
    assert await has(live, ADMIN_ID, "files.purge")
    assert not await has(live, PLAIN_ID, "files.purge")
    assert not await has(live, "nobody", "files.create")


async def test_permissions_are_granted_and_taken_back(live: Live) -> None:
    live.world.forbid(PLAIN_ID, "files.create")
    assert not await has(live, PLAIN_ID, "files.create")
    live.world.grant(PLAIN_ID, "files.*")
    assert await has(live, PLAIN_ID, "files.create")


async def test_permission_nodes_over_the_wire(live: Live) -> None:
    add = auth_pb2.AddPermissionNodeRequest(actor=PLAIN_ID, key="files.limit", value=Value(number_value=3))
    added = await live.permissions.AddPermissionNode(add)
    assert added.node.actor == PLAIN_ID
    get = auth_pb2.GetPermissionRequest(actor=PLAIN_ID, key="files.limit")
    assert (await live.permissions.GetPermission(get)).value.number_value == 3
    remove = auth_pb2.RemovePermissionNodeRequest(actor=PLAIN_ID, key="files.limit")
    assert (await live.permissions.RemovePermissionNode(remove)).success
    assert not (await live.permissions.RemovePermissionNode(remove)).success
    assert not (await live.permissions.GetPermission(get)).HasField("value")


async def test_permission_nodes_of_a_group_are_apart(live: Live) -> None:
    group = auth_pb2.PermissionGroup(id=REALM_ID)
    add = auth_pb2.AddPermissionNodeToGroupRequest(
        group=group, actor="everyone", type=auth_pb2.GROUP, key="read", value=Value(bool_value=True)
    )
    added = await live.permissions.AddPermissionNodeToGroup(add)
    assert (added.node.group_id, added.node.type) == (REALM_ID, auth_pb2.GROUP)
    ask = auth_pb2.HasPermissionRequest(actor="everyone", key="read")
    assert not (await live.permissions.HasPermission(ask)).has_permission
    ask.type = auth_pb2.GROUP
    assert (await live.permissions.HasPermission(ask)).has_permission
    alone = auth_pb2.RemovePermissionNodeRequest(actor="everyone", key="read")
    assert not (await live.permissions.RemovePermissionNode(alone)).success
    remove = auth_pb2.RemovePermissionNodeFromGroupRequest(group=group, actor="everyone", key="read")
    assert (await live.permissions.RemovePermissionNodeFromGroup(remove)).success


@pytest.mark.parametrize(("begins_in_s", "ends_in_s", "granted"), [(-9, 9, True), (9, 99, False), (-99, -9, False)])
async def test_a_permission_holds_from_its_beginning_to_its_end(
    live: Live, begins_in_s: int, ends_in_s: int, granted: bool
) -> None:
    add = auth_pb2.AddPermissionNodeRequest(
        actor=PLAIN_ID,
        key="read",
        value=Value(bool_value=True),
        affected_at=timestamp(now() + timedelta(seconds=begins_in_s)),
        expired_at=timestamp(now() + timedelta(seconds=ends_in_s)),
    )
    await live.permissions.AddPermissionNode(add)
    assert await has(live, PLAIN_ID, "read") is granted


@pytest.mark.parametrize(
    ("account_id", "code"), [("7", StatusCode.INVALID_ARGUMENT), (NOBODY_ID, StatusCode.NOT_FOUND)]
)
async def test_an_account_that_is_not_there(live: Live, account_id: str, code: StatusCode) -> None:
    with refused(code):
        await live.accounts.GetAccount(account_pb2.GetAccountRequest(id=account_id))


async def test_an_account_that_is_there(live: Live) -> None:
    account = await live.accounts.GetAccount(account_pb2.GetAccountRequest(id=SUBSCRIBER_ID))
    assert account.name == "subscriber"
    assert account.perk_subscription.is_available


async def test_a_perk_that_is_over_is_not_shown(live: Live) -> None:
    live.world.accounts[SUBSCRIBER_ID].perk = Perk("solian.stellar.nova", is_active=False)
    account = await live.accounts.GetAccount(account_pb2.GetAccountRequest(id=SUBSCRIBER_ID))
    assert not account.HasField("perk_subscription")


async def test_batches_leave_out_who_is_not_there(live: Live) -> None:
    ids = account_pb2.GetAccountBatchRequest(id=[ADMIN_ID, NOBODY_ID, PLAIN_ID])
    found = await live.accounts.GetAccountBatch(ids)
    statuses = await live.accounts.GetAccountStatusBatch(ids)
    named = await live.accounts.LookupAccountBatch(account_pb2.LookupAccountBatchRequest(names=["admin", "nobody"]))
    assert [it.name for it in found.accounts] == ["admin", "plain"]
    assert [it.account_id for it in statuses.statuses] == [ADMIN_ID, PLAIN_ID]
    assert [it.id for it in named.accounts] == [ADMIN_ID]


async def test_bots_are_found_by_their_own_id(live: Live) -> None:
    bot = Account("bot", automated_id=fresh_id())
    live.world.accounts[bot.id] = bot
    request = account_pb2.GetBotAccountRequest(automated_id=bot.automated_id or "")
    assert (await live.accounts.GetBotAccount(request)).automated_id.value == bot.automated_id
    batch = account_pb2.GetBotAccountBatchRequest(automated_id=[request.automated_id, NOBODY_ID])
    assert [it.id for it in (await live.accounts.GetBotAccountBatch(batch)).accounts] == [bot.id]
    with refused(StatusCode.NOT_FOUND):
        await live.accounts.GetBotAccount(account_pb2.GetBotAccountRequest(automated_id=NOBODY_ID))


async def test_searching_and_paging(live: Live) -> None:
    found = await live.accounts.SearchAccount(account_pb2.SearchAccountRequest(query="SUB"))
    assert [it.name for it in found.accounts] == ["subscriber"]
    request = account_pb2.ListAccountsRequest(page_size=2)
    first = await live.accounts.ListAccounts(request)
    request.page_token = first.next_page_token
    second = await live.accounts.ListAccounts(request)
    assert [it.name for it in first.accounts] == ["admin", "plain"]
    assert [it.name for it in second.accounts] == ["subscriber"]
    assert (second.total_size, second.next_page_token) == (3, "")
    request.page_token = "elsewhere"
    with refused(StatusCode.INVALID_ARGUMENT):
        await live.accounts.ListAccounts(request)


async def test_who_is_online(live: Live) -> None:
    live.world.online.discard(PLAIN_ID)
    plain = await live.accounts.GetAccountStatus(account_pb2.GetAccountRequest(id=PLAIN_ID))
    admin = await live.accounts.GetAccountStatus(account_pb2.GetAccountRequest(id=ADMIN_ID))
    assert (plain.is_online, admin.is_online) == (False, True)


async def test_relationships(live: Live) -> None:
    live.world.relationships[SUBSCRIBER_ID, PLAIN_ID] = -100
    ask = account_pb2.GetRelationshipRequest(account_id=PLAIN_ID, related_id=ADMIN_ID)
    assert (await live.accounts.GetRelationship(ask)).relationship.status == 100
    assert (await live.accounts.HasRelationship(ask)).value
    ask.status = 0
    assert not (await live.accounts.HasRelationship(ask)).value
    friends = await live.accounts.ListFriends(account_pb2.ListRelationshipSimpleRequest(account_id=PLAIN_ID))
    blockers = await live.accounts.ListBlocked(account_pb2.ListRelationshipSimpleRequest(related_id=PLAIN_ID))
    blocked = await live.accounts.ListBlocked(account_pb2.ListRelationshipSimpleRequest(account_id=PLAIN_ID))
    assert [list(it.accounts_id) for it in (friends, blockers, blocked)] == [[ADMIN_ID], [SUBSCRIBER_ID], []]


async def test_what_the_original_leaves_out_is_left_out(live: Live) -> None:
    accounts = live.accounts
    with refused(StatusCode.UNIMPLEMENTED):
        await accounts.GetProfile(account_pb2.GetProfileRequest(account_id=PLAIN_ID))
    with refused(StatusCode.UNIMPLEMENTED):
        await accounts.ListContacts(account_pb2.ListContactsRequest(account_id=PLAIN_ID))
    with refused(StatusCode.UNIMPLEMENTED):
        await accounts.ListBadges(account_pb2.ListBadgesRequest(account_id=PLAIN_ID))
    with refused(StatusCode.UNIMPLEMENTED):
        await accounts.ListAuthFactors(account_pb2.ListAuthFactorsRequest(account_id=PLAIN_ID))
    with refused(StatusCode.UNIMPLEMENTED):
        await accounts.ListConnections(account_pb2.ListConnectionsRequest(account_id=PLAIN_ID))


async def test_action_logs_are_kept_and_listed_newest_first(live: Live) -> None:
    for action in ("files.delete", "files.purge", "files.delete"):
        request = account_pb2.CreateActionLogRequest(
            action=action, account_id=ADMIN_ID, meta=values({"files": ["a", None]}), user_agent=StringValue(value="ua")
        )
        created = (await live.action_logs.CreateActionLog(request)).action_log
        assert (created.action, created.user_agent.value, created.HasField("location")) == (action, "ua", False)
    listing = account_pb2.ListActionLogsRequest(account_id=ADMIN_ID, action="files.delete", page_size=1)
    listed = await live.action_logs.ListActionLogs(listing)
    assert (listed.total_size, listed.next_page_token) == (2, "1")
    assert listed.action_logs[0].id == created.id == live.world.action_logs[-1].id
    assert values_in(listed.action_logs[0].meta) == {"files": ["a", None]} == live.world.action_logs[-1].meta
    listing.account_id = PLAIN_ID
    assert not (await live.action_logs.ListActionLogs(listing)).action_logs


def test_the_tokens_are_those_that_the_documents_name() -> None:
    assert dict(TOKENS) == {"plain": "plain-token", "subscriber": "subscriber-token", "admin": "admin-token"}
