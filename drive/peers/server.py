"""The two servers, on loopback only."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import grpc.aio
import structlog

from drive.peers.accounts import AccountPeer, ActionLogPeer
from drive.peers.auth import AuthPeer, PermissionPeer
from drive.peers.interceptor import Recorder
from drive.peers.leveling import ExperiencePeer, SocialCreditPeer
from drive.peers.realms import RealmPeer
from drive.peers.ring import RingPeer
from drive.peers.seed import development
from drive.peers.wallets import PaymentPeer, WalletPeer
from drive.peers.world import World
from drive.proto import account_pb2_grpc as account
from drive.proto import auth_pb2_grpc as auth
from drive.proto import leveling_pb2_grpc as leveling
from drive.proto import realm_pb2_grpc as realm
from drive.proto import ring_pb2_grpc as ring
from drive.proto import wallet_pb2_grpc as wallet

HOST = "127.0.0.1"
GRACE_S = 0.1
"""Enough for clients to be told properly; without any, gRPC complains into their logs."""
OPTIONS = (("grpc.so_reuseport", 0),)
"""By default two gRPC servers may listen on one port, and each would get some of the calls."""

Registration: TypeAlias = Callable[[World, grpc.aio.Server], None]

log = structlog.get_logger()


def add_pass(world: World, server: grpc.aio.Server) -> None:
    """Let a server answer for the nine services of `pass`."""
    auth.add_AuthServiceServicer_to_server(AuthPeer(world), server)
    auth.add_PermissionServiceServicer_to_server(PermissionPeer(world), server)
    account.add_AccountServiceServicer_to_server(AccountPeer(world), server)
    account.add_ActionLogServiceServicer_to_server(ActionLogPeer(world), server)
    wallet.add_PaymentServiceServicer_to_server(PaymentPeer(world), server)
    wallet.add_WalletServiceServicer_to_server(WalletPeer(world), server)
    realm.add_RealmServiceServicer_to_server(RealmPeer(world), server)
    leveling.add_SocialCreditServiceServicer_to_server(SocialCreditPeer(world), server)
    leveling.add_ExperienceServiceServicer_to_server(ExperiencePeer(world), server)


def add_ring(world: World, server: grpc.aio.Server) -> None:
    """Let a server answer for the one service of `ring`."""
    ring.add_RingServiceServicer_to_server(RingPeer(world), server)


class Peer:
    """One server, which can be stopped and started again on the same port.

    Args:
        name: for the log.
        world: what it knows.
        add_servicers: puts the servicers on a new server.
        port: where it listens; 0 lets the system choose, once.

    """

    def __init__(self, name: str, world: World, add_servicers: Registration, port: int) -> None:
        self.name = name
        self.port = port
        self._world = world
        self._add_servicers = add_servicers
        self._server: grpc.aio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens, once it was started."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen. Does nothing where it listens already.

        Raises:
            OSError: The port is taken.

        """
        if self._server is not None:
            return
        server = grpc.aio.server(interceptors=[Recorder(self._world)], options=OPTIONS)
        self._add_servicers(self._world, server)
        self.port = self._bind(server)
        await server.start()
        self._server = server
        log.info("Peer listening", peer=self.name, url=self.url)

    def _bind(self, server: grpc.aio.Server) -> int:
        try:
            return server.add_insecure_port(f"{HOST}:{self.port}")
        except RuntimeError as error:
            message = f"{self.name} cannot listen on {HOST}:{self.port}. Stop what does, or choose another port."
            raise OSError(message) from error

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Stop listening, and cut the calls that are not done after the grace."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace_s)
            log.info("Peer stopped", peer=self.name, url=self.url)


class Peers:
    """Both stand-ins and the world that they share."""

    def __init__(self, world: World, pass_port: int, ring_port: int) -> None:
        self.world = world
        self.pass_peer = Peer("pass", world, add_pass, pass_port)
        self.ring_peer = Peer("ring", world, add_ring, ring_port)

    @property
    def pass_url(self) -> str:
        """Where the nine services of `pass` are."""
        return self.pass_peer.url

    @property
    def ring_url(self) -> str:
        """Where RingService is."""
        return self.ring_peer.url

    async def start(self) -> None:
        """Start both, or neither."""
        try:
            await self.pass_peer.start()
            await self.ring_peer.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Stop both; the world stays as it is."""
        try:
            await self.ring_peer.stop(grace_s)
        finally:
            await self.pass_peer.stop(grace_s)


@asynccontextmanager
async def serve_peers(*, pass_port: int = 0, ring_port: int = 0, world: World | None = None) -> AsyncIterator[Peers]:
    """Serve both stand-ins for as long as the context is open.

    Args:
        pass_port: where `pass` listens; 0 lets the system choose.
        ring_port: where `ring` listens; 0 lets the system choose.
        world: what they know, if not what `seed.development` gives.

    Yields:
        The servers, with their world and their addresses.

    """
    peers = Peers(world or development(), pass_port, ring_port)
    await peers.start()
    try:
        yield peers
    finally:
        await peers.stop()
