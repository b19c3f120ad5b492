"""Packets and notifications to an account's devices."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from drive.lazy import load

if TYPE_CHECKING:
    from drive.proto.ring_pb2_grpc import RingServiceStub


class RingClient:
    """RingService of ring."""

    def __init__(self, ring: "RingServiceStub") -> None:
        self._ring = ring

    async def push(self, account_id: UUID, kind: str, data: dict[str, Any]) -> None:
        """Send a packet to all connected devices of an account.

        Raises:
            grpc.aio.AioRpcError: it could not be handed over.

        """
        await load("drive.proto.ring_pb2")
        from drive.proto.ring_pb2 import PushWebSocketPacketRequest, WebSocketPacket

        packet = WebSocketPacket(type=kind, data=msgspec.json.encode(data))
        await self._ring.PushWebSocketPacket(PushWebSocketPacketRequest(user_id=str(account_id), packet=packet))

    async def notify(self, account_id: UUID, topic: str, *, title: str, subtitle: str, body: str) -> None:
        """Send a notification to all devices of an account; ring keeps it for those that are not connected.

        Raises:
            grpc.aio.AioRpcError: it could not be handed over.

        """
        await load("drive.proto.ring_pb2")
        from drive.proto.ring_pb2 import PushNotification, SendPushNotificationToUserRequest

        notification = PushNotification(topic=topic, title=title, subtitle=subtitle, body=body, is_savable=True)
        await self._ring.SendPushNotificationToUser(
            SendPushNotificationToUserRequest(user_id=str(account_id), notification=notification)
        )
