"""Who comes for something that is shared."""

from uuid import UUID

from aiohttp import web

from drive.bundles.interfaces import Visitor
from drive.http.auth import reader_of
from drive.http.params import Params

_HEADER = "X-Passcode"
_MOST_CHARS = 256


def visitor_of(request: web.Request) -> Visitor:
    """Return who sent the request, on a route for anybody, with the passcode of its header or else of its query.

    Proxies and browsers write queries down, so that the header is the better place; clients of the original know only
    the query.

    Raises:
        DriveError: VALIDATION_ERROR, where no passcode can look like this.

    """
    passcode = _passcode(request) if _HEADER in request.headers or request.query_string else None
    known: list[UUID | None] = []

    async def identify() -> UUID | None:
        if not known:  # a token that is nobody's is asked about anew each time
            known.append(await reader_of(request))
        return known[0]

    return Visitor(
        identify=identify,
        passcode=passcode,
        address=request.remote,
    )


def _passcode(request: web.Request) -> str | None:
    sent = {"passcode": request.headers.get(_HEADER, "")}
    in_header, in_query = (Params(given).text("passcode", most_chars=_MOST_CHARS) for given in (sent, request.query))
    return in_header or in_query
