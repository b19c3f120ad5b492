"""A service and its wiring, with nothing wrong."""

from dataclasses import dataclass

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Singleton

from drive.lazy import Channels, Lazy, Once, Stub
from drive.proto.account_pb2_grpc import AccountServiceStub
from drive.proto.ring_pb2_grpc import RingServiceStub

ACCOUNTS = "drive.proto.account_pb2_grpc:AccountServiceStub"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the service finds what it needs."""

    accounts_endpoint: str = "http://127.0.0.1:5001"
    database_url: str = "postgresql://127.0.0.1/names"
    deadline_s: float = 5.0


class Pool:
    """Stands for asyncpg's."""

    async def fetch(self, query: str) -> list[str]:
        """Return rows."""
        return [query]


async def open_pool(*, url: str) -> Pool:
    """Connect."""
    del url
    return Pool()


async def close_pool(pool: Pool) -> None:
    """Disconnect."""
    del pool


class Greeter:
    """Depends on the generated stub's type and on a `Lazy`: it knows nothing of containers."""

    def __init__(self, accounts: AccountServiceStub, pool: Lazy[Pool]) -> None:
        self.accounts = accounts
        self.pool = pool


class Container(DeclarativeContainer):
    """Only stubs need an annotation: what names their class is a string, which imports nothing."""

    settings = Singleton(Settings)
    channels = Singleton(Channels, max_connections=2)
    accounts: Stub[AccountServiceStub] = Stub(
        ACCOUNTS, channels, endpoint=settings.provided.accounts_endpoint, timeout_s=settings.provided.deadline_s
    )
    ring: Stub[RingServiceStub] = Stub(
        "drive.proto.ring_pb2_grpc:RingServiceStub", channels, endpoint="http://127.0.0.1:5002", timeout_s=5
    )
    pool = Once(open_pool, close=close_pool, url=settings.provided.database_url)
    greeter = Singleton(Greeter, accounts, pool)
