"""`/api/files`."""

from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web

from drive.errors import not_found, unavailable
from drive.files.interfaces import CloudFile, Count, DeleteBatch, Permission, SetMarks, Visibility
from drive.files.lists import ORDERS, Filter
from drive.files.meta import check_meta, check_size
from drive.files.names import clean_file_name
from drive.files.permissions import Permissions
from drive.files.recycling import Recycling
from drive.files.service import Files
from drive.files.variants import representation
from drive.http.answers import answer
from drive.http.auth import account_of
from drive.http.bodies import read_json
from drive.http.downloads import Download, send, type_to_send
from drive.http.params import MOST_TAKE, Params
from drive.http.trail import Trail
from drive.http.visitors import visitor_of
from drive.references.service import References
from drive.storage.interfaces import StoreUnavailableError

if TYPE_CHECKING:
    from drive.storage.interfaces import Stores

log = structlog.get_logger()


class FileHandlers:
    """Answers what concerns files that are there."""

    def __init__(
        self,
        files: Files,
        stores: "Stores",
        recycling: Recycling,
        trail: Trail,
        permissions: Permissions,
        references: References,
    ) -> None:
        self._files = files
        self._stores = stores
        self._recycling = recycling
        self._trail = trail
        self._permissions = permissions
        self._references = references

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
            original = params.boolean("original", default=False)
            thumbnail = params.boolean("thumbnail", default=False)
            wanted_type = params.text("overrideMimeType", most_chars=256)
        visitor = visitor_of(request)
        file = await self._files.readable(request.match_info["id"].partition(".")[0], visitor)
        is_owner = original and bool(file.variants) and await visitor.identify() == file.account_id
        chosen = representation(file, original=original, thumbnail=thumbnail, is_owner=is_owner)
        if chosen is None:
            raise not_found("Thumbnail")
        if file.storage_url:
            raise web.HTTPFound(file.storage_url)
        download = Download(
            object_name=chosen.object_name,
            file_name=chosen.file_name,
            mime_type=type_to_send(chosen.mime_type, wanted_type),
            etag=chosen.etag,
            modified_at=file.uploaded_at or file.created_at,
            size_bytes=chosen.size_bytes,
            as_attachment=as_attachment,
            is_public=_is_public(file),
        )
        try:
            return await send(request, await self._stores.of(file.pool_id), download)
        except StoreUnavailableError as error:
            log.warning("Store unavailable", reason=str(error))
            raise unavailable("The store of this pool") from error

    async def rename(self, request: web.Request) -> web.Response:
        """Rename a file; the body is the new name as a JSON string."""
        name = clean_file_name(await read_json(request, str), field="name")
        return answer(await self._files.rename(account_of(request).id, request.match_info["id"], name))

    async def mark(self, request: web.Request) -> web.Response:
        """Say what a file may show."""
        body = await read_json(request, SetMarks)
        return answer(await self._files.mark(account_of(request).id, request.match_info["id"], body.sensitive_marks))

    async def describe(self, request: web.Request) -> web.Response:
        """Replace what the owner has noted of a file; the body is a JSON object."""
        check_size(len(await request.read()))
        user_meta = await read_json(request, dict[str, Any])
        check_meta(user_meta)
        return answer(await self._files.describe(account_of(request).id, request.match_info["id"], user_meta))

    async def permit(self, request: web.Request) -> web.Response:
        """Say whom a file is for."""
        wanted = await read_json(request, Permission)
        return answer(await self._permissions.change(account_of(request).id, request.match_info["id"], wanted))

    async def references(self, request: web.Request) -> web.Response:
        """List who uses a file."""
        with Params(request.query) as params:
            page = params.page(default_take=MOST_TAKE)
        file = await self._readable(request)
        references, total = await self._references.page(file.id, offset=page.offset, take=page.take)
        return answer(references, headers={"X-Total": str(total)})

    async def recycle(self, request: web.Request) -> web.Response:
        """Put a file into the recycle bin."""
        return answer(await self._files.recycle(account_of(request).id, request.match_info["id"], recycled=True))

    async def restore(self, request: web.Request) -> web.Response:
        """Take a file out of the recycle bin."""
        return answer(await self._files.recycle(account_of(request).id, request.match_info["id"], recycled=False))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a file."""
        file = await self._files.delete(account_of(request).id, request.match_info["id"])
        self._trail.note(request, "files.delete", file_ids=[file.id])
        return answer(file)

    async def delete_batch(self, request: web.Request) -> web.Response:
        """Delete those of some files that are the account's."""
        body = await read_json(request, DeleteBatch)
        deleted = await self._files.delete_many(account_of(request).id, body.file_ids)
        if deleted:
            self._trail.note(request, "files.delete", file_ids=deleted)
        return answer(Count(len(deleted)))

    async def purge_own(self, request: web.Request) -> web.Response:
        """Delete what is in the account's recycle bin."""
        count = await self._recycling.purge_own(account_of(request))
        self._trail.note(request, "files.purge", scope="own", count=count)
        return answer(Count(count))

    async def purge_all(self, request: web.Request) -> web.Response:
        """Delete what is in the recycle bins of all accounts."""
        count = await self._recycling.purge_all(account_of(request))
        self._trail.note(request, "files.purge", scope="all", count=count)
        return answer(Count(count))

    async def _readable(self, request: web.Request) -> CloudFile:
        file_id = request.match_info["id"].partition(".")[0]  # an extension is for the eye only
        return await self._files.readable(file_id, visitor_of(request))


def _is_public(file: CloudFile) -> bool:
    return file.visibility is Visibility.PUBLIC and file.bundle_id is None and file.pool.policy_config.allow_anonymous
