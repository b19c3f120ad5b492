"""`/api/billing`."""

from aiohttp import web

from drive.billing.service import Billing
from drive.http.answers import answer
from drive.http.auth import account_of
from drive.http.routes import Route


class BillingHandlers:
    """Answers what concerns quota and usage."""

    def __init__(self, billing: Billing) -> None:
        self._billing = billing

    def routes(self) -> list[Route]:
        """Return what is served here."""
        return [
            Route("GET", "/api/billing/quota", self.quota),
            Route("GET", "/api/billing/usage", self.usage),
        ]

    async def quota(self, request: web.Request) -> web.Response:
        """Show how much the account may store."""
        return answer(await self._billing.quota(account_of(request).id))

    async def usage(self, request: web.Request) -> web.Response:
        """Show how much the account stores."""
        return answer(await self._billing.usage(account_of(request).id))
