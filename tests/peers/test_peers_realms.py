import math
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from peers_support import NOBODY_ID, Live, live_peers, refused

from drive.peers.answers import timestamp
from drive.peers.basics import now
from drive.peers.seed import ADMIN_ID, PLAIN_ID, REALM_ID, SUBSCRIBER_ID
from drive.peers.world import Member, Realm
from drive.proto import account_pb2, leveling_pb2, realm_pb2


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    async with live_peers() as live:
        yield live


async def is_member(live: Live, account_id: str, *roles: int, realm_id: str = REALM_ID) -> bool:
    request = realm_pb2.IsMemberWithRoleRequest(realm_id=realm_id, account_id=account_id, required_roles=roles)
    return (await live.realms.IsMemberWithRole(request)).value


@pytest.mark.parametrize(
    ("account_id", "roles", "expected"),
    [
        (PLAIN_ID, [0], True),
        (PLAIN_ID, [50], False),
        (PLAIN_ID, [], False),
        (ADMIN_ID, [0], True),
        (ADMIN_ID, [0, 100], True),
        (SUBSCRIBER_ID, [0], False),
        (NOBODY_ID, [0], False),
    ],
)
async def test_who_is_a_member_with_which_role(live: Live, account_id: str, roles: list[int], expected: bool) -> None:
    assert await is_member(live, account_id, *roles) is expected


async def test_an_unknown_realm_has_no_members(live: Live) -> None:
    assert not await is_member(live, PLAIN_ID, 0, realm_id=NOBODY_ID)
    with refused(StatusCode.INVALID_ARGUMENT):
        await is_member(live, PLAIN_ID, 0, realm_id="garden")


async def test_only_who_has_joined_and_not_left_is_a_member(live: Live) -> None:
    members = live.world.realms[REALM_ID].members
    members[SUBSCRIBER_ID] = Member(SUBSCRIBER_ID, 0, joined_at=None)
    assert not await is_member(live, SUBSCRIBER_ID, 0)
    members[SUBSCRIBER_ID].joined_at = now()
    assert await is_member(live, SUBSCRIBER_ID, 0)
    members[SUBSCRIBER_ID].leave_at = now()
    assert not await is_member(live, SUBSCRIBER_ID, 0)


async def test_realms_are_found_by_id_and_by_slug(live: Live) -> None:
    by_id = await live.realms.GetRealm(realm_pb2.GetRealmRequest(id=REALM_ID))
    by_slug = await live.realms.GetRealm(realm_pb2.GetRealmRequest(slug="garden"))
    assert by_id == by_slug
    assert by_id.account_id == ADMIN_ID
    with refused(StatusCode.NOT_FOUND):
        await live.realms.GetRealm(realm_pb2.GetRealmRequest(slug="desert"))
    with refused(StatusCode.NOT_FOUND):
        await live.realms.GetRealm(realm_pb2.GetRealmRequest(id=NOBODY_ID))
    with refused(StatusCode.INVALID_ARGUMENT):
        await live.realms.GetRealm(realm_pb2.GetRealmRequest())


async def test_lists_of_realms(live: Live) -> None:
    secret = Realm("Secret garden", "secret", PLAIN_ID, is_public=False)
    live.world.realms[secret.id] = secret
    public = await live.realms.GetPublicRealms(realm_pb2.GetPublicRealmsRequest())
    found = await live.realms.SearchRealms(realm_pb2.SearchRealmsRequest(query="GARD"))
    batch = await live.realms.GetRealmBatch(realm_pb2.GetRealmBatchRequest(ids=[secret.id, NOBODY_ID, REALM_ID]))
    mine = await live.realms.GetUserRealms(realm_pb2.GetUserRealmsRequest(account_id=PLAIN_ID))
    assert [realm.slug for realm in public.realms] == [realm.slug for realm in found.realms] == ["garden"]
    assert [realm.slug for realm in batch.realms] == ["secret", "garden"]
    assert list(mine.realm_ids) == [REALM_ID]


async def test_members_are_loaded_with_their_accounts(live: Live) -> None:
    member = realm_pb2.RealmMember(account_id=PLAIN_ID, realm_id=REALM_ID, role=0)
    one = await live.realms.LoadMemberAccount(realm_pb2.LoadMemberAccountRequest(member=member))
    more = await live.realms.LoadMemberAccounts(realm_pb2.LoadMemberAccountsRequest(members=[member, member]))
    assert one.account.name == "plain"
    assert list(more.members) == [one, one]


async def test_an_invitation_notifies(live: Live) -> None:
    member = realm_pb2.RealmMember(account_id=SUBSCRIBER_ID, realm_id=REALM_ID)
    await live.realms.SendInviteNotify(realm_pb2.SendInviteNotifyRequest(member=member))
    assert live.world.notifications[-1].user_id == SUBSCRIBER_ID


async def credits_of(live: Live, account_id: str) -> float:
    request = leveling_pb2.GetSocialCreditRequest(account_id=account_id)
    return (await live.social_credits.GetSocialCredit(request)).amount


async def test_credits_add_up_until_they_expire(live: Live) -> None:
    add = leveling_pb2.AddSocialCreditRecordRequest(account_id=PLAIN_ID, delta=-2.5, reason="Spam")
    record = await live.social_credits.AddRecord(add)
    assert (record.delta, record.reason) == (-2.5, "Spam")
    assert await credits_of(live, PLAIN_ID) == 97.5
    add.expired_at.CopyFrom(timestamp(now() - timedelta(seconds=1)) or Timestamp())
    await live.social_credits.AddRecord(add)
    assert await credits_of(live, PLAIN_ID) == 97.5
    assert await credits_of(live, ADMIN_ID) == 100


async def test_credits_that_make_no_sense(live: Live) -> None:
    request = leveling_pb2.AddSocialCreditRecordRequest(account_id=PLAIN_ID, delta=math.nan)
    with refused(StatusCode.INVALID_ARGUMENT):
        await live.social_credits.AddRecord(request)
    forever = Timestamp(seconds=10**15)
    request = leveling_pb2.AddSocialCreditRecordRequest(account_id=PLAIN_ID, delta=1, expired_at=forever)
    with refused(StatusCode.INVALID_ARGUMENT):
        await live.social_credits.AddRecord(request)
    with refused(StatusCode.NOT_FOUND):
        await credits_of(live, NOBODY_ID)


async def test_experience_shows_in_the_profile(live: Live) -> None:
    add = leveling_pb2.AddExperienceRecordRequest(account_id=PLAIN_ID, delta=1250, reason_type="upload")
    record = await live.experiences.AddRecord(add)
    assert (record.delta, record.bonus_multiplier) == (1250, 1)
    profile = (await live.accounts.GetAccount(account_pb2.GetAccountRequest(id=PLAIN_ID))).profile
    assert (profile.experience, profile.level, profile.leveling_progress) == (1250, 1, 0.25)
    assert live.world.experience_records[-1].reason_type == "upload"
