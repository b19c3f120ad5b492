"""The world that development starts with: three accounts, their wallets, and one realm."""

from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

from drive.peers.ledger import Wallet
from drive.peers.world import Account, Member, Perk, Realm, World

PLAIN_ID = "11111111-1111-4111-8111-111111111111"
SUBSCRIBER_ID = "22222222-2222-4222-8222-222222222222"
ADMIN_ID = "33333333-3333-4333-8333-333333333333"
REALM_ID = "44444444-4444-4444-8444-444444444444"

TOKENS = MappingProxyType({"plain": "plain-token", "subscriber": "subscriber-token", "admin": "admin-token"})
"""The token that works for each account, by its name."""
EXPIRED = "expired-token"
"""A token of `plain` whose time is over."""

FRIENDS = 100
"""The status of a relationship between friends; its negative blocks."""
NORMAL_ROLE = 0
OWNER_ROLE = 100

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
CURRENCIES = ("points", "golds")


def development() -> World:
    """Return a new world with everything that development needs."""
    world = World()
    _add_accounts(world)
    _add_money(world)
    _add_company(world)
    return world


def _add_accounts(world: World) -> None:
    perk = Perk("solian.stellar.nova", display_name="Nova", begun_at=BEGINNING)
    plain = Account("plain", "Plain", PLAIN_ID, created_at=BEGINNING)
    world.add(plain, TOKENS["plain"])
    world.add(Account("subscriber", "Subscriber", SUBSCRIBER_ID, perk=perk, created_at=BEGINNING), TOKENS["subscriber"])
    world.add(Account("admin", "Admin", ADMIN_ID, is_superuser=True, created_at=BEGINNING), TOKENS["admin"])
    world.add(plain, EXPIRED, expired_at=BEGINNING)
    for account_id in world.accounts:
        world.grant(account_id, "files.create")
    world.grant(ADMIN_ID, "*")


def _add_money(world: World) -> None:
    for account_id, amount in ((PLAIN_ID, 100), (SUBSCRIBER_ID, 1_000), (ADMIN_ID, 10_000)):
        wallet = Wallet(account_id, id=_wallet_id(account_id))
        world.ledger.wallets[wallet.id] = wallet
        for currency in CURRENCIES:
            wallet.pocket(currency, Decimal(amount))


def _wallet_id(account_id: str) -> str:
    """Mark a wallet's id with an `a` in front, so that it is told at a glance from its account's."""
    return f"a{account_id[1:]}"


def _add_company(world: World) -> None:
    """Let the accounts be online, two of them friends, and these two members of a realm."""
    world.online.update(world.accounts)
    world.relationships[PLAIN_ID, ADMIN_ID] = world.relationships[ADMIN_ID, PLAIN_ID] = FRIENDS
    members = {ADMIN_ID: Member(ADMIN_ID, OWNER_ROLE, BEGINNING), PLAIN_ID: Member(PLAIN_ID, NORMAL_ROLE, BEGINNING)}
    world.realms[REALM_ID] = Realm("Garden", "garden", ADMIN_ID, REALM_ID, "A realm to share with.", members=members)
