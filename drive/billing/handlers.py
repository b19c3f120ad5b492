"""`/api/billing`."""

from uuid import UUID

from aiohttp import web

from drive.billing.service import Billing
from drive.http.answers import answer
from drive.http.auth import account_of
from drive.http.params import Params
from drive.http.routes import UUID_PATTERN, Route


class BillingHandlers:
    """Answers what concerns quota and usage."""

    def __init__(self, billing: Billing) -> None:
        self._billing = billing

    def routes(self) -> list[Route]:
        """Return what is served here."""
        return [
            Route("GET", "/api/billing/quota", self.quota),
            Route("GET", "/api/billing/quota/records", self.records),
            Route("GET", "/api/billing/usage", self.usage),
            Route("GET", f"/api/billing/usage/{{poolId:{UUID_PATTERN}}}", self.pool_usage),
        ]

    async def quota(self, request: web.Request) -> web.Response:
        """Show how much the account may store."""
        return answer(await self._billing.quota(account_of(request).id))

    async def usage(self, request: web.Request) -> web.Response:
        """Show how much the account stores."""
        return answer(await self._billing.usage(account_of(request).id))

    async def records(self, request: web.Request) -> web.Response:
        """List what the account was given of quota beside that of its subscription."""
        with Params(request.query) as params:
            page = params.page()
            with_expired = params.boolean("expired", default=False)
        records, total = await self._billing.records(
            account_of(request).id, with_expired=with_expired, offset=page.offset, take=page.take
        )
        return answer(records, headers={"X-Total": str(total)})

    async def pool_usage(self, request: web.Request) -> web.Response:
        """Show how much the account stores in one pool."""
        return answer(await self._billing.pool_usage(account_of(request).id, UUID(request.match_info["poolId"])))
