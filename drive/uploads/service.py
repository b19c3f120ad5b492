"""An upload's way from its reservation to a file."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog

from drive.billing.service import MIB, Billing
from drive.clients.accounts import Account, AccountsClient
from drive.db.database import Database
from drive.db.queries import load_queries
from drive.errors import Code, DriveError, invalid, not_found, unavailable
from drive.files.interfaces import PUBLIC, CloudFile, Permission
from drive.files.permissions import Permissions
from drive.files.service import Files
from drive.folders.paths import normalise
from drive.ids import is_id, new_id
from drive.pools.interfaces import Pool
from drive.pools.service import Pools
from drive.storage.interfaces import (
    BodyTooLongError,
    Content,
    Part,
    StoreBusyError,
    StoreFullError,
    Stores,
    StoreUnavailableError,
)
from drive.uploads import checks
from drive.uploads.feed import Feed
from drive.uploads.hashes import RunningHashes
from drive.uploads.interfaces import CreatedUpload, CreateUpload, Task, TaskStatus, UploadProgress
from drive.uploads.limits import Limits

log = structlog.get_logger()

QUERIES = load_queries(__package__)

_BUSY_RETRY_AFTER_S = 1


class Uploads:
    """Creates, feeds, completes and cancels uploads.

    What is in the database is the truth: a chunk counts once it is recorded, which is after its bytes are on the disk;
    a file exists once `complete` has committed, which is after its object is in place. Every step can be repeated.
    """

    def __init__(
        self,
        *,
        database: Database,
        stores: Stores,
        accounts: AccountsClient,
        pools: Pools,
        billing: Billing,
        files: Files,
        file_permissions: Permissions,
        feed: Feed,
        limits: Limits,
        hashes: RunningHashes,
        default_pool_id: UUID,
        are_events_on: bool,
    ) -> None:
        self._database = database
        self._stores = stores
        self._accounts = accounts
        self._pools = pools
        self._billing = billing
        self._files = files
        self._file_permissions = file_permissions
        self._feed = feed
        self._limits = limits
        self._default_pool_id = default_pool_id
        self._are_events_on = are_events_on
        self._hashes = hashes

    async def create(self, account: Account, wanted: CreateUpload) -> CreatedUpload:
        """Reserve quota for a new upload; or, for content that the account has in this pool already, return its file.

        Raises:
            DriveError: FORBIDDEN, NOT_FOUND (pool, bundle, realm), CONFLICT (the bundle has expired), VALIDATION_ERROR,
                TOO_LARGE, QUOTA_EXCEEDED.

        """
        checks.declared(wanted.hash)
        wanted, pool = await self._prepared(account, wanted)
        sha256 = checks.declared_sha256(wanted.hash)
        if sha256 is not None:
            existing = await self._database.fetchval(
                QUERIES["same_content"],
                account.id,
                pool.id,
                sha256,
                wanted.file_size,
                wanted.bundle_id,
                wanted.visibility.value,
                wanted.realm_id,
                pool.expiry(wanted.expired_at),
            )
            if existing:
                if wanted.path is not None:
                    await self._database.execute(QUERIES["index_file"], account.id, wanted.path, existing)
                return CreatedUpload(file_exists=True, file=await self._files.get(existing))
        task = await self._begin(account, wanted, pool)
        return CreatedUpload(
            file_exists=False, task_id=task.id, chunk_size=task.chunk_size_bytes, chunks_count=task.chunks_count
        )

    async def create_tus(self, account: Account, wanted: CreateUpload, metadata: str) -> Task:
        """Reserve quota for an upload that comes by tus; an empty hash declares nothing.

        Raises:
            DriveError: as `create`.

        """
        wanted, pool = await self._prepared(account, wanted)
        return await self._begin(account, wanted, pool, tus_metadata=metadata)

    async def receive_chunk(self, account: Account, task_id: str, index: int, body: AsyncIterator[bytes]) -> bool:
        """Store one chunk; False if it was there already, and the body was not read.

        Raises:
            DriveError: NOT_FOUND, FORBIDDEN, CONFLICT (the upload has ended, or the chunk is being received by another
                request), VALIDATION_ERROR (index, size), INSUFFICIENT_STORAGE.

        """
        task, has_chunk = await self._open_task(account, task_id, index)
        if has_chunk:
            return False
        offset, size_bytes = index * task.chunk_size_bytes, task.chunk_bytes(index)
        with store_errors(f"Chunk {index} must have {size_bytes} bytes; more were sent."):
            store = await self._stores.of(task.pool_id)
            async with store.part(task, offset=offset, most_bytes=size_bytes) as part:
                # Another request may have sent it since it was looked up: what is recorded must never change.
                _, has_chunk = await self._open_task(account, task_id, index)
                return not has_chunk and await self._receive(task, index, part, body)

    async def complete(self, account: Account, task_id: str) -> CloudFile:
        """Make the received chunks a file. Completing again returns the same file.

        Raises:
            DriveError: NOT_FOUND, FORBIDDEN, CONFLICT (chunks are missing, or another request is at it),
                VALIDATION_ERROR (the content is not what was declared; the upload has failed then).

        """
        task, chunks, tags = await self._own_task(account, task_id)
        if task.status is TaskStatus.COMPLETED:
            return await self._files.get(task.file_id)
        if task.status is not TaskStatus.IN_PROGRESS:
            raise _ended()
        missing = set(range(task.chunks_count)).difference(chunks)
        if missing:
            some = ", ".join(str(index) for index in sorted(missing)[:10])
            raise DriveError(
                Code.CONFLICT, f"{len(missing)} chunks are missing, beginning with {some}. Send them first."
            )
        return await self._finish(task, tags, self._hashes.finished(task.id, task.size_bytes))

    async def direct(
        self,
        account: Account,
        file_name: str,
        content_type: str,
        body: AsyncIterator[bytes],
        *,
        most_bytes: int,
        pool_id: UUID | None = None,
        path: str | None = None,
        permission: Permission = PUBLIC,
    ) -> CloudFile:
        """Store a small file in one request; `most_bytes` of quota are held until its size is known.

        Raises:
            DriveError: as `create` and `receive_chunk`; TOO_LARGE.

        """
        file_name = checks.text(file_name, content_type)
        pool = await self._admitted(account, pool_id, content_type, 0)
        await self._file_permissions.check(account.id, pool, permission)
        task = await self._reserve(
            account,
            pool,
            file_name,
            content_type,
            min(most_bytes, self._limits.direct_bytes),
            chunk_bytes=self._limits.direct_bytes,
            path=None if path is None else normalise(path),
            permission=permission,
        )
        try:
            return await self._receive_direct(task, pool, body)
        except BaseException as error:  # also when cancelled: nobody can resume this
            reason = error.message if isinstance(error, DriveError) else "The server failed."
            with suppress(DriveError):  # where the database cannot be reached either, its lifetime will end it
                await self.abandon(task, TaskStatus.FAILED, reason)
            raise

    async def progress(self, account: Account, task_id: str) -> UploadProgress:
        """Return where an upload is, and which chunks need not be sent again.

        Raises:
            DriveError: NOT_FOUND, FORBIDDEN.

        """
        task, chunks, _ = await self._own_task(account, task_id)
        return task.progress(chunks)

    async def cancel(self, account: Account, task_id: str) -> None:
        """End an upload, and give back its quota and what was received.

        Raises:
            DriveError: NOT_FOUND, FORBIDDEN, CONFLICT (it has ended already).

        """
        task, _, _ = await self._own_task(account, task_id)
        if not await self.abandon(task, TaskStatus.CANCELLED, "Cancelled by its owner."):
            raise _ended()

    async def _prepared(self, account: Account, wanted: CreateUpload) -> tuple[CreateUpload, Pool]:
        """Refuse what cannot be uploaded; return the rest as it is stored, with its pool."""
        wanted = checks.request(wanted)
        self._limits.check(wanted.file_size, wanted.chunk_size)
        path = None if wanted.path is None else normalise(wanted.path)
        pool = await self._admitted(account, wanted.pool_id, wanted.content_type, wanted.file_size)
        with store_errors():
            least_bytes = (await self._stores.of(pool.id)).least_chunk_bytes
        chunk_bytes = self._limits.chunk_size(wanted.file_size, wanted.chunk_size, least_bytes=least_bytes)
        await self._file_permissions.check(account.id, pool, wanted.permission)
        await self._check_bundle(account, wanted.bundle_id)
        return msgspec.structs.replace(wanted, path=path, chunk_size=chunk_bytes), pool

    async def _begin(
        self, account: Account, wanted: CreateUpload, pool: Pool, *, tus_metadata: str | None = None
    ) -> Task:
        task = await self._reserve(
            account,
            pool,
            wanted.file_name,
            wanted.content_type,
            wanted.file_size,
            chunk_bytes=wanted.chunk_size or self._limits.chunk_bytes,
            sha256=checks.declared_sha256(wanted.hash),
            bundle_id=wanted.bundle_id,
            path=wanted.path,
            expired_at=wanted.expired_at,
            permission=wanted.permission,
            tus_metadata=tus_metadata,
        )
        self._feed.created(task)
        return task

    async def _admitted(self, account: Account, pool_id: UUID | None, content_type: str, size_bytes: int) -> Pool:
        """Return the pool, if the account may upload this to it."""
        if not account.is_superuser and not await self._accounts.has_permission(account.id, "files.create"):
            raise DriveError(Code.FORBIDDEN, "You are not allowed to create files.")
        pool = await self._pools.usable(pool_id or self._default_pool_id, account.id)
        tier = await self._accounts.tier(account.id) if pool.policy_config.require_privilege > 0 else 0
        pool.policy_config.check(content_type=content_type, size_bytes=size_bytes, tier=tier, pool_name=pool.name)
        return pool

    async def _check_bundle(self, account: Account, bundle_id: UUID | None) -> None:
        if bundle_id is None:
            return
        has_expired = await self._database.fetchval(QUERIES["own_bundle_has_expired"], bundle_id, account.id)
        if has_expired is None:
            raise not_found("Bundle")
        if has_expired:
            raise DriveError(Code.CONFLICT, "This bundle has expired. Change its expired_at first.")

    async def _reserve(
        self,
        account: Account,
        pool: Pool,
        file_name: str,
        content_type: str,
        size_bytes: int,
        *,
        chunk_bytes: int,
        sha256: bytes | None = None,
        bundle_id: UUID | None = None,
        path: str | None = None,
        expired_at: datetime | None = None,
        permission: Permission = PUBLIC,
        tus_metadata: str | None = None,
    ) -> Task:
        """Insert the task, which is what reserves quota, if the account's quota allows."""
        quota = await self._billing.quota(account.id)
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["lock_account"], account.id)
            used_bytes = await connection.fetchval(QUERIES["used_bytes"], account.id)
            wanted_bytes = size_bytes * pool.billing_config.cost_multiplier
            if used_bytes + wanted_bytes > quota.total_quota * MIB:
                free_mib = max(0.0, quota.total_quota - used_bytes / MIB)
                message = (
                    f"{wanted_bytes / MIB:.1f} MiB are wanted, {free_mib:.1f} of {quota.total_quota} MiB are free."
                )
                raise DriveError(Code.QUOTA_EXCEEDED, message)
            row = await connection.fetchrow(
                QUERIES["create"],
                new_id(),
                account.id,
                new_id(),
                new_id(),
                file_name,
                content_type,
                size_bytes,
                chunk_bytes,
                -(-size_bytes // chunk_bytes),
                sha256,
                pool.id,
                bundle_id,
                path,
                pool.expiry(expired_at),
                self._limits.lifetime_s,
                permission.visibility.value,
                permission.realm_id,
                tus_metadata,
            )
        return Task.from_row(row)

    async def _open_task(self, account: Account, task_id: str, index: int) -> tuple[Task, bool]:
        """Return an upload that a chunk may be sent to, and whether this one is there already."""
        row = await self._database.fetchrow(QUERIES["chunk_state"], task_id, index) if is_id(task_id) else None
        task = owned(account, row)
        if task.status is not TaskStatus.IN_PROGRESS:
            raise _ended()
        if task.is_tus:
            raise DriveError(Code.CONFLICT, "This upload comes by tus: send its bytes with PATCH to its own URL.")
        if index >= task.chunks_count:
            raise invalid("chunk_index", f"must be less than {task.chunks_count}")
        return task, row is not None and row["has_chunk"]

    async def _own_task(self, account: Account, task_id: str) -> tuple[Task, list[int], list[str]]:
        """Return an upload, the chunks that it has, and their tags."""
        row = await self._database.fetchrow(QUERIES["with_chunks"], task_id) if is_id(task_id) else None
        return owned(account, row), row["chunks"] if row else [], row["tags"] if row else []

    async def _receive(self, task: Task, index: int, part: Part, body: AsyncIterator[bytes]) -> bool:
        """Write and record a chunk; False where another replica, which no lock of the store keeps away, was first."""
        offset_bytes = index * task.chunk_size_bytes
        hasher = self._hashes.continued(task.id, offset_bytes)
        received_bytes = await part.write(body, hasher)
        if received_bytes != task.chunk_bytes(index):
            wanted = f"Chunk {index} must have {task.chunk_bytes(index)} bytes; {received_bytes} arrived. Send it again"
            raise invalid("chunk", wanted)
        recorded = await self._database.fetchrow(
            QUERIES["record_chunk"], task.id, index, self._limits.lifetime_s, part.tag
        )
        if recorded is None:
            await (await self._stores.of(task.pool_id)).discard(task.object_id)
            raise _ended()
        if recorded["is_new"]:
            self._hashes.keep(task.id, offset_bytes + received_bytes, hasher)
            self._feed.progressed(task, recorded["chunks_uploaded"])
        return bool(recorded["is_new"])

    async def _receive_direct(self, task: Task, pool: Pool, body: AsyncIterator[bytes]) -> CloudFile:
        hasher = hashlib.sha256()
        too_long = f"A direct upload may have {task.size_bytes} bytes. Use /api/files/upload/create for more."
        with store_errors(too_long):
            store = await self._stores.of(task.pool_id)
            async with store.part(task, offset=0, most_bytes=task.size_bytes) as part:
                size_bytes = await part.write(body, hasher)
        pool.policy_config.check(
            content_type=task.content_type,
            size_bytes=size_bytes,
            tier=pool.policy_config.require_privilege,  # was checked when the upload was admitted
            pool_name=pool.name,
        )
        row = await self._database.fetchrow(QUERIES["resize"], task.id, size_bytes)
        if row is None:
            raise _ended()
        return await self._finish(Task.from_row(row), [part.tag], Content(hasher.digest(), size_bytes))

    async def _finish(self, task: Task, tags: list[str], known: Content | None) -> CloudFile:
        """Put the object in place, check it, and make the file in one transaction."""
        try:
            with store_errors():
                content = await (await self._stores.of(task.pool_id)).promote(task, tags=tags, known=known)
        except FileNotFoundError:
            return await self._ended_meanwhile(task)
        if task.sha256 is not None and content.sha256 != task.sha256:
            reason = "The content's SHA-256 is not the declared hash. Upload it again, with the right one."
            await self.abandon(task, TaskStatus.FAILED, reason)
            raise DriveError(Code.VALIDATION_ERROR, reason, fields={"hash": "is not the SHA-256 of what was sent"})
        row = await self._database.fetchrow(
            QUERIES["complete"], task.id, content.sha256, content.size_bytes, self._are_events_on
        )
        if row is None:
            return await self._ended_meanwhile(task)
        self._hashes.forget(task.id)
        file = await self._files.get(row["id"])
        self._feed.completed(task, file)
        if not row["is_to_be_processed"]:
            self._feed.processed(task, file)
        return file

    async def _ended_meanwhile(self, task: Task) -> CloudFile:
        """Return the file, where it was another request that has completed the upload; refuse where it ended otherwise.

        Bytes that are gone although nobody ended the upload are lost, and the upload with them.
        """
        if await self._database.fetchval(QUERIES["status"], task.id) == TaskStatus.COMPLETED:
            return await self._files.get(task.file_id)
        if await self.abandon(task, TaskStatus.FAILED, "The server has lost what was received."):
            log.error("Staged bytes missing", task_id=task.id)
        with store_errors():
            await (await self._stores.of(task.pool_id)).delete(task.object_id)
        raise _ended()

    async def abandon(self, task: Task, status: TaskStatus, reason: str) -> bool:
        """End an upload without a file; False if it had ended already."""
        ended = await self._database.fetchval(QUERIES["end"], task.id, int(status), reason)
        self._hashes.forget(task.id)
        if ended is None:
            return False
        if status is TaskStatus.FAILED:
            self._feed.failed(task, reason)
        try:
            store = await self._stores.of(task.pool_id)
            await store.discard(task.object_id)
            await store.delete(task.object_id)
        except StoreUnavailableError as error:  # the sweep, and the job that is written with the end, do it later
            log.warning("Staged bytes left for the sweep", task_id=task.id, reason=str(error))
        return True


def owned(account: Account, row: Any) -> Task:
    """Return the upload of a row, None where there is no such; refuse that of somebody else.

    Raises:
        DriveError: NOT_FOUND, FORBIDDEN.

    """
    if row is None:
        raise not_found("Upload task")
    if row["account_id"] != account.id:
        raise DriveError(Code.FORBIDDEN, "This upload belongs to another account.")
    return Task.from_row(row)


def _ended() -> DriveError:
    return DriveError(Code.CONFLICT, "This upload has ended. Create a new one.")


@contextmanager
def store_errors(too_long: str = "", *, busy: Code = Code.CONFLICT) -> Iterator[None]:
    """Say in a client's words what kept the store from taking its bytes."""
    try:
        yield
    except BodyTooLongError as error:
        raise DriveError(Code.TOO_LARGE, too_long) from error
    except StoreBusyError as error:
        message = "Another request is sending these bytes, or completing the upload. Try again shortly."
        raise DriveError(busy, message, retry_after_s=_BUSY_RETRY_AFTER_S) from error
    except StoreUnavailableError as error:
        log.warning("Store unavailable", reason=str(error))
        raise unavailable("The store of this pool") from error
    except StoreFullError as error:
        log.exception("No space left in the store")
        message = "The server has no space left. What was received before is kept; send this again later."
        raise DriveError(Code.INSUFFICIENT_STORAGE, message) from error
