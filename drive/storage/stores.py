"""Which store a pool has."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import structlog

from drive.db.database import Database
from drive.db.queries import load_queries
from drive.errors import not_found
from drive.storage.interfaces import Store, StoreUnavailableError
from drive.storage.local import LocalStore

if TYPE_CHECKING:
    import aiohttp

    from drive.lazy import Lazy

log = structlog.get_logger()

QUERIES = load_queries(__package__)

_REMEMBERED_S = 60.0  # until a change to a pool's storage is heeded everywhere


class StoreConfig(msgspec.Struct, kw_only=True, frozen=True):
    """What `pools.storage_config` holds; what is not named here concerns others."""

    kind: str = "local"
    endpoint: str = ""
    bucket: str = ""
    region: str = ""
    enable_ssl: bool = False
    enable_signed: bool = False
    access_endpoint: str | None = None
    image_proxy: str | None = None
    access_proxy: str | None = None


class StoreSecrets(msgspec.Struct, kw_only=True, frozen=True):
    """What `pools.storage_secrets` holds."""

    secret_id: str = ""
    secret_key: str = ""

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "StoreSecrets(…)"


class PoolStores:
    """A `Stores`: builds what a pool's row says, and keeps it for as long as the row stays the same.

    Args:
        local: the store of all pools of kind `local`.
        database: where the pools are.
        session: of outgoing HTTP, for buckets.
        storage_path: below it, in `work`, is what is on its way to a bucket.

    """

    def __init__(
        self, local: LocalStore, database: Database, session: "Lazy[aiohttp.ClientSession]", *, storage_path: Path
    ) -> None:
        self._local = local
        self._database = database
        self._session = session
        self._work = storage_path / "work"
        self._known: dict[UUID, tuple[float, Store]] = {}
        self._built: dict[tuple[StoreConfig, str, str], Store] = {}

    async def of(self, pool_id: UUID) -> Store:
        """Return the store of a pool, deleted or not."""
        now_s = asyncio.get_running_loop().time()
        until_s, store = self._known.get(pool_id, (0.0, None))
        if store is None or until_s <= now_s:
            row = await self._database.fetchrow(QUERIES["pool"], pool_id)
            if row is None:
                raise not_found("Pool")
            store = self._from_row(row)
            self._known[pool_id] = now_s + _REMEMBERED_S, store
        return store

    async def all(self) -> list[Store]:
        """Return the stores of all pools, deleted or not, each once."""
        rows = await self._database.fetch(QUERIES["pools"])
        stores: dict[int, Store] = {id(self._local): self._local}
        for row in rows:
            try:
                store = self._from_row(row)
            except StoreUnavailableError as error:  # the others are there all the same
                log.warning("Store not usable", reason=str(error))
            else:
                stores[id(store)] = store
        return list(stores.values())

    def _from_row(self, row: Any) -> Store:
        try:
            config = msgspec.convert(row["storage_config"], StoreConfig)
            secrets = msgspec.convert(row["storage_secrets"], StoreSecrets)
            return self.build(config, secrets)
        except (ValueError, msgspec.ValidationError) as error:
            raise StoreUnavailableError(f"pool {row['id']} is configured wrongly: {error}") from error

    def build(self, config: StoreConfig, secrets: StoreSecrets) -> Store:
        """Return the store for a configuration; equal ones give the same, as locks and memory must be shared.

        Raises:
            ValueError: there is no such kind of store.

        """
        if config.kind == "local":
            return self._local
        key = config, secrets.secret_id, secrets.secret_key
        if key not in self._built:
            self._built[key] = self._remote(config, secrets)
        return self._built[key]

    def _remote(self, config: StoreConfig, secrets: StoreSecrets) -> Store:
        if config.kind == "memory":
            from drive.storage.memory import MemoryStore

            return MemoryStore()
        if config.kind != "s3":
            raise ValueError(f"there is no store of kind {config.kind!r}")
        from drive.storage.bucket import Bucket
        from drive.storage.redirects import Redirects
        from drive.storage.s3 import S3Store

        bucket = Bucket(
            self._session,
            url=f"http{'s' * config.enable_ssl}://{config.endpoint}/{config.bucket}",
            region=config.region or "us-east-1",
            access_key_id=secrets.secret_id,
            secret_access_key=secrets.secret_key,
        )
        redirects = Redirects(
            image_proxy=config.image_proxy,
            access_proxy=config.access_proxy,
            enable_signed=config.enable_signed,
            access_endpoint=config.access_endpoint,
        )
        return S3Store(bucket, redirects, self._work)
