"""Uploads that come by tus 1.0: in order, any number of bytes at a time."""

import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import NoReturn

from drive.clients.accounts import Account
from drive.db.database import Database
from drive.errors import Code, DriveError, not_found
from drive.ids import is_id
from drive.storage.interfaces import Part, StoreBusyError, Stores
from drive.uploads.arriving import Arriving, Stretch
from drive.uploads.feed import Feed
from drive.uploads.hashes import RunningHashes
from drive.uploads.interfaces import CreateUpload, Task, TaskStatus
from drive.uploads.limits import Limits
from drive.uploads.service import QUERIES, Uploads, owned, store_errors
from drive.uploads.tus_headers import Checksum

_RETRY_AFTER_S = 1


class TusUploads:
    """Creates, feeds and ends uploads by tus, and makes a file of one as soon as its last byte is there.

    An upload's offset in the database is the truth. Bytes are written to where they belong, chunk by chunk, then
    recorded; what is not recorded is written again. Whoever writes holds the store's lock of the chunk that the offset
    is in, which ends with its process, and records only from the offset that it began at: two requests that bring the
    same bytes cannot both.
    """

    def __init__(
        self,
        *,
        database: Database,
        stores: Stores,
        uploads: Uploads,
        hashes: RunningHashes,
        feed: Feed,
        limits: Limits,
    ) -> None:
        self._database = database
        self._stores = stores
        self._uploads = uploads
        self._hashes = hashes
        self._feed = feed
        self._limits = limits
        self._arriving: dict[str, Arriving] = {}

    @property
    def most_bytes(self) -> int:
        """How large a file may be."""
        return self._limits.most_bytes

    async def create(
        self,
        account: Account,
        wanted: CreateUpload,
        metadata: str,
        *,
        body: AsyncIterator[bytes],
        announced_bytes: int,
        checksum: Checksum | None,
    ) -> Task:
        """Reserve quota for an upload and take the first of its bytes, none or all of them.

        Nobody can go on with an upload whose creation was not answered: where this fails the upload has failed.

        Raises:
            DriveError: as `Uploads.create` and `append`.

        """
        if announced_bytes > wanted.file_size:
            raise _too_long(wanted.file_size)
        task = await self._uploads.create_tus(account, wanted, metadata)
        try:
            return await self._receive(account, task, body, checksum)
        except BaseException as error:  # also when cancelled
            reason = error.message if isinstance(error, DriveError) else "The server failed."
            with suppress(DriveError):  # where the database cannot be reached either, its lifetime will end it
                await self._uploads.abandon(task, TaskStatus.FAILED, reason)
            raise

    async def look(self, account: Account, upload_id: str) -> Task:
        """Return where an upload is; one that has all its bytes is a file when this returns.

        A client that finds an upload at its end sends no more: were its file not made before a crash, nobody would.

        Raises:
            DriveError: NOT_FOUND, FORBIDDEN, GONE; VALIDATION_ERROR and LOCKED as `append`.

        """
        task = await self._open(account, upload_id)
        return task if _missing_bytes(task) else await self._finished(account, task)

    async def append(
        self,
        account: Account,
        upload_id: str,
        offset_bytes: int,
        *,
        body: AsyncIterator[bytes],
        announced_bytes: int,
        checksum: Checksum | None,
    ) -> Task:
        """Take the bytes that follow at the offset; the last of them make the file.

        What came of a body that breaks off counts; with a checksum either all of it does or nothing.

        Args:
            account: whose upload it must be.
            upload_id: which.
            offset_bytes: where the client believes the upload to be.
            body: the bytes.
            announced_bytes: how many there are at least.
            checksum: what they come to.

        Raises:
            DriveError: NOT_FOUND, FORBIDDEN, GONE (it has ended without a file), CONFLICT (it is elsewhere), LOCKED
                (another request is at it), TOO_LARGE (beyond its length), CHECKSUM_MISMATCH, INSUFFICIENT_STORAGE,
                VALIDATION_ERROR (the body broke off; or the file is not what was declared, and the upload has failed).

        """
        task = await self._open(account, upload_id)
        _check_offset(task, offset_bytes)
        if announced_bytes > _missing_bytes(task):
            raise _too_long(task.size_bytes)
        return await self._receive(account, task, body, checksum)

    async def cancel(self, account: Account, upload_id: str) -> None:
        """End an upload, and give back its quota and what was received.

        Raises:
            DriveError: NOT_FOUND, FORBIDDEN, GONE (it has ended already), CONFLICT (it is a file).

        """
        task = await self._open(account, upload_id)
        if not await self._uploads.abandon(task, TaskStatus.CANCELLED, "Cancelled by its owner."):
            await self._open(account, upload_id)  # which tells how it has ended
            raise DriveError(Code.CONFLICT, "This upload is complete. Delete its file instead.")

    async def _open(self, account: Account, upload_id: str) -> Task:
        """Return an upload that is under way, or complete."""
        task = owned(account, await self._database.fetchrow(QUERIES["task"], upload_id) if is_id(upload_id) else None)
        if not task.is_tus:
            raise not_found("Upload")
        if task.status not in {TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED}:
            raise DriveError(Code.GONE, f"This upload is over: {task.status.name.lower()}. Create a new one.")
        return task

    async def _receive(
        self, account: Account, task: Task, body: AsyncIterator[bytes], checksum: Checksum | None
    ) -> Task:
        arriving = Arriving(body)
        while await arriving.has_more():
            if not _missing_bytes(task):
                raise _too_long(task.size_bytes)
            task = await self._receive_stretch(account, task, arriving, checksum)
            checksum = None  # it was for all that came
        if arriving.broken is not None:
            raise arriving.broken
        if checksum is not None:
            checksum.check(checksum.begun())
        return task if _missing_bytes(task) else await self._finished(account, task)

    async def _receive_stretch(
        self, account: Account, task: Task, arriving: Arriving, checksum: Checksum | None
    ) -> Task:
        """Take and record what comes up to the chunk's end; with a checksum, up to the body's."""
        stretch = Stretch(task, self._hashes.continued(task.id, _offset(task)), checksum)
        # The first chunk stays locked until the offset moves: nobody else can write beyond it meanwhile.
        async with self._part(stretch) as first:
            current = await self._open(account, task.id)  # whoever had the lock before may have moved it
            _check_offset(current, stretch.offset_bytes)
            with self._giving_way(task, arriving):
                await stretch.write(first, arriving)
                while checksum is not None and stretch.missing_bytes and await arriving.has_more():
                    async with self._part(stretch) as part:
                        await stretch.write(part, arriving)
                if not stretch.missing_bytes and await arriving.has_more():
                    raise _too_long(task.size_bytes)
            if checksum is not None and arriving.broken is not None:
                raise arriving.broken
            stretch.check()
            return await self._record(account, stretch)

    @asynccontextmanager
    async def _part(self, stretch: Stretch) -> AsyncIterator[Part]:
        """Lock what is left of the chunk that is next."""
        task = stretch.task
        with store_errors(busy=Code.LOCKED):
            store = await self._stores.of(task.pool_id)
            try:
                async with store.part(task, offset=stretch.offset_bytes, most_bytes=stretch.chunk_left_bytes) as part:
                    yield part
            except StoreBusyError:
                if task.id in self._arriving:
                    self._arriving[task.id].give_way()
                raise

    @contextmanager
    def _giving_way(self, task: Task, arriving: Arriving) -> Iterator[None]:
        """Let requests that find the upload locked see the body that it waits for."""
        self._arriving[task.id] = arriving
        try:
            yield
        finally:
            del self._arriving[task.id]

    async def _record(self, account: Account, stretch: Stretch) -> Task:
        """Move the offset to the stretch's end."""
        task = stretch.task
        expires_at = await self._database.fetchval(
            QUERIES["advance"],
            task.id,
            _offset(task),
            stretch.offset_bytes,
            list(stretch.tags),
            list(stretch.tags.values()),
            self._limits.lifetime_s,
        )
        if expires_at is None:
            await self._refuse(account, task)
        self._hashes.keep(task.id, stretch.offset_bytes, stretch.running)
        self._feed.progressed(task, -(-stretch.offset_bytes // task.chunk_size_bytes))
        return dataclasses.replace(task, tus_offset_bytes=stretch.offset_bytes, expires_at=expires_at)

    async def _refuse(self, account: Account, task: Task) -> NoReturn:
        """Tell why the offset could not be moved."""
        try:
            await self._open(account, task.id)
        except DriveError as error:
            if error.code in {Code.GONE, Code.NOT_FOUND}:
                with store_errors():
                    await (await self._stores.of(task.pool_id)).discard(task.object_id)
            raise
        raise DriveError(Code.CONFLICT, "Another request has moved this upload. Go on where HEAD says that it is.")

    async def _finished(self, account: Account, task: Task) -> Task:
        """Make the file, if it is not made yet."""
        if task.status is TaskStatus.COMPLETED:
            return task
        try:
            await self._uploads.complete(account, task.id)
        except DriveError as error:
            if error.code is not Code.CONFLICT:
                raise
            # Clients of tus wait where an upload is locked, and take a conflict for one that is lost.
            message = "Another request completes this upload. Try again shortly."
            raise DriveError(Code.LOCKED, message, retry_after_s=_RETRY_AFTER_S) from error
        return dataclasses.replace(task, status=TaskStatus.COMPLETED)


def _offset(task: Task) -> int:
    return task.tus_offset_bytes or 0


def _missing_bytes(task: Task) -> int:
    return task.size_bytes - _offset(task)


def _check_offset(task: Task, offset_bytes: int) -> None:
    if _offset(task) != offset_bytes:
        message = f"The upload is at {_offset(task)}, not at {offset_bytes}. Go on where HEAD says that it is."
        raise DriveError(Code.CONFLICT, message)


def _too_long(size_bytes: int) -> DriveError:
    return DriveError(Code.TOO_LARGE, f"The upload has {size_bytes} bytes in all; more were sent.")
