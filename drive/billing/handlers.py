"""`/api/billing`."""

from uuid import UUID

from aiohttp import web

from drive.billing.interfaces import CreateOrder, Settlement
from drive.billing.orders import Orders
from drive.billing.service import Billing
from drive.http.answers import answer
from drive.http.auth import account_of
from drive.http.bodies import read_json
from drive.http.params import Params
from drive.http.trail import Trail


class BillingHandlers:
    """Answers what concerns quota, usage and orders."""

    def __init__(self, billing: Billing, orders: Orders, trail: Trail) -> None:
        self._billing = billing
        self._orders = orders
        self._trail = trail

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

    async def offers(self, request: web.Request) -> web.Response:
        """Show what extra quota costs."""
        return answer(await self._orders.offers(account_of(request).id))

    async def orders(self, request: web.Request) -> web.Response:
        """List the account's orders."""
        with Params(request.query) as params:
            page = params.page()
        orders, total = await self._orders.mine(account_of(request).id, offset=page.offset, take=page.take)
        return answer(orders, headers={"X-Total": str(total)})

    async def create_order(self, request: web.Request) -> web.Response:
        """Order extra quota."""
        body = await read_json(request, CreateOrder)
        return answer(await self._orders.create(account_of(request).id, body.quota_gib))

    async def order(self, request: web.Request) -> web.Response:
        """Show an order."""
        return answer(await self._orders.get(account_of(request).id, _order_id(request)))

    async def cancel_order(self, request: web.Request) -> web.Response:
        """Give up an order that is not paid."""
        return answer(await self._orders.cancel(account_of(request).id, _order_id(request)))

    async def pay_order(self, request: web.Request) -> web.Response:
        """Pay an order from the account's wallet."""
        return answer(await self._orders.pay(account_of(request).id, _order_id(request)))

    async def settle_order(self, request: web.Request) -> web.Response:
        """Write down what became of a payment that pass did not answer."""
        body = await read_json(request, Settlement)
        order = await self._orders.settle(account_of(request), _order_id(request), is_paid=body.is_paid)
        self._trail.note(request, "billing.settle", order_id=str(order.id), is_paid=body.is_paid)
        return answer(order)


def _order_id(request: web.Request) -> UUID:
    return UUID(request.match_info["id"])
