"""What is there, and what follows from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from drive.errors import Code
from drive.peers.seed import REALM_ID
from drive.uploads.interfaces import TaskStatus
from support.model.values import (
    MEMBERS,
    MIB,
    MOST_WRONG,
    QUOTA_MIB,
    WINDOW_S,
    Bundle,
    Clock,
    File,
    Pool,
    Upload,
)

CHUNK_BYTES, CHUNK_MAX_BYTES, CHUNKS_MAX = 16, 32, 8
FILE_MAX_BYTES, DIRECT_MAX_BYTES = 200, 64


@dataclass(slots=True)
class World:
    """Everything that the accounts have. `files` are in the order in which they were made."""

    pools: list[Pool]
    clock: Clock
    files: list[File] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    bundles: list[Bundle] = field(default_factory=list)
    entries: dict[str, tuple[File, str]] = field(default_factory=dict)
    """Of folders, by id: a file and its path."""
    objects: dict[tuple[str, str, bytes], str] = field(default_factory=dict)
    """What is stored, by whose, where and what it is."""
    made: int = 0

    # Files

    def files_of(self, account: str, *, recycled: bool = False) -> list[File]:
        return [file for file in self.files if file.owner == account and file.is_recycled == recycled]

    def add(self, file: File, file_id: str) -> None:
        """A file was made."""
        self.made += 1
        file.id, file.number = file_id, self.made
        file.is_recycled = file.bundle is not None and file.bundle.is_deleted
        self.files.append(file)

    def delete(self, files: Iterable[File]) -> int:
        """Delete files with their entries, and return how many there were."""
        gone = list(files)
        self.files = [file for file in self.files if file not in gone]
        self.entries = {index_id: entry for index_id, entry in self.entries.items() if entry[0] not in gone}
        wanted = {file.object_key for file in self.files}
        self.objects = {key: object_id for key, object_id in self.objects.items() if key in wanted}
        return len(gone)

    def same(self, draft: File, content: bytes) -> File | None:
        """Return the file that spares an upload: of these bytes, for the same readers, with the same end."""
        for file in self.files:
            is_same = (
                file.object_key == (draft.owner, draft.pool.id, content)
                and not file.is_recycled
                and not file.has_expired
                and file.bundle is draft.bundle
                and file.visibility == draft.visibility
                and file.expired_at == draft.expired_at
            )
            if is_same:
                return file
        return None

    def enter(self, file: File, path: str, index_id: str) -> None:
        """Put a file into a folder."""
        self.entries[index_id] = file, path

    def is_in(self, file: File, path: str) -> bool:
        return any(entry == (file, path) for entry in self.entries.values())

    def entries_of(self, account: str) -> dict[str, tuple[File, str]]:
        """Return those that are shown."""
        return {
            index_id: (file, path)
            for index_id, (file, path) in self.entries.items()
            if file.owner == account and not file.is_recycled
        }

    # Quota

    def stored_mib(self, account: str, pool: Pool) -> float:
        """Return what files in a pool cost."""
        sizes = (len(file.content) for file in self.files if file.owner == account and file.pool == pool)
        return sum(sizes) * pool.multiplier / MIB

    def reserved_bytes(self, account: str) -> int:
        return sum(it.size for it in self.uploads if it.draft.owner == account and it.is_open)

    def has_room(self, account: str, pool: Pool, size: int) -> bool:
        open_ = (it for it in self.uploads if it.draft.owner == account and it.is_open)
        reserved = sum(it.size * it.draft.pool.multiplier for it in open_) / MIB
        used = sum(self.stored_mib(account, one) for one in self.pools)
        return used + reserved + size * pool.multiplier / MIB <= QUOTA_MIB[account]

    # Uploads

    def refusal(self, draft: File, size: int) -> Code | None:
        """Tell why an upload cannot be created; its quota is asked for at last."""
        if size > FILE_MAX_BYTES:
            return Code.TOO_LARGE
        if draft.pool.owner not in {None, draft.owner}:
            return Code.NOT_FOUND
        if draft.pool.most_bytes is not None and size > draft.pool.most_bytes:
            return Code.FORBIDDEN
        if draft.visibility == "realm" and draft.owner not in MEMBERS:
            return Code.NOT_FOUND
        return self.bundle_refusal(draft)

    def bundle_refusal(self, draft: File) -> Code | None:
        if draft.bundle is None:
            return None
        if draft.bundle.owner != draft.owner or draft.bundle.is_deleted:
            return Code.NOT_FOUND
        return Code.CONFLICT if draft.bundle.has_ended else None

    def finish(self, upload: Upload, content: bytes, file_id: str) -> File:
        """An upload has become a file."""
        upload.status, upload.size = TaskStatus.COMPLETED, len(content)
        upload.draft.content = content
        self.add(upload.draft, file_id)
        return upload.draft

    # Bundles

    def bundles_of(self, account: str) -> list[Bundle]:
        return [bundle for bundle in self.bundles if bundle.owner == account and not bundle.is_deleted]

    def has_slug(self, slug: str) -> bool:
        return any(bundle.slug == slug and not bundle.is_deleted for bundle in self.bundles)

    def delete_bundle(self, bundle: Bundle) -> None:
        bundle.is_deleted = True
        for file in self.files:
            file.is_recycled = file.is_recycled or file.bundle is bundle

    def shown_in(self, bundle: Bundle, reader: str | None) -> list[File]:
        """Return the files that somebody sees who may see the bundle."""
        is_owner, is_member = reader == bundle.owner, bundle.realm_id is not None and reader in MEMBERS
        return [
            file
            for file in self.files
            if file.bundle is bundle
            and not file.is_recycled
            and not file.has_expired
            and (is_owner or file.visibility == "public" or (file.visibility == "realm" and is_member))
            and (reader is not None or file.pool.allow_anonymous)
        ]

    def bundle_reading(self, bundle: Bundle, reader: str | None, passcode: str | None) -> Code | None:
        """Tell why somebody may not see a bundle, or the files in it; wrong passcodes are counted."""
        if reader == bundle.owner:
            return None
        if bundle.has_ended:
            return Code.NOT_FOUND
        if bundle.passcode is None and bundle.realm_id is None:
            return None
        if bundle.passcode is not None and passcode is not None:
            refused = self._try(bundle, passcode)
            if refused is not Code.FORBIDDEN:
                return refused
        if bundle.realm_id == REALM_ID and reader in MEMBERS:
            return None
        return Code.NOT_FOUND if bundle.passcode is None else Code.FORBIDDEN

    def _try(self, bundle: Bundle, passcode: str) -> Code | None:
        is_right = passcode == bundle.passcode
        if is_right and bundle.is_known:
            return None
        if bundle.window_ends_s <= self.clock.now_s:
            bundle.window_ends_s, bundle.wrong = self.clock.now_s + WINDOW_S, 0
        if bundle.wrong >= MOST_WRONG:
            return Code.TOO_MANY_REQUESTS
        if not is_right:
            bundle.wrong += 1
            return Code.FORBIDDEN
        bundle.is_known = True
        return None

    # Reading

    def reading(self, file: File, reader: str | None, passcode: str | None) -> Code | None:
        """Tell why somebody may not read a file."""
        if file not in self.files:
            return Code.NOT_FOUND
        is_owner = reader == file.owner
        if not is_owner and not (file.visibility == "public" or (file.visibility == "realm" and reader in MEMBERS)):
            return Code.NOT_FOUND
        if reader is None and not file.pool.allow_anonymous:
            return Code.UNAUTHORIZED
        if not is_owner and (file.is_recycled or file.has_expired):
            return Code.NOT_FOUND
        return None if file.bundle is None else self.bundle_reading(file.bundle, reader, passcode)


def fitted(size: int, asked: int | None) -> int:
    """Return the chunk size that an upload gets."""
    return max(min(asked or CHUNK_BYTES, CHUNK_MAX_BYTES), -(-size // CHUNKS_MAX), 1)


def sort_key(order: str, file: File) -> tuple[object, ...]:
    """Return what files are sorted by, ascending. No two have the same date."""
    return {"date": (file.number,), "name": (file.name, file.id), "size": (len(file.content), file.id)}[order]
