"""`/api/pools`."""

from uuid import UUID

from aiohttp import web

from drive.files.interfaces import Count
from drive.files.recycling import Recycling
from drive.http.answers import answer
from drive.http.auth import account_of
from drive.http.trail import Trail
from drive.pools.service import Pools


class PoolHandlers:
    """Answers what concerns pools."""

    def __init__(self, pools: Pools, recycling: Recycling, trail: Trail) -> None:
        self._pools = pools
        self._recycling = recycling
        self._trail = trail

    async def listed(self, request: web.Request) -> web.Response:
        """List the pools that the account can upload to."""
        return answer(await self._pools.listed(account_of(request).id))

    async def purge(self, request: web.Request) -> web.Response:
        """Delete what is in the recycle bins of all accounts, in one pool."""
        pool_id = UUID(request.match_info["id"])
        count = await self._recycling.purge_pool(account_of(request), pool_id)
        self._trail.note(request, "files.purge", scope="pool", pool_id=str(pool_id), count=count)
        return answer(Count(count))
