"""What is answered over HTTP."""

import json
from dataclasses import asdict
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from examples.offers.service import Offers, UpstreamError

log = structlog.get_logger()

_ANSWERS = {
    "NOT_FOUND": (404, "There is no such offer."),
    "DEADLINE_EXCEEDED": (504, "The offer took too long to put together. Try again."),
}
_UNAVAILABLE = (503, "The offer cannot be put together now. Try again later.")


class OfferHandlers:
    """The routes."""

    def __init__(self, offers: Offers) -> None:
        self._offers = offers

    async def show(self, request: web.Request) -> web.Response:
        """Answer with an offer."""
        offer = await self._offers.find(request.match_info["sku"])
        return web.json_response(asdict(offer))


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as JSON: why is for the log, what to do is for the client."""
    try:
        return await handler(request)
    except UpstreamError as error:
        status, message = _ANSWERS.get(error.code, _UNAVAILABLE)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("Upstream failed", upstream=error.upstream, code=error.code, details=error.details)
    except web.HTTPException as error:
        error.text, error.content_type = json.dumps({"error": error.reason}), "application/json"
        raise
    except Exception:
        log.exception("Request failed", path=request.path)
        status, message = 500, "This is our fault, and noted."
    return web.json_response({"error": message}, status=status)
