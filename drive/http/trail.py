"""Who has destroyed what, for the audit trail."""

from typing import Any
from uuid import UUID

import structlog
from aiohttp import web

from drive.clients.action_logs import ActionLogsClient
from drive.clients.outbox import Outbox
from drive.http.auth import account_of

log = structlog.get_logger()

_USER_AGENT_MOST_CHARS = 512


class Trail:
    """Tells pass of destructive actions, beside the requests. What pass does not take stays in our log alone."""

    def __init__(self, action_logs: ActionLogsClient, outbox: Outbox) -> None:
        self._action_logs = action_logs
        self._outbox = outbox

    def note(self, request: web.Request, action: str, **meta: Any) -> None:
        """Note what the request's account has done; `meta` is JSON."""
        account_id, ip_address = account_of(request).id, request.remote
        user_agent = request.headers.get("User-Agent", "").encode(errors="replace").decode()[:_USER_AGENT_MOST_CHARS]

        async def send() -> None:
            await self._action_logs.create(account_id, action, meta, ip_address=ip_address, user_agent=user_agent)

        self._outbox.post("action logs", send, lambda reason: _dropped(account_id, action, meta, reason))


def _dropped(account_id: UUID, action: str, meta: dict[str, Any], reason: str) -> None:
    log.warning("Action log entry dropped", account_id=str(account_id), action=action, meta=meta, reason=reason)
