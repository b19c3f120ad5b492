"""Who belongs to a realm, as pass says."""

from collections.abc import AsyncIterator
from uuid import UUID

import grpc
import pytest
import pytest_asyncio

from drive.clients.realms import RealmsClient
from drive.containers import Container
from drive.errors import Code, DriveError
from drive.lazy import lifespan
from drive.peers import Fault, Peers
from drive.peers.seed import PLAIN_ID, REALM_ID, SUBSCRIBER_ID
from drive.settings import Settings

METHOD = "RealmService.IsMemberWithRole"
REALM, PLAIN, SUBSCRIBER = UUID(REALM_ID), UUID(PLAIN_ID), UUID(SUBSCRIBER_ID)


@pytest_asyncio.fixture
async def realms(settings: Settings) -> AsyncIterator[RealmsClient]:
    container = Container(settings=settings)
    async with lifespan(container):
        yield container.realms_client()


async def test_members_are_told_from_others(realms: RealmsClient) -> None:
    assert await realms.is_member(REALM, PLAIN) is True
    assert await realms.is_member(REALM, SUBSCRIBER) is False
    assert await realms.is_member(UUID(int=7), PLAIN) is False


async def test_pass_is_asked_once_for_each_of_them(realms: RealmsClient, peers: Peers) -> None:
    for _ in range(3):
        assert await realms.is_member(REALM, PLAIN)
        assert not await realms.is_member(REALM, SUBSCRIBER)
    assert peers.world.calls[METHOD] == 2


async def test_an_outage_is_no_membership_and_is_not_remembered(realms: RealmsClient, peers: Peers) -> None:
    peers.world.faults[METHOD] = Fault(code=grpc.StatusCode.INTERNAL)
    with pytest.raises(DriveError) as caught:
        await realms.is_member(REALM, PLAIN)
    assert caught.value.code is Code.UNAVAILABLE
    peers.world.faults.clear()
    assert await realms.is_member(REALM, PLAIN)
