"""How many connections a loaded service holds, counted by those who are at their other ends."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from serve_support import CREATING, Watcher, channels, peer_connections, watching
from support.api import Answer, Api
from support.process import Serve, serving, until

from drive.peers import Account, Fault, Peers
from drive.peers import server as peer_server
from drive.settings import Settings

REQUESTS = 1000
STREAMS_PER_CONNECTION = 50
LOOKS = 10  # at the connections, while the requests are answered; each takes some 20 ms
# Long enough for two busy cores: this is about how many connections there are, not about how quick they are.
PATIENT = {
    "DRIVE_GRPC_DEADLINE_S": "60",
    "DRIVE_DATABASE_CONNECT_TIMEOUT_S": "60",
    # PostgreSQL still counts a connection that was idle for too long, and closed, when the next one is there.
    "DRIVE_DATABASE_IDLE_TIMEOUT_S": "600",
    "DRIVE_AUTH_CACHE_TTL_S": "0",
}


class Most:
    """The most connections seen at a time, by who holds their other end."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.looks = 0

    def saw(self, counts: dict[str, int]) -> None:
        self.looks += 1
        self.seen |= Counter(counts)


@asynccontextmanager
async def counting(watcher: Watcher, peers: Peers) -> AsyncIterator[Most]:
    """Count the connections again and again while the block runs."""
    most = Most()

    async def look() -> None:
        while True:
            names = await watcher.database_connections()
            others = [name for name in names if name and not name.startswith("drive-serve@")]
            assert others == [], "the name comes with the first message, and nobody else is here"
            redis = await asyncio.to_thread(watcher.redis_connections)
            most.saw(
                {"PostgreSQL": len(names), "Redis": len(redis), **await asyncio.to_thread(peer_connections, peers)}
            )

    looking = asyncio.create_task(look())
    try:
        yield most
    finally:
        looking.cancel()
        await asyncio.wait([looking])
    if not looking.cancelled():
        looking.result()


async def thousand_requests(serve: Serve, peers: Peers) -> list[Answer]:
    """Send them all at once, each with a token of its own, so that pass is asked about each."""
    requests = []
    for number in range(REQUESTS):
        account = peers.world.add(Account(f"account{number}"), f"token-{number}")
        peers.world.grant(account.id, "files.create")
        api = Api(serve.api.session, serve.url, f"token-{number}")
        match number % 4:
            case 0:
                requests.append(api.get("/api/files/me"))
            case 1:
                requests.append(api.get("/api/billing/usage"))
            case 2:
                requests.append(api.get("/api/billing/quota"))
            case _:
                requests.append(api.create(b"content", file_name=f"{number}.bin"))
    return await asyncio.gather(*requests)


@pytest.fixture(autouse=True)
def _few_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stand-ins take few calls on a connection, so that a client which may open more does.

    Excess calls wait, as they do with other servers than gRPC's own, which by default refuses them.
    """
    few = (("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION), ("grpc.http.overload_protection", 0))
    options = (*peer_server.OPTIONS, *few)
    monkeypatch.setattr(peer_server, "OPTIONS", options)


@pytest.mark.parametrize("most_connections", [2, 3])
async def test_a_thousand_requests_at_once_share_few_connections_and_one_channel_each(
    settings: Settings, peers: Peers, most_connections: int
) -> None:
    """All are answered over at most two connections to pass; where three are allowed, the same count sees three."""
    peers.world.faults["AuthService.Authenticate"] = Fault(delay_s=0.1)  # so that calls pile up
    settings = replace(settings, grpc_max_connections=most_connections)
    async with (
        serving(settings, **PATIENT) as serve,
        watching(settings) as watcher,
        counting(watcher, peers) as most,
    ):
        answers = await thousand_requests(serve, peers)
        await until(lambda: len(peers.world.packets) >= REQUESTS // 4, "ring was told of the uploads")
    assert Counter(answer.status for answer in answers) == {200: REQUESTS}
    assert peers.world.calls["AuthService.Authenticate"] >= REQUESTS
    assert most.looks >= LOOKS
    assert (most.seen["pass"], most.seen["ring"]) == (most_connections, 1)  # packets go one after the other
    assert 0 < most.seen["PostgreSQL"] <= settings.database_max_connections == 5
    assert 0 < most.seen["Redis"] <= settings.redis_max_connections == 10
    assert channels(serve) == one_each(peers)


async def test_an_upload_in_chunks_creates_one_channel_for_pass_and_one_for_ring(
    settings: Settings, peers: Peers
) -> None:
    """However many calls an upload takes, the log has one line for each endpoint, with who called it first."""
    async with serving(settings) as serve:
        await serve.api.upload(bytes(6 * 1024 * 1024), chunk_size=256 * 1024)
        await until(lambda: len(peers.world.packets) >= 4, "ring was told of its beginning, its progress and its end")
        assert channels(serve) == one_each(peers)
        for line in serve.lines(CREATING):
            assert (line["level"], line["max_connections"], line["pid"]) == ("info", 2, serve.pid)


def one_each(peers: Peers) -> list[tuple[str, str]]:
    return sorted([(peers.pass_url, "AuthService"), (peers.ring_url, "RingService")])
