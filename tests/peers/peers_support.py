"""Running stand-ins with a real stub for each of the ten services."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import grpc
import grpc.aio
import pytest

from drive.peers import Peers, World, serve_peers
from drive.proto.account_pb2_grpc import AccountServiceStub, ActionLogServiceStub
from drive.proto.auth_pb2_grpc import AuthServiceStub, PermissionServiceStub
from drive.proto.leveling_pb2_grpc import ExperienceServiceStub, SocialCreditServiceStub
from drive.proto.realm_pb2_grpc import RealmServiceStub
from drive.proto.ring_pb2_grpc import RingServiceStub
from drive.proto.wallet_pb2_grpc import PaymentServiceStub, WalletServiceStub

NOBODY_ID = "99999999-9999-4999-8999-999999999999"


@dataclass(frozen=True, slots=True)
class Live:
    """Both servers, and a stub for each service."""

    peers: Peers
    auth: AuthServiceStub
    permissions: PermissionServiceStub
    accounts: AccountServiceStub
    action_logs: ActionLogServiceStub
    payments: PaymentServiceStub
    wallets: WalletServiceStub
    realms: RealmServiceStub
    social_credits: SocialCreditServiceStub
    experiences: ExperienceServiceStub
    ring: RingServiceStub

    @property
    def world(self) -> World:
        """What the servers know."""
        return self.peers.world


@asynccontextmanager
async def live_peers() -> AsyncIterator[Live]:
    """Start both servers and open a channel to each."""
    async with serve_peers() as peers, channel_to(peers.pass_url) as to_pass, channel_to(peers.ring_url) as to_ring:
        yield Live(
            peers,
            AuthServiceStub(to_pass),
            PermissionServiceStub(to_pass),
            AccountServiceStub(to_pass),
            ActionLogServiceStub(to_pass),
            PaymentServiceStub(to_pass),
            WalletServiceStub(to_pass),
            RealmServiceStub(to_pass),
            SocialCreditServiceStub(to_pass),
            ExperienceServiceStub(to_pass),
            RingServiceStub(to_ring),
        )


def channel_to(url: str) -> grpc.aio.Channel:
    """Open a channel to a server by its address."""
    return grpc.aio.insecure_channel(url.removeprefix("http://"))


@contextmanager
def refused(code: grpc.StatusCode) -> Iterator[None]:
    """Expect the call inside to fail with this status."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        yield
    assert raised.value.code() is code, raised.value.details()


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for something that another task brings about."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not so within {timeout_s} s"
        await asyncio.sleep(0.01)
