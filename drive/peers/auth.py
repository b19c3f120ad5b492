"""AuthService and PermissionService of the stand-in for `pass`."""

from drive.errors import invalid
from drive.peers.accounts import account_message
from drive.peers.answers import Context, moment_in, string_value, text_in, timestamp, value, value_in
from drive.peers.world import Permission, Session, World
from drive.proto import auth_pb2 as wire
from drive.proto.auth_pb2_grpc import AuthServiceServicer, PermissionServiceServicer

CAPTCHA = "captcha-token"
"""The answer to every captcha."""


class BadTokenError(Exception):
    """A token that opens no session. The message is the original's, word for word."""


class AuthPeer(AuthServiceServicer):
    """Answers who is behind a token."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def Authenticate(self, request: wire.AuthenticateRequest, context: Context) -> wire.AuthenticateResponse:
        """Answer with the session, or with what is wrong with the token."""
        try:
            session = self._session(request.token)
        except BadTokenError as problem:
            return wire.AuthenticateResponse(valid=False, message=str(problem))
        return wire.AuthenticateResponse(valid=True, session=self._message(session, text_in(request, "ip_address")))

    def _session(self, token: str) -> Session:
        if not token:
            raise BadTokenError("No token provided.")
        if token not in self._world.tokens:
            raise BadTokenError("Invalid token.")
        session = self._world.sessions.get(self._world.tokens[token])
        if session is None:
            raise BadTokenError("Session was not found.")
        if session.has_expired():
            raise BadTokenError("Session has been expired.")
        if session.account_id not in self._world.accounts:
            raise BadTokenError("Authentication error.")
        return session

    def _message(self, session: Session, ip_address: str | None) -> wire.AuthSession:
        return wire.AuthSession(
            id=session.id,
            last_granted_at=timestamp(session.created_at),
            expired_at=timestamp(session.expired_at),
            account_id=session.account_id,
            account=account_message(self._world, self._world.accounts[session.account_id]),
            client=wire.AuthClient(
                id=session.id, platform=wire.UNIDENTIFIED, device_id=session.id, account_id=session.account_id
            ),
            scopes=["*"],
            ip_address=string_value(ip_address),
            type=wire.LOGIN,
        )

    async def ValidatePin(self, request: wire.ValidatePinRequest, context: Context) -> wire.ValidateResponse:
        """Compare with the account's pin."""
        return wire.ValidateResponse(valid=self._world.account(request.account_id).pin == request.pin)

    async def ValidateCaptcha(self, request: wire.ValidateCaptchaRequest, context: Context) -> wire.ValidateResponse:
        """Take the one answer that every captcha here has."""
        return wire.ValidateResponse(valid=request.token == CAPTCHA)


class PermissionPeer(PermissionServiceServicer):
    """Answers what actors may do. A request that names no type of actor means an account."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def HasPermission(self, request: wire.HasPermissionRequest, context: Context) -> wire.HasPermissionResponse:
        """Answer false where nothing is known."""
        found = self._world.permission(request.actor, request.key, request.type)
        return wire.HasPermissionResponse(has_permission=found is not None and bool(found.value))

    async def GetPermission(self, request: wire.GetPermissionRequest, context: Context) -> wire.GetPermissionResponse:
        """Answer with the value, which is unset where nothing is known."""
        found = self._world.permission(request.actor, request.key, request.type)
        return wire.GetPermissionResponse(value=None if found is None else value(found.value))

    async def AddPermissionNode(
        self, request: wire.AddPermissionNodeRequest, context: Context
    ) -> wire.AddPermissionNodeResponse:
        """Grant something to an actor."""
        return wire.AddPermissionNodeResponse(node=self._add(request, ""))

    async def AddPermissionNodeToGroup(
        self, request: wire.AddPermissionNodeToGroupRequest, context: Context
    ) -> wire.AddPermissionNodeToGroupResponse:
        """Grant something to an actor, as a part of a group."""
        if not request.group.id:
            raise invalid("group", "must have an id")
        return wire.AddPermissionNodeToGroupResponse(node=self._add(request, request.group.id))

    def _add(
        self, request: wire.AddPermissionNodeRequest | wire.AddPermissionNodeToGroupRequest, group_id: str
    ) -> wire.PermissionNode:
        if not (request.actor and request.key):
            raise invalid("actor, key", "must both be given")
        node = Permission(
            request.actor,
            request.key,
            value_in(request.value),
            request.type,
            group_id,
            affected_at=moment_in(request, "affected_at"),
            expired_at=moment_in(request, "expired_at"),
        )
        self._world.permissions.append(node)
        return _message(node)

    async def RemovePermissionNode(
        self, request: wire.RemovePermissionNodeRequest, context: Context
    ) -> wire.RemovePermissionNodeResponse:
        """Take back what was granted to an actor outside any group."""
        return wire.RemovePermissionNodeResponse(success=self._remove(request.actor, request.key, ""))

    async def RemovePermissionNodeFromGroup(
        self, request: wire.RemovePermissionNodeFromGroupRequest, context: Context
    ) -> wire.RemovePermissionNodeFromGroupResponse:
        """Take back what was granted to an actor as a part of a group."""
        removed = self._remove(request.actor, request.key, request.group.id)
        return wire.RemovePermissionNodeFromGroupResponse(success=removed)

    def _remove(self, actor: str, key: str, group_id: str) -> bool:
        granted = self._world.permissions
        kept = [it for it in granted if (it.actor, it.key, it.group_id) != (actor, key, group_id)]
        is_shorter = len(kept) < len(granted)
        granted[:] = kept
        return is_shorter


def _message(node: Permission) -> wire.PermissionNode:
    return wire.PermissionNode(
        id=node.id,
        actor=node.actor,
        type=wire.GROUP if node.actor_type == wire.GROUP else wire.ACCOUNT,
        key=node.key,
        value=value(node.value),
        expired_at=timestamp(node.expired_at),
        affected_at=timestamp(node.affected_at),
        group_id=node.group_id,
    )
