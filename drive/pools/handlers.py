"""`/api/pools`."""

from aiohttp import web

from drive.http.answers import answer
from drive.http.auth import account_of
from drive.http.routes import Route
from drive.pools.service import Pools


class PoolHandlers:
    """Answers what concerns pools."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    def routes(self) -> list[Route]:
        """Return what is served here."""
        return [Route("GET", "/api/pools", self.listed)]

    async def listed(self, request: web.Request) -> web.Response:
        """List the pools that the account can upload to."""
        return answer(await self._pools.listed(account_of(request).id))
