"""Who sends a request."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from aiohttp import web

from drive.cache.flights import Flights
from drive.clients.accounts import Account, AccountsClient
from drive.errors import Code, DriveError
from drive.http.routes import Access, Handler

_ACCOUNT = web.RequestKey("account", Account)
_AUTHENTICATOR = web.RequestKey["Authenticator"]("authenticator")
_SCHEMES = {"bearer", "atfield", "akfield"}
_TOKEN_MAX_CHARS = 8192


class Authenticator:
    """Asks pass whose a token is, and remembers the answer for `cache_ttl_s`, for at most `cache_entries` tokens.

    Tokens are remembered as hashes only. However many requests come with a new token at once, pass is asked once.
    "Nobody" is never remembered: a token may become valid the next moment.
    """

    def __init__(self, accounts: AccountsClient, *, cache_ttl_s: float, cache_entries: int) -> None:
        self._accounts = accounts
        self._cache_ttl_s = cache_ttl_s
        self._cache_entries = cache_entries
        self._known: OrderedDict[str, tuple[float, Account]] = OrderedDict()
        self._flights = Flights()

    async def identify(self, request: web.Request) -> Account | None:
        """Return who sent the request; None where it carries no token.

        Raises:
            DriveError: UNAUTHORIZED, where the token is not valid; UNAVAILABLE, where pass cannot say.

        """
        token = token_of(request)
        if token is None:
            return None
        account = await self._account(token, request.remote)
        if account is None:
            raise DriveError(Code.UNAUTHORIZED, "The token is not valid, or no longer. Sign in again.")
        return account

    async def _account(self, token: str, ip_address: str | None) -> Account | None:
        key = hashlib.sha256(token.encode()).hexdigest()
        known = self._known.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        return await self._flights.join(
            key,
            lambda: self._accounts.authenticate(token, ip_address),
            lambda account: self._remember(key, account),
        )

    async def _remember(self, key: str, account: Account | None) -> None:
        lifetime_s = self._lifetime_s(account)
        if account is None or lifetime_s <= 0:
            return
        self._known[key] = time.monotonic() + lifetime_s, account
        self._known.move_to_end(key)
        if len(self._known) > self._cache_entries:
            self._known.popitem(last=False)

    def _lifetime_s(self, account: Account | None) -> float:
        if account is None or account.expires_at is None:
            return self._cache_ttl_s
        return min(self._cache_ttl_s, (account.expires_at - datetime.now(UTC)).total_seconds())


def token_of(request: web.Request) -> str | None:
    """Return the token of a request: from the query `tk`, the Authorization header or the cookie `AuthToken`."""
    in_query = request.query.get("tk") if request.query_string else None
    token = in_query or _from_header(request) or request.cookies.get("AuthToken")
    if token is not None and (len(token) > _TOKEN_MAX_CHARS or not token.isprintable()):
        raise DriveError(Code.UNAUTHORIZED, "This is not a token.")
    return token or None


def _from_header(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() in _SCHEMES else None


def guard(handler: Handler, access: Access, authenticator: Callable[[], Authenticator]) -> Handler:
    """Return a handler behind an access rule; whoever tells who sent a request is asked for at each."""

    async def for_account(request: web.Request) -> web.StreamResponse:
        account = await authenticator().identify(request)
        if account is None:
            raise DriveError(Code.UNAUTHORIZED, "Authentication is required. Send Authorization: Bearer <token>.")
        request[_ACCOUNT] = account
        return await handler(request)

    async def for_anybody(request: web.Request) -> web.StreamResponse:
        request[_AUTHENTICATOR] = authenticator()
        return await handler(request)

    return for_account if access is Access.ACCOUNT else for_anybody


def account_of(request: web.Request) -> Account:
    """Return who sent the request, on a route for accounts."""
    return request[_ACCOUNT]


async def reader_of(request: web.Request) -> UUID | None:
    """Return who sent the request, on a route for anybody; None without a token, or with one that is not valid.

    Raises:
        DriveError: UNAVAILABLE, where pass cannot say.

    """
    try:
        account = await request[_AUTHENTICATOR].identify(request)
    except DriveError as error:
        if error.code is not Code.UNAUTHORIZED:
            raise
        return None
    return account.id if account else None
