"""What `drive peers` does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from drive.peers.page import routes
from drive.peers.seed import TOKENS
from drive.peers.server import HOST, serve_peers
from drive.peers.world import World


@dataclass(frozen=True, slots=True)
class PeersInfo:
    """Where everything is, and the token of each account by its name."""

    pass_url: str
    ring_url: str
    page_url: str
    tokens: Mapping[str, str]


async def run(
    pass_port: int, ring_port: int, http_port: int, *, ready: Callable[[PeersInfo], None] | None = None
) -> None:
    """Serve both stand-ins and their page until cancelled. A port of 0 lets the system choose.

    Raises:
        OSError: A port is taken.

    """
    async with (
        serve_peers(pass_port=pass_port, ring_port=ring_port) as peers,
        serve_page(peers.world, http_port) as page_url,
    ):
        if ready is not None:
            ready(PeersInfo(peers.pass_url, peers.ring_url, page_url, TOKENS))
        await asyncio.Event().wait()


@asynccontextmanager
async def serve_page(world: World, port: int = 0) -> AsyncIterator[str]:
    """Serve the page on loopback and yield its address."""
    app = web.Application()
    app.add_routes(routes(world))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
