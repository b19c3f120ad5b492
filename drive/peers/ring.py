"""RingService of the stand-in for `ring`: it delivers nothing and remembers everything."""

from collections.abc import Iterable

from google.protobuf.empty_pb2 import Empty

from drive.errors import invalid
from drive.peers.answers import Context, text_in
from drive.peers.basics import uuid_in
from drive.peers.world import Email, Notification, Packet, World
from drive.proto import ring_pb2 as wire
from drive.proto.ring_pb2_grpc import RingServiceServicer


class RingPeer(RingServiceServicer):
    """Takes what is sent, one record for each recipient."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def SendEmail(self, request: wire.SendEmailRequest, context: Context) -> Empty:
        """Take an e-mail."""
        email = request.email
        if not email.to_address:
            raise invalid("email.to_address", "must be given")
        self._world.emails.append(Email(email.to_name, email.to_address, email.subject, email.body))
        return Empty()

    async def PushWebSocketPacket(self, request: wire.PushWebSocketPacketRequest, context: Context) -> Empty:
        """Take a packet for a user."""
        return self._push_to_users([request.user_id], request.packet)

    async def PushWebSocketPacketToUsers(
        self, request: wire.PushWebSocketPacketToUsersRequest, context: Context
    ) -> Empty:
        """Take a packet for several users."""
        return self._push_to_users(request.user_ids, request.packet)

    async def PushWebSocketPacketToDevice(
        self, request: wire.PushWebSocketPacketToDeviceRequest, context: Context
    ) -> Empty:
        """Take a packet for a device."""
        return self._push_to_devices([request.device_id], request.packet)

    async def PushWebSocketPacketToDevices(
        self, request: wire.PushWebSocketPacketToDevicesRequest, context: Context
    ) -> Empty:
        """Take a packet for several devices."""
        return self._push_to_devices(request.device_ids, request.packet)

    def _push_to_users(self, user_ids: Iterable[str], packet: wire.WebSocketPacket) -> Empty:
        users = [uuid_in("user_id", user_id) for user_id in user_ids]
        self._world.packets.extend([_packet(packet, user_id=user_id) for user_id in users])
        return Empty()

    def _push_to_devices(self, device_ids: Iterable[str], packet: wire.WebSocketPacket) -> Empty:
        self._world.packets.extend([_packet(packet, device_id=device_id) for device_id in device_ids])
        return Empty()

    async def SendPushNotificationToUser(
        self, request: wire.SendPushNotificationToUserRequest, context: Context
    ) -> Empty:
        """Take a notification for a user."""
        return self._notify([request.user_id], request.notification)

    async def SendPushNotificationToUsers(
        self, request: wire.SendPushNotificationToUsersRequest, context: Context
    ) -> Empty:
        """Take a notification for several users."""
        return self._notify(request.user_ids, request.notification)

    def _notify(self, user_ids: Iterable[str], notification: wire.PushNotification) -> Empty:
        users = [uuid_in("user_id", user_id) for user_id in user_ids]
        self._world.notifications.extend([_notification(user_id, notification) for user_id in users])
        return Empty()

    async def UnsubscribePushNotifications(
        self, request: wire.UnsubscribePushNotificationsRequest, context: Context
    ) -> Empty:
        """Remember that a device wants no more notifications."""
        self._world.unsubscribed.add(request.device_id)
        return Empty()

    async def GetWebsocketConnectionStatus(
        self, request: wire.GetWebsocketConnectionStatusRequest, context: Context
    ) -> wire.GetWebsocketConnectionStatusResponse:
        """Answer whether a device or a user is connected."""
        kind = request.WhichOneof("id")
        if kind is None:
            raise invalid("id", "device_id or user_id must be given")
        is_connected = getattr(request, kind) in self._world.online
        return wire.GetWebsocketConnectionStatusResponse(is_connected=is_connected)

    async def GetWebsocketConnectionStatusBatch(
        self, request: wire.GetWebsocketConnectionStatusBatchRequest, context: Context
    ) -> wire.GetWebsocketConnectionStatusBatchResponse:
        """Answer which of the users are connected."""
        online = self._world.online
        return wire.GetWebsocketConnectionStatusBatchResponse(
            is_connected={user_id: user_id in online for user_id in request.users_id}
        )


def _packet(packet: wire.WebSocketPacket, *, user_id: str = "", device_id: str = "") -> Packet:
    return Packet(packet.type, packet.data, user_id, device_id, text_in(packet, "error_message"))


def _notification(user_id: str, notification: wire.PushNotification) -> Notification:
    return Notification(
        user_id,
        notification.topic,
        notification.title,
        notification.subtitle,
        notification.body,
        notification.meta if notification.HasField("meta") else None,
        text_in(notification, "action_uri"),
        notification.is_silent,
        notification.is_savable,
    )
