"""The audit trail of what accounts did."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from drive.lazy import load

if TYPE_CHECKING:
    from drive.proto.account_pb2_grpc import ActionLogServiceStub


class ActionLogsClient:
    """ActionLogService of pass."""

    def __init__(self, action_logs: "ActionLogServiceStub") -> None:
        self._action_logs = action_logs

    async def create(
        self,
        account_id: UUID,
        action: str,
        meta: Mapping[str, Any],
        *,
        ip_address: str | None,
        user_agent: str | None,
    ) -> None:
        """Add an entry; `meta` is JSON.

        Raises:
            grpc.aio.AioRpcError: it could not be handed over.

        """
        await load("drive.proto.account_pb2")
        from google.protobuf.struct_pb2 import Struct
        from google.protobuf.wrappers_pb2 import StringValue

        from drive.proto.account_pb2 import CreateActionLogRequest

        values = Struct()
        values.update(meta)
        request = CreateActionLogRequest(
            account_id=str(account_id),
            action=action,
            meta=values.fields,
            ip_address=StringValue(value=ip_address) if ip_address else None,
            user_agent=StringValue(value=user_agent) if user_agent else None,
        )
        await self._action_logs.CreateActionLog(request)
