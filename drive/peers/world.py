"""What the stand-ins know and what was asked of them, in memory and in words of its own."""

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import grpc

from drive.errors import not_found
from drive.peers.basics import fresh_id, now, uuid_in
from drive.peers.ledger import Ledger

KEPT = 10_000
"""How many packets, notifications, e-mails and log entries are remembered, the newest."""

BASE_SOCIAL_CREDITS = 100.0


@dataclass(slots=True)
class Perk:
    """A subscription; `identifier` names its tier."""

    identifier: str
    is_active: bool = True
    display_name: str = ""
    price: str = "10"
    begun_at: datetime = field(default_factory=now)


@dataclass(slots=True)
class Account:
    """Somebody who may have tokens; `automated_id` is only for bots."""

    name: str
    nick: str = ""
    id: str = field(default_factory=fresh_id)
    is_superuser: bool = False
    perk: Perk | None = None
    automated_id: str | None = None
    pin: str = "123456"
    experience: int = 0
    created_at: datetime = field(default_factory=now)


@dataclass(slots=True)
class Session:
    """What a token stands for."""

    account_id: str
    id: str = field(default_factory=fresh_id)
    expired_at: datetime | None = None
    created_at: datetime = field(default_factory=now)

    def has_expired(self) -> bool:
        """Tell whether its time is over."""
        return self.expired_at is not None and self.expired_at <= now()


@dataclass(slots=True)
class Permission:
    """What an actor may do, where the value is true. A `*` in the key stands for anything.

    `actor_type` is a number of the wire's `PermissionNodeActorType`.
    """

    actor: str
    key: str
    value: Any = True
    actor_type: int = 0
    group_id: str = ""
    id: str = field(default_factory=fresh_id)
    affected_at: datetime | None = None
    expired_at: datetime | None = None

    def is_in_force(self) -> bool:
        """Tell whether it has begun and has not ended."""
        moment = now()
        has_begun = self.affected_at is None or self.affected_at <= moment
        return has_begun and (self.expired_at is None or moment < self.expired_at)


@dataclass(slots=True)
class Member:
    """An account's place in a realm; somebody only invited has not joined."""

    account_id: str
    role: int
    joined_at: datetime | None = field(default_factory=now)
    leave_at: datetime | None = None

    def has_joined(self) -> bool:
        """Tell whether the account is in the realm now."""
        return self.joined_at is not None and self.leave_at is None


@dataclass(slots=True)
class Realm:
    """A group of accounts; `members` is by account id."""

    name: str
    slug: str
    owner_id: str
    id: str = field(default_factory=fresh_id)
    description: str = ""
    is_public: bool = True
    is_community: bool = True
    members: dict[str, Member] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """Credits or experience that an account gained, or lost where `delta` is negative."""

    account_id: str
    delta: float
    reason_type: str
    reason: str
    expired_at: datetime | None = None
    id: str = field(default_factory=fresh_id)
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class ActionLog:
    """One entry of the trail of what accounts did."""

    account_id: str
    action: str
    meta: dict[str, Any] = field(default_factory=dict)
    user_agent: str | None = None
    ip_address: str | None = None
    location: str | None = None
    session_id: str | None = None
    id: str = field(default_factory=fresh_id)
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet for the devices of a user, or for one device: the other of the two is empty."""

    type: str
    data: bytes
    user_id: str = ""
    device_id: str = ""
    error_message: str | None = None
    at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification for one user."""

    user_id: str
    topic: str
    title: str
    subtitle: str = ""
    body: str = ""
    meta: bytes | None = None
    action_uri: str | None = None
    is_silent: bool = False
    is_savable: bool = False
    at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class Email:
    """An e-mail that was not sent."""

    to_name: str
    to_address: str
    subject: str
    body: str
    at: datetime = field(default_factory=now)


@dataclass(slots=True)
class Fault:
    """What goes wrong with a method: it waits, and then fails if there is a code.

    `times` counts down with each call that it hits; without it, the fault stays until it is removed. Where `is_late`,
    the method does its work before: what is lost is the answer.
    """

    delay_s: float = 0.0
    code: grpc.StatusCode | None = None
    details: str = "Injected fault."
    times: int | None = None
    is_late: bool = False


@dataclass(slots=True)
class World:
    """Everything that both stand-ins share. Change it freely: the next call sees it.

    `accounts`, `sessions` and `realms` are by id, `tokens` lead to session ids, `relationships` go from the first
    account to the second, `online` has ids of users and devices, `unsubscribed` those of devices. `calls` and `faults`
    are by method, as in `AuthService.Authenticate`.
    """

    accounts: dict[str, Account] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    permissions: list[Permission] = field(default_factory=list)
    relationships: dict[tuple[str, str], int] = field(default_factory=dict)
    realms: dict[str, Realm] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    credit_records: list[Record] = field(default_factory=list)
    experience_records: deque[Record] = field(default_factory=lambda: deque(maxlen=KEPT))
    action_logs: deque[ActionLog] = field(default_factory=lambda: deque(maxlen=KEPT))
    online: set[str] = field(default_factory=set)
    unsubscribed: set[str] = field(default_factory=set)
    packets: deque[Packet] = field(default_factory=lambda: deque(maxlen=KEPT))
    notifications: deque[Notification] = field(default_factory=lambda: deque(maxlen=KEPT))
    emails: deque[Email] = field(default_factory=lambda: deque(maxlen=KEPT))
    calls: Counter[str] = field(default_factory=Counter)
    faults: dict[str, Fault] = field(default_factory=dict)

    def add(self, account: Account, token: str, *, expired_at: datetime | None = None) -> Account:
        """Add an account, or another token for one, and the session that the token opens."""
        session = Session(account.id, expired_at=expired_at)
        self.accounts[account.id] = account
        self.sessions[session.id] = session
        self.tokens[token] = session.id
        return account

    def account(self, account_id: str, name: str = "account_id") -> Account:
        """Return an account by its id, which the request calls `name`.

        Raises:
            DriveError: The id is no uuid, or nobody has it.

        """
        found = self.accounts.get(uuid_in(name, account_id))
        if found is None:
            raise not_found(f"account {account_id}")
        return found

    def named(self, name: str) -> Account:
        """Return the account with this name, which must exist."""
        return next(account for account in self.accounts.values() if account.name == name)

    def grant(self, account_id: str, key: str) -> None:
        """Let an account do something."""
        self.permissions.append(Permission(account_id, key))

    def forbid(self, account_id: str, key: str) -> None:
        """Take back what was granted under exactly this key."""
        self.permissions[:] = [it for it in self.permissions if (it.actor, it.key) != (account_id, key)]

    def permission(self, actor: str, key: str, actor_type: int = 0) -> Permission | None:
        """Find what covers the key for this actor; an exact key goes before a wildcard."""
        covering = [
            it
            for it in self.permissions
            if (it.actor, it.actor_type) == (actor, actor_type) and it.is_in_force() and fnmatchcase(key, it.key)
        ]
        return max(covering, key=lambda it: it.key == key, default=None)

    def social_credits(self, account_id: str) -> float:
        """Add up an account's credits that have not expired."""
        moment = now()
        return BASE_SOCIAL_CREDITS + sum(
            it.delta
            for it in self.credit_records
            if it.account_id == account_id and (it.expired_at is None or moment < it.expired_at)
        )
