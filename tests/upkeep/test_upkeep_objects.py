"""The stores hold what the database says, and nothing else."""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from support.rows import Rows, add_pool
from upkeep_support import add_objects, add_upload

from drive.lazy import lifespan
from drive.settings import Settings
from drive.worker_container import WorkerContainer

DAY_S = 24 * 3600


@pytest_asyncio.fixture
async def container(settings: Settings) -> AsyncIterator[WorkerContainer]:
    """Give a container whose jobs can be called."""
    container = WorkerContainer(settings=settings)
    async with lifespan(container):
        yield container


def plant(settings: Settings, *names: str, age_s: float = 2 * DAY_S) -> None:
    """Put files into the store."""
    for name in names:
        file = place(settings, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
        at = time.time() - age_s
        os.utime(file, (at, at))


def place(settings: Settings, name: str) -> Path:
    return settings.storage_path / "objects" / name[:2] / name


def stored(settings: Settings) -> set[str]:
    return {one.name for one in (settings.storage_path / "objects").rglob("*") if one.is_file()}


async def checked(container: WorkerContainer) -> list[Any]:
    with capture_logs() as lines:
        await container.stored_objects().check({})
    return list(lines)


async def test_what_no_row_knows_is_deleted_once_it_is_old(
    container: WorkerContainer, rows: Rows, settings: Settings
) -> None:
    await add_objects(rows, "known", "other")
    await add_upload(rows, "uploading")
    await add_upload(rows, "ended", status=5, ended="now()")
    keep = {"known", "known.webp", "other", "uploading", "not ours", "x.webp.exe"}
    plant(settings, *keep, "orphan", "orphan.webp", "ended", "known.compressed.new")
    plant(settings, "young", "young.webp", "known.webp.new", age_s=DAY_S / 2)
    lines = await checked(container)
    assert stored(settings) == keep | {"young", "young.webp", "known.webp.new"}
    deleted = {line["name"] for line in lines if line["event"] == "Orphan deleted"}
    assert deleted == {"orphan", "orphan.webp", "ended", "known.compressed.new"}
    (summary,) = [line for line in lines if line["event"] == "Objects checked"]
    assert (summary["orphans"], summary["missing"]) == (4, 0)


async def test_a_row_whose_object_is_missing_is_told(
    container: WorkerContainer, rows: Rows, settings: Settings
) -> None:
    """However its id compares with the others', and where it has a variant left. Nothing is changed for it."""
    names = ["-first", "Aa", "aa", "ab", "ab-", "zz", "zzz"]
    await add_objects(rows, *names, "mm", "m_", "_last", "a1", "zz9")
    plant(settings, *names, "mm.webp")
    lines = await checked(container)
    missing = {line["object_id"] for line in lines if line["event"] == "Object missing"}
    assert missing == {"mm", "m_", "_last", "a1", "zz9"}
    assert await rows.fetchval("select count(*) from objects") == 12


async def test_an_object_that_was_just_recorded_is_not_missed(
    container: WorkerContainer, rows: Rows, settings: Settings
) -> None:
    await add_objects(rows, "later", age="-1 hour")
    plant(settings, "other", age_s=0)
    assert [line for line in await checked(container) if line["event"] == "Object missing"] == []


async def test_many_missing_objects_are_told_up_to_a_limit(
    container: WorkerContainer, rows: Rows, settings: Settings
) -> None:
    await add_objects(rows, *(f"{n:03}" for n in range(250)))
    plant(settings, "249", "100")
    lines = await checked(container)
    assert len([line for line in lines if line["event"] == "Object missing"]) == 100


async def test_a_wrong_database_costs_no_object(container: WorkerContainer, rows: Rows, settings: Settings) -> None:
    """As an empty one would, or that of another service: where most look like orphans, none is deleted."""
    await add_objects(rows, "known")
    names = {"known", *(f"object-{n}" for n in range(30))}
    plant(settings, *names)
    lines = await checked(container)
    assert stored(settings) == names
    assert [line["orphans"] for line in lines if line["event"] == "Too many orphans"] == [30]


async def test_more_than_a_page_of_orphans_among_many_objects(
    container: WorkerContainer, rows: Rows, settings: Settings
) -> None:
    known = [f"aa{n}" for n in range(1500)]
    await add_objects(rows, *known)
    plant(settings, *known, *(f"ab{n}" for n in range(1100)))
    lines = await checked(container)
    assert stored(settings) == set(known)
    assert len([line for line in lines if line["event"] == "Orphan deleted"]) == 1100


async def test_each_pools_store_is_checked_and_one_that_is_down_does_not_keep_the_others(
    container: WorkerContainer, rows: Rows, settings: Settings
) -> None:
    """Be it that it cannot be reached, or that its configuration lacks something."""
    config = {"kind": "s3", "endpoint": "127.0.0.1:9", "bucket": "b"}
    for secrets in ({}, {"secret_id": "id", "secret_key": "key"}):
        await rows.execute(
            "update pools set storage_config = $2, storage_secrets = $3 where id = $1",
            await add_pool(rows),
            config,
            secrets,
        )
    await add_objects(rows, "known")
    plant(settings, "known", "orphan")
    lines = await checked(container)
    assert stored(settings) == {"known"}
    assert len([line for line in lines if line["event"] == "Store not checked"]) == 2


@pytest.mark.parametrize("folder", [True, False])
async def test_a_store_in_which_nothing_was_ever_stored(
    container: WorkerContainer, rows: Rows, settings: Settings, folder: bool
) -> None:
    if folder:
        (settings.storage_path / "objects").mkdir(parents=True)
    await add_objects(rows, "lost")
    assert [line["object_id"] for line in await checked(container) if line["event"] == "Object missing"] == ["lost"]
