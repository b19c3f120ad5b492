"""Pools as operators make, change and check them."""

import difflib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec

from drive.db.database import Database
from drive.errors import Code, DriveError, not_found
from drive.ids import new_id
from drive.pools.interfaces import DURATION, Policy
from drive.pools.service import QUERIES
from drive.storage.interfaces import Store
from drive.storage.stores import PoolStores, StoreConfig, StoreSecrets

if TYPE_CHECKING:
    from drive.lazy import Lazy

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,254}")
_MIME_PATTERN = re.compile(r"[\w.+-]+/([\w.+-]+|\*)|\*/\*", re.ASCII)


class Details(msgspec.Struct, kw_only=True, frozen=True):
    """The columns of a pool that are settings of it."""

    name: str = ""
    description: str = ""
    account_id: UUID | None = None
    is_hidden: bool = False
    cost_multiplier: float = 1.0


class Storage(StoreConfig, kw_only=True, frozen=True):
    """Where a pool stores, and for how long at most."""

    expiration: str | None = None


_PARTS: dict[str, type[msgspec.Struct]] = {
    "details": Details,
    "storage": Storage,
    "secrets": StoreSecrets,
    "policy": Policy,
}
_PART_OF = {field.name: (part, field) for part, struct in _PARTS.items() for field in msgspec.structs.fields(struct)}
KEYS = sorted(_PART_OF)
"""What can be set of a pool."""


class PoolSummary(msgspec.Struct, kw_only=True, frozen=True):
    """A pool with what is in it, and no secret."""

    id: UUID
    name: str
    description: str
    kind: str
    account_id: UUID | None
    is_hidden: bool
    cost_multiplier: float
    storage: dict[str, Any]
    policy: dict[str, Any]
    objects: int
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Probe:
    """An upload that tries a store."""

    object_id: str
    size_bytes: int
    chunk_size_bytes: int
    mime_type: str = "text/plain"


