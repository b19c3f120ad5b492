"""`/openapi.json`, and `/docs` to read it."""

import asyncio
import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from drive.http.routes import ROUTES, Route

# Nothing but what stands in the page itself runs or is shown, and it asks nobody but this server.
_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Made(NamedTuple):
    """An answer that is the same for everybody."""

    body: bytes
    headers: dict[str, str]
    etag: str

    @classmethod
    def of(cls, body: bytes, **headers: str) -> "Made":
        """Return the answer with this body; underscores in names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return cls(body, named, hashlib.sha256(body).hexdigest())

    def answer(self, request: web.Request) -> web.Response:
        """Return what the request is answered: the body, or that it is still the same."""
        known = {tag.value for tag in request.if_none_match or ()}
        if known & {self.etag, "*"}:
            response = web.Response(status=HTTPStatus.NOT_MODIFIED)
        else:
            response = web.Response(body=self.body, headers=self.headers)
        response.etag = self.etag
        return response


class DocsHandlers:
    """Describes what is served. Nothing of it is made before it is asked for, and then it is kept."""

    def __init__(self) -> None:
        self._made: dict[str, Made] = {}

    async def document(self, request: web.Request) -> web.Response:
        """Describe the API, in OpenAPI 3.1."""
        return await self._answer(request, lambda: _document(request.app[ROUTES]))

    async def page(self, request: web.Request) -> web.Response:
        """Show the description to people."""
        return await self._answer(request, _page)

    async def _answer(self, request: web.Request, make: Callable[[], Made]) -> web.Response:
        made = self._made.get(request.path)
        if made is None:  # where several find it so, each makes the same
            made = self._made[request.path] = await asyncio.to_thread(make)
        return made.answer(request)


def _document(routes: Sequence[Route]) -> Made:
    import msgspec

    from drive.http.openapi import document

    return Made.of(msgspec.json.encode(document(routes)), Content_Type="application/json")


def _page() -> Made:
    body = Path(__file__).with_name("docs.html").read_bytes()
    policy = _POLICY.format(script=_hash(body, b"script"), style=_hash(body, b"style"))
    return Made.of(body, Content_Type="text/html; charset=utf-8", Content_Security_Policy=policy)


def _hash(page: bytes, element: bytes) -> str:
    """Return the hash of the page's one element of this kind, as a Content-Security-Policy has it."""
    ((content),) = re.findall(b"<%b>(.*?)</%b>" % (element, element), page, re.DOTALL)
    return f"'sha256-{b64encode(hashlib.sha256(content).digest()).decode()}'"
