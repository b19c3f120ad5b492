"""Migrations: in order, once, all of a file or nothing, and never over a database that they do not know."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from db_support import empty_database, watching
from structlog.testing import capture_logs

from drive.db.migrate import MigrationError, migrate, pending, read

NAMES = [migration.name for migration in read()]


@pytest_asyncio.fixture
async def empty_url(postgres_server_url: str) -> AsyncIterator[str]:
    async with empty_database(postgres_server_url) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give two migrations."""
    (tmp_path / "0001_one.sql").write_text("create table one (id int);\ninsert into one values (1);\n")
    (tmp_path / "0002_two.sql").write_text("create table two (id int)")
    return tmp_path


async def test_an_empty_database_gets_all_migrations_once(empty_url: str) -> None:
    assert await pending(empty_url) == NAMES
    with capture_logs() as logs:
        assert await migrate(empty_url) == NAMES
    assert logs == [{"event": "Migration applied", "name": name, "log_level": "info"} for name in NAMES]

    assert await pending(empty_url) == []
    assert await migrate(empty_url) == []
    async with watching(empty_url) as watcher:
        assert await watcher.fetchval("select count(*) from schema_migrations") == len(NAMES)


async def test_asking_what_is_pending_changes_nothing(empty_url: str, folder: Path) -> None:
    assert await pending(empty_url, folder) == ["0001_one", "0002_two"]

    async with watching(empty_url) as watcher:
        assert await watcher.fetchval("select count(*) from pg_tables where schemaname = 'public'") == 0


async def test_runs_at_the_same_time_wait_for_each_other(empty_url: str, folder: Path) -> None:
    (folder / "0001_one.sql").write_text("select pg_sleep(0.2); create table one (id int);")

    results = await asyncio.gather(*[migrate(empty_url, folder) for _ in range(5)])

    assert sorted(results) == [[], [], [], [], ["0001_one", "0002_two"]]


async def test_a_run_that_is_cancelled_leaves_nothing_locked_and_nothing_half_done(
    empty_url: str, folder: Path
) -> None:
    (folder / "0002_two.sql").write_text("create table two (id int); select pg_sleep(0.3)")
    first = asyncio.create_task(migrate(empty_url, folder))
    await asyncio.sleep(0.15)
    first.cancel()
    await asyncio.wait([first])

    assert await pending(empty_url, folder) in (["0001_one", "0002_two"], ["0002_two"])
    async with asyncio.timeout(10):
        assert (await migrate(empty_url, folder))[-1] == "0002_two"


async def test_new_migrations_follow_the_applied_ones(empty_url: str, folder: Path) -> None:
    await migrate(empty_url, folder)
    (folder / "0003_three.sql").write_text("alter table one add column name text")

    assert await pending(empty_url, folder) == ["0003_three"]
    assert await migrate(empty_url, folder) == ["0003_three"]


async def test_a_failing_migration_is_undone_and_the_ones_before_it_stay(empty_url: str, folder: Path) -> None:
    (folder / "0002_two.sql").write_text("create table two (id int); insert into two values ('text')")

    with pytest.raises(MigrationError, match=r"0002_two\.sql failed and was undone: invalid input syntax"):
        await migrate(empty_url, folder)

    async with watching(empty_url) as watcher:
        tables = await watcher.fetch("select tablename from pg_tables where schemaname = 'public' order by 1")
    assert [row["tablename"] for row in tables] == ["one", "schema_migrations"]
    (folder / "0002_two.sql").write_text("create table two (id int)")
    assert await migrate(empty_url, folder) == ["0002_two"]


async def test_a_changed_migration_is_refused(empty_url: str, folder: Path) -> None:
    await migrate(empty_url, folder)
    (folder / "0001_one.sql").write_text("create table one (id bigint)")
    (folder / "0003_three.sql").write_text("create table three (id int)")

    for action in (migrate, pending):
        with pytest.raises(MigrationError, match=r"0001_one\.sql has changed .* write the change as a new migration"):
            await action(empty_url, folder)
    async with watching(empty_url) as watcher:
        assert await watcher.fetchval("select to_regclass('three')") is None


async def test_a_database_that_is_newer_than_the_program_is_refused(empty_url: str, folder: Path) -> None:
    await migrate(empty_url, folder)
    (folder / "0002_two.sql").unlink()

    for action in (migrate, pending):
        with pytest.raises(MigrationError, match=r"0002_two\. The program is older than the database"):
            await action(empty_url, folder)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("0004_four.sql", r"0004_four\.sql .* should have the number 0003"),
        ("0002_again.sql", r"0002_two\.sql .* should have the number 0003"),
        ("0000_zero.sql", r"0000_zero\.sql .* should have the number 0001"),
        ("3_three.sql", r"3_three\.sql .* is not named like 0001_initial\.sql"),
        ("0003_three.sql~", r"0003_three\.sql~ .* is not named like"),
        ("0003-three.sql", r"0003-three\.sql .* is not named like"),
    ],
)
def test_files_are_numbered_one_after_the_other(folder: Path, name: str, problem: str) -> None:
    (folder / name).touch()

    with pytest.raises(MigrationError, match=problem):
        read(folder)
