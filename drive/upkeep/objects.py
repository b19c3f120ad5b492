"""The job `check_objects`: whether the stores hold what the database says, and nothing else."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from drive.db.database import Database
from drive.errors import DriveError
from drive.storage.interfaces import Store, StoredObject, Stores, StoreUnavailableError
from drive.upkeep.recycling import QUERIES

log = structlog.get_logger()

# An object, a variant of one, or what a crash left of writing either. Other names are not ours, and left alone.
_NAME = re.compile(r"([A-Za-z0-9_-]{1,32})(\.[a-z]+)?(\.new)?")
_MOST_MISSING = 100
_MOST_ORPHANS = 10_000
# With more, it is rather the database that is wrong: an empty one, an old backup, or another service's.
_FEW_ORPHANS = 20
_LARGEST_SHARE = 0.5


@dataclass(slots=True)
class _Findings:
    seen: int = 0
    orphans: int = 0
    missing: int = 0
    names: list[str] = field(default_factory=list)
    """Of orphans, as many as one turn deletes."""


class StoredObjects:
    """Deletes what no row knows, and reports rows whose object is missing.

    Args:
        database: what should be stored.
        stores: where it is.
        orphan_after_s: how old an object without a row must be: younger ones may be about to get theirs.

    """

    def __init__(self, database: Database, stores: Stores, *, orphan_after_s: float) -> None:
        self._database = database
        self._stores = stores
        self._orphan_after = timedelta(seconds=orphan_after_s)

    async def check(self, _payload: dict[str, Any]) -> None:
        """Check each store once."""
        rows = await self._database.fetch(QUERIES["pools"])
        pools_of: dict[int, list[UUID]] = defaultdict(list)
        stores: dict[int, Store] = {}
        for row in rows:
            try:
                store = await self._stores.of(row["id"])
            except (DriveError, StoreUnavailableError) as error:  # the others are checked all the same
                log.warning("Store not checked", pool_id=str(row["id"]), reason=str(error))
                continue
            stores[id(store)] = store
            pools_of[id(store)].append(row["id"])
        for key, store in stores.items():
            try:
                await self._check(store, pools_of[key], rows[0]["asked_at"])
            except (StoreUnavailableError, ValueError) as error:
                log.warning("Store not checked", pool_id=str(pools_of[key][0]), reason=str(error))

    async def _check(self, store: Store, pool_ids: Sequence[UUID], asked_at: datetime) -> None:
        found, after_id = _Findings(), ""
        async for page in store.stored():
            ours = [(match[1], one) for one in page if (match := _NAME.fullmatch(one.name))]
            if not ours:
                continue
            found.seen += len(ours)
            await self._gather_orphans(found, ours, asked_at)
            last_id = max(object_id for object_id, _ in ours)  # pages come in the order of names
            present = [one.name for _, one in ours]
            await self._report_missing(found, pool_ids, after_id, last_id, present, asked_at)
            after_id = max(after_id, last_id)
        await self._report_missing(found, pool_ids, after_id, None, [], asked_at)
        await self._delete_orphans(store, found)
        log.info("Objects checked", objects=found.seen, orphans=found.orphans, missing=found.missing)

    async def _gather_orphans(self, found: _Findings, ours: list[tuple[str, StoredObject]], asked_at: datetime) -> None:
        """Ask, after it was listed, who knows what: an upload that completes meanwhile has its row then."""
        old = [(object_id, one) for object_id, one in ours if one.modified_at < asked_at - self._orphan_after]
        ids = list({object_id for object_id, _ in old})
        known = {row["id"] for row in await self._database.fetch(QUERIES["known_among"], ids)} if ids else set()
        orphans = [one.name for object_id, one in old if object_id not in known or one.name.endswith(".new")]
        found.orphans += len(orphans)
        found.names += orphans[: _MOST_ORPHANS - len(found.names)]

    async def _report_missing(
        self,
        found: _Findings,
        pool_ids: Sequence[UUID],
        after_id: str,
        last_id: str | None,
        present: list[str],
        asked_at: datetime,
    ) -> None:
        most = _MOST_MISSING - found.missing
        if most == 0:
            return
        rows = await self._database.fetch(
            QUERIES["missing_between"], pool_ids, after_id, last_id, present, asked_at, most
        )
        found.missing += len(rows)
        for row in rows:
            log.error("Object missing", object_id=row["id"])

    async def _delete_orphans(self, store: Store, found: _Findings) -> None:
        if found.orphans > max(_FEW_ORPHANS, found.seen * _LARGEST_SHARE):
            hint = "None was deleted. Is this the database that belongs to this store?"
            log.error("Too many orphans", objects=found.seen, orphans=found.orphans, hint=hint)
            return
        for name in found.names:
            await store.delete(name)
            log.info("Orphan deleted", name=name)