class PoolAdmin:
    """Makes, changes, lists and checks pools."""

    def __init__(self, database: Database, stores: PoolStores, session: "Lazy[Any]") -> None:
        self._database = database
        self._stores = stores
        self._session = session

    async def add(self, values: Mapping[str, str], *, pool_id: UUID | None = None) -> UUID:
        """Make a pool, and return its id.

        Raises:
            DriveError: VALIDATION_ERROR with every problem; CONFLICT where the id is taken.

        """
        parts = _checked({part: struct() for part, struct in _PARTS.items()}, values)
        made = await self._database.fetchval(QUERIES["add"], pool_id or uuid4(), *_columns(parts))
        if made is None:
            raise DriveError(Code.CONFLICT, f"There is a pool {pool_id} already. `drive pool edit` changes it.")
        return UUID(str(made))

    async def edit(self, pool_id: UUID, values: Mapping[str, str]) -> None:
        """Change what is given of a pool; an empty value puts the default back.

        Raises:
            DriveError: NOT_FOUND; VALIDATION_ERROR with every problem; CONFLICT where objects would be out of reach.

        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(QUERIES["for_edit"], pool_id)
            if row is None:
                raise not_found("Pool")
            await connection.execute(QUERIES["change"], pool_id, *_columns(_edited(row, values)))

    async def listed(self) -> list[PoolSummary]:
        """Return all pools that are not deleted, oldest first."""
        return [
            PoolSummary(
                id=row["id"],
                name=row["name"],
                description=row["description"],
                kind=row["storage_config"].get("kind", "local"),
                account_id=row["account_id"],
                is_hidden=row["is_hidden"],
                cost_multiplier=row["cost_multiplier"],
                storage=row["storage_config"],
                policy=row["policy_config"],
                objects=row["objects"],
                size_bytes=row["size_bytes"],
                created_at=row["created_at"],
            )
            for row in await self._database.fetch(QUERIES["summaries"])
        ]

    async def check(self, pool_id: UUID) -> None:
        """Store, read and delete an object of two chunks in a pool, as an upload would.

        Raises:
            DriveError: NOT_FOUND.
            Exception: whatever the store raises.

        """
        store = await self._stores.of(pool_id)
        chunk_bytes = max(store.least_chunk_bytes, 1024)
        probe = Probe(f"check_{new_id()}"[:32], chunk_bytes + 1, chunk_bytes)
        content = b"drive" * (probe.size_bytes // 5 + 1)
        try:
            await self._try(store, probe, content[: probe.size_bytes])
        finally:
            await store.discard(probe.object_id)
            await store.delete(probe.object_id)

    async def _try(self, store: Store, probe: Probe, content: bytes) -> None:
        tags = []
        for offset in range(0, probe.size_bytes, probe.chunk_size_bytes):
            data = content[offset : offset + probe.chunk_size_bytes]
            async with store.part(probe, offset=offset, most_bytes=len(data)) as part:
                await part.write(_body(data))
                tags.append(part.tag)
        await store.promote(probe, tags=tags, known=None)
        if b"".join([piece async for piece in store.read(probe.object_id)]) != content:
            raise OSError("what was read is not what was stored")
        url = store.url(probe.object_id, mime_type=probe.mime_type, disposition="inline", is_public=True)
        if url is not None:
            session = await self._session()
            async with session.get(url) as response:
                if await response.read() != content:
                    where = url.partition("?")[0]
                    raise OSError(f"clients are sent to {where}, which answers {response.status}")


def _edited(row: Any, values: Mapping[str, str]) -> dict[str, Any]:
    before: dict[str, Any] = {
        "details": msgspec.convert({key: row[key] for key in Details.__struct_fields__}, Details),
        "storage": msgspec.convert(row["storage_config"], Storage),
        "secrets": msgspec.convert(row["storage_secrets"], StoreSecrets),
        "policy": msgspec.convert(row["policy_config"], Policy),
    }
    after = _checked(before, values)
    if after["storage"].kind != before["storage"].kind:
        raise DriveError(Code.CONFLICT, "A pool keeps its kind: uploads may be under way. Make another pool.")
    if row["is_used"] and after["storage"].bucket != before["storage"].bucket:
        raise DriveError(Code.CONFLICT, "The pool has files in its bucket, which another lacks. Make another pool.")
    return after


def _checked(parts: Mapping[str, msgspec.Struct], values: Mapping[str, str]) -> dict[str, Any]:
    """Return the parts with the values put in.

    Raises:
        DriveError: VALIDATION_ERROR with every problem.

    """
    changed: dict[str, dict[str, Any]] = {part: {} for part in parts}
    problems: dict[str, str] = {}
    for key, text in values.items():
        if key not in _PART_OF:
            near = difflib.get_close_matches(key, KEYS, n=1)
            problems[key] = f"is unknown. {f'Did you mean {near[0]}?' if near else 'There are: ' + ', '.join(KEYS)}"
            continue
        part, field = _PART_OF[key]
        try:
            changed[part][key] = field.default if text == "" else _parsed(field.type, text)
        except msgspec.ValidationError as error:
            problems[key] = str(error)
    result = {part: msgspec.structs.replace(struct, **changed[part]) for part, struct in parts.items()}
    problems |= _wrong(result) if not problems else {}
    if problems:
        message = "\n".join(f"{key}: {problem}" for key, problem in problems.items())
        raise DriveError(Code.VALIDATION_ERROR, message, fields=problems)
    return result


def _parsed(kind: Any, text: str) -> Any:
    wanted = text.split(",") if kind == list[str] | None else text
    return msgspec.convert(wanted, kind, strict=False)


def _wrong(parts: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with values of the right types."""
    details, storage, secrets, policy = (parts[part] for part in _PARTS)
    is_s3 = storage.kind == "s3"
    rules = [
        ("name", 1 <= len(details.name) <= 1024 and "\0" not in details.name, "must have 1 to 1024 characters"),  # noqa: PLR2004
        ("cost_multiplier", 0 <= details.cost_multiplier < float("inf"), "must be 0 or more"),
        ("kind", storage.kind in {"local", "s3"}, "must be local or s3"),
        ("endpoint", not is_s3 or _HOST.fullmatch(storage.endpoint), "must be HOST or HOST:PORT, without http://"),
        ("bucket", not is_s3 or _BUCKET.fullmatch(storage.bucket), "must be the name of a bucket"),
        ("secret_id", not is_s3 or secrets.secret_id, "is needed: the access key's id"),
        ("secret_key", not is_s3 or secrets.secret_key, "is needed: write secret_key=@FILE, or @- for the terminal"),
        ("image_proxy", _is_url(storage.image_proxy), "must begin with http:// or https://"),
        ("access_proxy", _is_url(storage.access_proxy), "must begin with http:// or https://"),
        (
            "expiration",
            storage.expiration is None or DURATION.fullmatch(storage.expiration),
            "must be H:MM:SS, such as 720:00:00 for 30 days",
        ),
        (
            "accept_types",
            all(_MIME_PATTERN.fullmatch(one) for one in policy.accept_types or []),
            "must be types such as image/png,video/*",
        ),
        ("max_file_size", (policy.max_file_size or 0) >= 0, "must be 0 or more bytes"),
    ]
    return {key: problem for key, is_right, problem in rules if not is_right}


def _is_url(text: str | None) -> bool:
    return text is None or text.startswith(("http://", "https://"))


def _columns(parts: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values of `add` and `change`, after the id. What is at its default is not written."""
    details = parts["details"]
    return (
        details.name,
        details.description,
        details.account_id,
        details.is_hidden,
        details.cost_multiplier,
        _set_of(parts["storage"]) | {"kind": parts["storage"].kind},
        _set_of(parts["secrets"]),
        _set_of(parts["policy"]),
    )


def _set_of(struct: msgspec.Struct) -> dict[str, Any]:
    defaults = type(struct)()
    return {key: value for key, value in msgspec.structs.asdict(struct).items() if value != getattr(defaults, key)}


async def _body(data: bytes) -> AsyncIterator[bytes]:
    yield data
