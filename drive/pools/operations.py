"""What OpenAPI says of `/api/pools`."""

from drive.errors import Code
from drive.files.interfaces import Count
from drive.http.describe import Operation
from drive.pools.interfaces import Pool

OPERATIONS = {
    "GET /api/pools": Operation("listPools", list[Pool]),
    "DELETE /api/pools/{id}/recycle": Operation("purgePoolRecycled", Count, errors=[Code.FORBIDDEN]),
}
