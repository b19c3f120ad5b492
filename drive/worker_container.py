"""The wiring of what `drive worker` does, on top of what serves. `drive serve` does not import it."""

from pathlib import Path
from typing import TYPE_CHECKING

from dependency_injector.providers import Callable, Dict, List, Singleton

from drive.billing.experience import Experience
from drive.clients.experiences import ExperiencesClient
from drive.containers import Container
from drive.events.accounts import ACCOUNT_DELETED_HANDLER, AccountDeletion
from drive.events.consumer import Consumer
from drive.events.nats import Link, Outage, close_nats, open_nats
from drive.events.publisher import Publisher
from drive.events.service import Events
from drive.events.streams import ACCOUNT_EVENTS, FILE_EVENTS
from drive.files.service import deletion
from drive.jobs.interfaces import Schedule
from drive.jobs.queue import Queue
from drive.jobs.schedules import Schedules
from drive.jobs.worker import Worker
from drive.lazy import Once
from drive.media.children import ChildLimits
from drive.media.making import Making
from drive.media.processing import Processing
from drive.media.work import Work, close_work, open_work
from drive.upkeep.expiry import Expiry
from drive.upkeep.folder_counts import FolderCounts
from drive.upkeep.objects import StoredObjects
from drive.upkeep.purge import Purge
from drive.upkeep.recycling import UnusedFiles
from drive.uploads.processed import Processed
from drive.uploads.sweep import Sweep

if TYPE_CHECKING:
    import nats.aio.client

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_ATTEMPTS_OF_A_DAY = 34  # with the pauses between them


def _media_folder(storage_path: Path) -> Path:
    return storage_path / "work" / "media"


class WorkerContainer(Container):
    """Drive's parts, and those of the worker."""

    _s = Container.settings.provided

    # ── Events: what other services are told over NATS, and ask for ──────────────────────────────────────────────────
    nats: "Once[nats.aio.client.Client]" = Once(open_nats, close=close_nats, url=_s.nats_url, outage=Singleton(Outage))
    _link = Singleton(Link, nats)
    account_deletion = Singleton(
        AccountDeletion,
        Container.database,
        Container.recycling.provided.delete_all_of,
        token_lifetime_s=_s.auth_cache_ttl_s,
    )
    events = Singleton(
        Events,
        is_on=Container.are_events_on,
        publisher=Singleton(
            Publisher, Container.database, _link, FILE_EVENTS, poll_interval_s=_s.worker_poll_interval_s
        ),
        account_deletions=Singleton(
            Consumer, _link, ACCOUNT_EVENTS, ACCOUNT_DELETED_HANDLER, account_deletion.provided.ask
        ),
    )

    # ── What jobs do ─────────────────────────────────────────────────────────────────────────────────────────────────
    experience = Singleton(Experience, Container.database, Singleton(ExperiencesClient, Container.experiences))
    sweep = Singleton(Sweep, Container.database, Container.stores)
    expiry = Singleton(Expiry, Container.database, Callable(deletion, "expired"))
    folder_counts = Singleton(FolderCounts, Container.database)
    unused_files = Singleton(UnusedFiles, Container.database, after_s=_s.recycle_after_s)
    purge = Singleton(
        Purge, Container.database, deleted_after_s=_s.purge_deleted_after_s, ended_after_s=_s.purge_ended_after_s
    )
    stored_objects = Singleton(StoredObjects, Container.database, Container.stores, orphan_after_s=_s.orphan_after_s)
    media_work: "Once[Work]" = Once(open_work, close=close_work, root=Callable(_media_folder, _s.storage_path))
    processing = Singleton(
        Processing,
        Container.database,
        Container.stores,
        media_work,
        Singleton(
            Making, Singleton(ChildLimits, _s.media_memory_mib, _s.media_timeout_s), max_pixels=_s.media_max_pixels
        ),
        Singleton(Processed, Container.database, Container.files, Container.feed).provided.tell,
        fetch_max_bytes=_s.media_fetch_max_bytes,
    )

    # ── Who does them, and when ──────────────────────────────────────────────────────────────────────────────────────
    queue = Singleton(Queue, Container.database, lease_s=_s.worker_lease_s)
    schedules = Singleton(
        Schedules,
        Container.database,
        List(
            Singleton(Schedule, "sweep", every_s=_s.worker_sweep_interval_s),
            Singleton(Schedule, "expire", every_s=_s.worker_sweep_interval_s),
            Singleton(Schedule, "fold", every_s=_s.worker_sweep_interval_s),
            Singleton(Schedule, "recycle", every_s=_DAY_S),
            Singleton(Schedule, "purge", every_s=_DAY_S, offset_s=1 * _HOUR_S),
            Singleton(Schedule, "check_objects", every_s=_DAY_S, offset_s=2 * _HOUR_S),
        ),
    )
    worker = Singleton(
        Worker,
        queue,
        schedules,
        jobs=Dict(
            check_objects=stored_objects.provided.check,
            delete_account=account_deletion.provided.delete,
            delete_object=sweep.provided.delete_object,
            doubt_payment=Container.orders.provided.doubt,
            expire=expiry.provided.expire,
            fold=folder_counts.provided.fold,
            give_experience=experience.provided.give,
            process_object=processing,
            purge=purge.provided.purge,
            recycle=unused_files.provided.recycle,
            sweep=sweep,
            withdraw_order=Container.orders.provided.withdraw,
        ),
        concurrency=Dict(quick=_s.worker_concurrency, media=_s.worker_media_concurrency),
        most_attempts=Dict(
            check_objects=3,
            delete_account=_ATTEMPTS_OF_A_DAY,
            delete_object=_ATTEMPTS_OF_A_DAY,
            give_experience=_ATTEMPTS_OF_A_DAY,
            purge=3,
            recycle=3,
        ),
        poll_interval_s=_s.worker_poll_interval_s,
    )
