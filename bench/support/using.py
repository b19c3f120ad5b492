"""Using each part of a running Drive for the first time, one after the other, as its clients would."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import aiohttp

_AT_ONCE: Final = 60
_REALM: Final = "44444444-4444-4444-8444-444444444444"  # of which the account `plain` is a member
PRICED: Final = {"DRIVE_QUOTA_PRICE_PER_GIB": "0.10"}
"""What Drive must be started with, so that it asks for wallets and payments."""


async def use(session: "aiohttp.ClientSession", url: str) -> AsyncIterator[str]:
    """Use one part after the other, and give each's name once it was used.

    Args:
        session: signs in by its headers.
        url: where Drive answers.

    """
    client = _Client(session, url)
    await client.ask(404, "GET", "/api/files/no-such-file/info", headers={"Authorization": ""})
    yield "PostgreSQL"
    await client.ask(200, "GET", "/api/files/me")
    yield "pass, and gRPC with it"
    await client.ask(200, "GET", "/api/billing/quota")
    yield "Redis"
    file = await client.upload()
    yield "an upload, and ring"
    await client.ask(200, "GET", f"/api/files/{file}")
    yield "a download"
    await client.ask(200, "GET", "/api/billing/offers")
    order = await client.ask(200, "POST", "/api/billing/orders", json={"quota_gib": 1})
    await client.ask(200, "DELETE", f"/api/billing/orders/{order['order']['id']}")
    await client.ask(200, "POST", "/api/bundles", json={"name": "Shared", "realm_id": _REALM})
    await client.ask(200, "DELETE", f"/api/files/{file}")
    yield "orders, realms and the audit trail"
    await asyncio.gather(
        *(
            client.ask(200, "GET", path)
            for _ in range(_AT_ONCE // 2)
            for path in ("/api/files/me", "/api/billing/usage")
        )
    )
    yield f"{_AT_ONCE} requests at once"


class _Client:
    def __init__(self, session: "aiohttp.ClientSession", url: str) -> None:
        self._session = session
        self._url = url

    async def ask(self, status: int, method: str, path: str, **options: Any) -> Any:
        """Send a request, and return the answer's JSON, if it is JSON.

        Raises:
            RuntimeError: the status is another.

        """
        async with self._session.request(method, self._url + path, **options) as response:
            body = await response.read()
            if response.status != status:
                raise RuntimeError(f"{method} {path} was answered {response.status} and not {status}: {body[:500]!r}")
            return await response.json() if response.content_type == "application/json" else None

    async def upload(self) -> str:
        import aiohttp

        form = aiohttp.FormData()
        form.add_field("file", bytes(1024 * 1024), filename="some.bin", content_type="application/octet-stream")
        file = await self.ask(200, "POST", "/api/files/upload/direct", data=form)
        return str(file["id"])
