"""`/api/bundles`."""

from uuid import UUID

from aiohttp import web

from drive.bundles.interfaces import BundleBody, FileBundle
from drive.bundles.service import Bundles
from drive.http.answers import answer
from drive.http.auth import account_of
from drive.http.bodies import read_json
from drive.http.params import MOST_TAKE, Page, Params
from drive.http.trail import Trail
from drive.http.visitors import visitor_of


class BundleHandlers:
    """Answers what concerns bundles."""

    def __init__(self, bundles: Bundles, trail: Trail) -> None:
        self._bundles = bundles
        self._trail = trail

    async def mine(self, request: web.Request) -> web.Response:
        """List the account's bundles."""
        with Params(request.query) as params:
            page = params.page()
            term = params.text("term", most_chars=1024)
        bundles, total = await self._bundles.mine(account_of(request).id, term, offset=page.offset, take=page.take)
        return answer(bundles, headers={"X-Total": str(total)})

    async def shown(self, request: web.Request) -> web.Response:
        """Show a bundle and its files."""
        page, visitor = _page(request), visitor_of(request)
        return _shown(await self._bundles.shown(_id(request), visitor, offset=page.offset, take=page.take))

    async def shown_by_slug(self, request: web.Request) -> web.Response:
        """Show the bundle that has a slug, and its files."""
        page, visitor, slug = _page(request), visitor_of(request), request.match_info["slug"]
        return _shown(await self._bundles.shown_by_slug(slug, visitor, offset=page.offset, take=page.take))

    async def create(self, request: web.Request) -> web.Response:
        """Create a bundle."""
        body = await read_json(request, BundleBody)
        return answer(await self._bundles.create(account_of(request).id, body))

    async def change(self, request: web.Request) -> web.Response:
        """Change a bundle."""
        body = await read_json(request, BundleBody)
        return answer(await self._bundles.change(account_of(request).id, _id(request), body))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a bundle; its files go into the recycle bin."""
        await self._bundles.delete(account_of(request).id, _id(request))
        self._trail.note(request, "bundles.delete", bundle_id=str(_id(request)))
        return web.Response(status=204)


def _id(request: web.Request) -> UUID:
    return UUID(request.match_info["id"])


def _page(request: web.Request) -> Page:
    with Params(request.query) as params:
        return params.page(default_take=MOST_TAKE)


def _shown(found: tuple[FileBundle, int]) -> web.Response:
    bundle, total = found
    return answer(bundle, headers={"X-Total": str(total)})
