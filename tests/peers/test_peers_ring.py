import json
from collections.abc import AsyncIterator

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc import StatusCode
from peers_support import Live, live_peers, refused

from drive.peers.seed import ADMIN_ID, PLAIN_ID, SUBSCRIBER_ID
from drive.peers.world import KEPT, Packet, World
from drive.proto import ring_pb2 as wire


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    async with live_peers() as live:
        yield live


def packet(kind: str) -> wire.WebSocketPacket:
    return wire.WebSocketPacket(type=kind, data=b'{"progress": 0.5}')


async def test_packets_for_users_and_devices_are_remembered(live: Live) -> None:
    ring, a, b = live.ring, PLAIN_ID, ADMIN_ID
    await ring.PushWebSocketPacket(wire.PushWebSocketPacketRequest(user_id=a, packet=packet("one")))
    await ring.PushWebSocketPacketToUsers(wire.PushWebSocketPacketToUsersRequest(user_ids=[a, b], packet=packet("two")))
    await ring.PushWebSocketPacketToDevice(
        wire.PushWebSocketPacketToDeviceRequest(device_id="phone", packet=packet("three"))
    )
    await ring.PushWebSocketPacketToDevices(
        wire.PushWebSocketPacketToDevicesRequest(device_ids=["phone", "desk"], packet=packet("four"))
    )
    assert [(it.type, it.user_id, it.device_id) for it in live.world.packets] == [
        ("one", a, ""),
        ("two", a, ""),
        ("two", b, ""),
        ("three", "", "phone"),
        ("four", "", "phone"),
        ("four", "", "desk"),
    ]
    assert json.loads(live.world.packets[0].data) == {"progress": 0.5}
    assert live.world.packets[0].error_message is None


async def test_a_packet_may_carry_an_error(live: Live) -> None:
    failed = wire.WebSocketPacket(type="error", error_message=StringValue(value="Too large"))
    await live.ring.PushWebSocketPacket(wire.PushWebSocketPacketRequest(user_id=PLAIN_ID, packet=failed))
    assert live.world.packets[-1].error_message == "Too large"


async def test_notifications_are_remembered(live: Live) -> None:
    notification = wire.PushNotification(
        topic="drive.tasks", title="Done", body="Uploaded", meta=b"{}", is_savable=True
    )
    await live.ring.SendPushNotificationToUser(
        wire.SendPushNotificationToUserRequest(user_id=PLAIN_ID, notification=notification)
    )
    await live.ring.SendPushNotificationToUsers(
        wire.SendPushNotificationToUsersRequest(user_ids=[SUBSCRIBER_ID, ADMIN_ID], notification=notification)
    )
    assert [it.user_id for it in live.world.notifications] == [PLAIN_ID, SUBSCRIBER_ID, ADMIN_ID]
    last = live.world.notifications[-1]
    assert (last.topic, last.title, last.body, last.meta) == ("drive.tasks", "Done", "Uploaded", b"{}")
    assert (last.action_uri, last.is_silent, last.is_savable) == (None, False, True)


async def test_one_bad_recipient_refuses_all(live: Live) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        await live.ring.SendPushNotificationToUsers(
            wire.SendPushNotificationToUsersRequest(user_ids=[PLAIN_ID, "plain"])
        )
    with refused(StatusCode.INVALID_ARGUMENT):
        await live.ring.PushWebSocketPacketToUsers(wire.PushWebSocketPacketToUsersRequest(user_ids=[PLAIN_ID, ""]))
    assert not live.world.notifications
    assert not live.world.packets


async def test_emails_are_remembered(live: Live) -> None:
    email = wire.EmailMessage(to_name="Plain", to_address="plain@example.org", subject="Hello", body="World")
    await live.ring.SendEmail(wire.SendEmailRequest(email=email))
    assert live.world.emails[-1].to_address == "plain@example.org"
    with refused(StatusCode.INVALID_ARGUMENT):
        await live.ring.SendEmail(wire.SendEmailRequest())


async def test_connections(live: Live) -> None:
    live.world.online.add("phone")
    ask = wire.GetWebsocketConnectionStatusRequest
    assert (await live.ring.GetWebsocketConnectionStatus(ask(user_id=PLAIN_ID))).is_connected
    assert (await live.ring.GetWebsocketConnectionStatus(ask(device_id="phone"))).is_connected
    await live.ring.UnsubscribePushNotifications(wire.UnsubscribePushNotificationsRequest(device_id="phone"))
    assert live.world.unsubscribed == {"phone"}
    assert (await live.ring.GetWebsocketConnectionStatus(ask(device_id="phone"))).is_connected
    live.world.online.discard("phone")
    assert not (await live.ring.GetWebsocketConnectionStatus(ask(device_id="phone"))).is_connected
    with refused(StatusCode.INVALID_ARGUMENT):
        await live.ring.GetWebsocketConnectionStatus(ask())
    batch = wire.GetWebsocketConnectionStatusBatchRequest(users_id=[PLAIN_ID, "nobody"])
    answer = await live.ring.GetWebsocketConnectionStatusBatch(batch)
    assert dict(answer.is_connected) == {PLAIN_ID: True, "nobody": False}


def test_only_the_newest_are_kept() -> None:
    world = World()
    world.packets.extend(Packet(str(number), b"") for number in range(KEPT + 5))
    assert (len(world.packets), world.packets[0].type) == (KEPT, "5")
