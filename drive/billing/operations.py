"""What OpenAPI says of `/api/billing`."""

from drive.billing.interfaces import (
    CreatedOrder,
    CreateOrder,
    Offers,
    PoolUsage,
    Quota,
    QuotaOrder,
    QuotaRecord,
    Settlement,
    Usage,
)
from drive.errors import Code
from drive.http.describe import Operation, boolean, page

_ORDER_LINKS = {
    "getOrder": {"id": "$response.body#/order/id"},
    "cancelOrder": {"id": "$response.body#/order/id"},
    "payOrder": {"id": "$response.body#/order/id"},
}

OPERATIONS = {
    "GET /api/billing/quota": Operation("getQuota", Quota),
    "GET /api/billing/quota/records": Operation(
        "listQuotaRecords",
        list[QuotaRecord],
        query=(*page(), boolean("expired", "Those that have expired, too")),
        has_total=True,
    ),
    "GET /api/billing/usage": Operation("getUsage", Usage),
    "GET /api/billing/usage/{poolId}": Operation("getPoolUsage", PoolUsage),
    "GET /api/billing/offers": Operation("listOffers", Offers),
    "GET /api/billing/orders": Operation("listOrders", list[QuotaOrder], query=page(), has_total=True),
    "POST /api/billing/orders": Operation(
        "createOrder",
        CreatedOrder,
        body=CreateOrder,
        errors=[Code.FORBIDDEN, Code.CONFLICT],
        example={"quota_gib": 1},
        links=_ORDER_LINKS,
    ),
    "GET /api/billing/orders/{id}": Operation("getOrder", QuotaOrder),
    "DELETE /api/billing/orders/{id}": Operation("cancelOrder", QuotaOrder, errors=[Code.CONFLICT]),
    "POST /api/billing/orders/{id}/pay": Operation("payOrder", QuotaOrder, errors=[Code.FORBIDDEN, Code.CONFLICT]),
    "POST /api/billing/orders/{id}/settle": Operation(
        "settleOrder", QuotaOrder, body=Settlement, errors=[Code.FORBIDDEN, Code.CONFLICT], example={"is_paid": True}
    ),
}
