"""`/api/files`."""

from typing import TYPE_CHECKING

from aiohttp import web

from drive.files.interfaces import CloudFile
from drive.files.names import clean_file_name
from drive.files.service import ORDERS, Files, Filter
from drive.http.answers import answer
from drive.http.auth import account_of, reader_of
from drive.http.bodies import read_json
from drive.http.downloads import send_file
from drive.http.params import Params
from drive.http.routes import Access, Route

if TYPE_CHECKING:
    from drive.storage.interfaces import Store


class FileHandlers:
    """Answers what concerns files that are there."""

    def __init__(self, files: Files, store: "Store") -> None:
        self._files = files
        self._store = store

    def routes(self) -> list[Route]:
        """Return what is served here; fixed names come before ids."""
        return [
            Route("GET", "/api/files/me", self.mine),
            Route("GET", "/api/files/{id}", self.download, Access.ANYBODY),
            Route("GET", "/api/files/{id}/info", self.info, Access.ANYBODY),
            Route("PATCH", "/api/files/{id}/name", self.rename),
            Route("DELETE", "/api/files/{id}", self.delete),
        ]

    async def mine(self, request: web.Request) -> web.Response:
        """List the account's files."""
        with Params(request.query) as params:
            page = params.page()
            which = Filter(
                pool_id=params.uuid("pool"),
                recycled=params.boolean("recycled", default=False),
                name_part=params.text("query", most_chars=1024),
                order=params.choice("order", ORDERS, default="date"),
                descending=params.boolean("orderDesc", default=True),
            )
        files, total = await self._files.mine(account_of(request).id, which, offset=page.offset, take=page.take)
        return answer(files, headers={"X-Total": str(total)})

    async def info(self, request: web.Request) -> web.Response:
        """Show a file's details."""
        return answer(await self._readable(request))

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Send a file's bytes, or the part that is asked for."""
        with Params(request.query) as params:
            as_attachment = params.boolean("download", default=False)
        file = await self._readable(request)
        if file.storage_url:
            raise web.HTTPFound(file.storage_url)
        return await send_file(
            request,
            self._store.path(file.storage_id),
            name=file.name,
            mime_type=file.mime_type,
            etag=file.hash,
            modified_at=file.uploaded_at or file.created_at,
            size_bytes=file.size,
            as_attachment=as_attachment,
        )

    async def rename(self, request: web.Request) -> web.Response:
        """Rename a file; the body is the new name as a JSON string."""
        name = clean_file_name(await read_json(request, str), field="name")
        return answer(await self._files.rename(account_of(request).id, request.match_info["id"], name))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a file."""
        return answer(await self._files.delete(account_of(request).id, request.match_info["id"]))

    async def _readable(self, request: web.Request) -> CloudFile:
        file_id = request.match_info["id"].partition(".")[0]  # an extension is for the eye only
        return await self._files.readable(file_id, lambda: reader_of(request))
