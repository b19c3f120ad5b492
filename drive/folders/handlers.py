"""`/api/index`."""

from uuid import UUID

from aiohttp import web

from drive.errors import not_found
from drive.files.lists import ORDERS, Filter
from drive.folders.interfaces import CreateIndex, MoveIndex
from drive.folders.paths import MOST_CHARACTERS
from drive.folders.service import Folders, View
from drive.http.answers import answer
from drive.http.auth import account_of
from drive.http.bodies import read_json
from drive.http.params import Params
from drive.http.trail import Trail

_MOST_QUERY_CHARS = 1024


class FolderHandlers:
    """Answers what concerns folders."""

    def __init__(self, folders: Folders, trail: Trail) -> None:
        self._folders = folders
        self._trail = trail

    async def browse(self, request: web.Request) -> web.Response:
        """List a folder's files and the folders in it."""
        with Params(request.query) as params:
            path = params.text("path", most_chars=MOST_CHARACTERS, default="/")
            folders_after = params.text("foldersAfter", most_chars=MOST_CHARACTERS)
            view = _view(params, params.text("query", most_chars=_MOST_QUERY_CHARS))
        browsed = await self._folders.browse(account_of(request).id, path, view, folders_after=folders_after)
        return answer(browsed, headers=_total(browsed.total_count))

    async def everything(self, request: web.Request) -> web.Response:
        """List the files of all folders."""
        with Params(request.query) as params:
            view = _view(params, params.text("query", most_chars=_MOST_QUERY_CHARS))
        everything = await self._folders.everything(account_of(request).id, view)
        return answer(everything, headers=_total(everything.total_count))

    async def unindexed(self, request: web.Request) -> web.Response:
        """List the files that are in no folder."""
        with Params(request.query) as params:
            page = params.page()
            which = Filter(
                pool_id=params.uuid("pool"),
                recycled=params.boolean("recycled", default=False),
                name_part=params.text("query", most_chars=_MOST_QUERY_CHARS),
                order=params.choice("order", ORDERS, default="date"),
                descending=params.boolean("orderDesc", default=True),
            )
        account_id = account_of(request).id
        files, total = await self._folders.unindexed(account_id, which, offset=page.offset, take=page.take)
        return answer(files, headers=_total(total))

    async def search(self, request: web.Request) -> web.Response:
        """List the files of all folders, or of one, whose texts have a part."""
        with Params(request.query) as params:
            path = params.text("path", most_chars=MOST_CHARACTERS)
            query = params.required_text("query", most_chars=_MOST_QUERY_CHARS)
            view = _view(params, query)
        found = await self._folders.search(account_of(request).id, query, path, view)
        return answer(found, headers=_total(found.total_count))

    async def create(self, request: web.Request) -> web.Response:
        """Put a file into a folder."""
        body = await read_json(request, CreateIndex)
        return answer(await self._folders.create(account_of(request).id, body.file_id, body.path))

    async def move(self, request: web.Request) -> web.Response:
        """Move a file from one folder to another."""
        body = await read_json(request, MoveIndex)
        return answer(await self._folders.move(account_of(request).id, _index_id(request), body.new_path))

    async def remove(self, request: web.Request) -> web.Response:
        """Take a file out of a folder, or delete it."""
        with Params(request.query) as params:
            delete_file = params.boolean("deleteFile", default=False)
        removed = await self._folders.remove(account_of(request).id, _index_id(request), delete_file=delete_file)
        if removed.file_data_deleted:
            self._trail.note(request, "files.delete", file_ids=[removed.file_id])
        return answer(removed)

    async def clear(self, request: web.Request) -> web.Response:
        """Take the files out of a folder, or delete them."""
        with Params(request.query) as params:
            path = params.text("path", most_chars=MOST_CHARACTERS, default="/")
            delete_files = params.boolean("deleteFiles", default=False)
        cleared, deleted = await self._folders.clear(account_of(request).id, path, delete_files=delete_files)
        if deleted:
            self._trail.note(request, "files.delete", file_ids=deleted)
        return answer(cleared)


def _view(params: Params, part: str | None) -> View:
    page = params.page()
    return View(
        offset=page.offset,
        take=page.take,
        part=part,
        order=params.choice("order", ORDERS, default="date"),
        descending=params.boolean("orderDesc", default=True),
    )


def _total(count: int) -> dict[str, str]:
    return {"X-Total": str(count)}


def _index_id(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["indexId"])
    except ValueError:
        raise not_found("File index") from None
