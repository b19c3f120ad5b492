"""What the model remembers: pools, files, uploads and bundles."""

import hashlib
from dataclasses import dataclass, field

from drive.peers.seed import ADMIN_ID, PLAIN_ID, REALM_ID, SUBSCRIBER_ID
from drive.uploads.interfaces import TaskStatus

MIB = 1024 * 1024
IDS = {"plain": PLAIN_ID, "subscriber": SUBSCRIBER_ID, "admin": ADMIN_ID}
OWNERS = ("plain", "subscriber")
"""Whose files the model knows. One of them belongs to the realm, the other may choose slugs."""
READERS = ("plain", "subscriber", "admin", None)
MEMBERS = frozenset({"plain", "admin"})
QUOTA_MIB = {"plain": 2, "subscriber": 3}

PAST, LATER = "2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z"
WINDOW_S, MOST_WRONG = 60.0, 10


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(slots=True)
class Clock:
    """A clock that stands until it is moved."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool: its policy, and who sees it."""

    id: str
    multiplier: float = 1.0
    owner: str | None = None
    """Whose alone it is."""
    allow_anonymous: bool = True
    most_bytes: int | None = None


@dataclass(slots=True, eq=False)
class Bundle:
    """A bundle that is there, or was while files went to it."""

    id: str
    owner: str
    slug: str
    name: str
    description: str
    passcode: str | None
    expired_at: str | None
    realm_id: str | None
    is_deleted: bool = False
    is_known: bool = False
    """Whether the service has seen the right passcode since it was set."""
    wrong: int = 0
    """Attempts since the window opened."""
    window_ends_s: float = 0.0

    @property
    def has_ended(self) -> bool:
        return self.is_deleted or self.expired_at == PAST

    @property
    def shown(self) -> dict[str, object]:
        """What a client is shown, without the files."""
        return {
            "id": self.id,
            "slug": self.slug,
            "name": self.name,
            "description": self.description,
            "has_passcode": self.passcode is not None,
            "realm_id": self.realm_id,
            "expired_at": self.expired_at,
            "account_id": IDS[self.owner],
            "deleted_at": None,
        }


@dataclass(slots=True, eq=False)
class File:
    """A file, or what an upload is to become."""

    owner: str
    name: str
    pool: Pool
    mime_type: str = "application/octet-stream"
    bundle: Bundle | None = None
    visibility: str = "public"
    expired_at: str | None = None
    content: bytes = b""
    id: str = ""
    number: int = 0
    """The order in which files were made."""
    is_recycled: bool = False
    user_meta: object = None
    sensitive_marks: list[int] | None = None

    @property
    def realm_id(self) -> str | None:
        return REALM_ID if self.visibility == "realm" else None

    @property
    def has_expired(self) -> bool:
        return self.expired_at == PAST

    @property
    def object_key(self) -> tuple[str, str, bytes]:
        """What files share their bytes by."""
        return self.owner, self.pool.id, self.content

    @property
    def shown(self) -> dict[str, object]:
        """What a client is shown, but for the object and the times."""
        return {
            "id": self.id,
            "name": self.name,
            "description": None,
            "file_meta": None,
            "user_meta": self.user_meta,
            "sensitive_marks": self.sensitive_marks,
            "mime_type": self.mime_type,
            "hash": sha256(self.content),
            "expired_at": self.expired_at,
            "size": len(self.content),
            "variants": {},
            "has_compression": False,
            "has_thumbnail": False,
            "is_encrypted": False,
            "pool_id": self.pool.id,
            "bundle_id": self.bundle and self.bundle.id,
            "visibility": self.visibility,
            "realm_id": self.realm_id,
            "is_marked_recycle": self.is_recycled,
            "storage_url": None,
            "references": [],
            "account_id": IDS[self.owner],
            "resource_identifier": f"file:{self.id}",
            "deleted_at": None,
        }


@dataclass(slots=True, eq=False)
class Upload:
    """An upload, whatever has become of it."""

    draft: File
    content: bytes
    """What its client means to send."""
    size: int
    chunk_bytes: int = 1
    declared: str | None = None
    """The SHA-256, where it is one."""
    path: str | None = None
    id: str = ""
    """Clients learn none of direct uploads."""
    is_tus: bool = False
    status: TaskStatus = TaskStatus.IN_PROGRESS
    chunks: dict[int, bytes] = field(default_factory=dict)
    arrived: bytes = b""
    """Of one that comes by tus."""
    name: str = field(init=False)
    """As it was begun under; its file may be renamed."""

    def __post_init__(self) -> None:
        self.name = self.draft.name

    @property
    def is_open(self) -> bool:
        return self.status is TaskStatus.IN_PROGRESS

    @property
    def chunks_count(self) -> int:
        return -(-self.size // self.chunk_bytes)

    @property
    def chunks_there(self) -> list[int]:
        """The indexes of those that need not be sent again."""
        if self.status is TaskStatus.COMPLETED:
            return list(range(self.chunks_count))
        if not self.is_open:
            return []
        if not self.is_tus:
            return sorted(self.chunks)
        return list(range(len(self.arrived) // self.chunk_bytes))

    @property
    def arrived_bytes(self) -> int:
        return len(self.arrived) if self.is_tus else sum(map(len, self.chunks.values()))

    @property
    def percent(self) -> float:
        if self.status is TaskStatus.COMPLETED or not self.chunks_count:
            return 100.0
        return 100 * len(self.chunks_there) / self.chunks_count

    def part(self, index: int) -> bytes:
        """Return what belongs into a chunk."""
        return self.content[index * self.chunk_bytes : (index + 1) * self.chunk_bytes]
