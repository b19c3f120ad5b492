"""What lists read of folders, among very many entries."""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import pytest_asyncio
from dependency_injector.providers import Singleton
from folders_support import add_indexes, opened
from support.rows import add_files, connected

from drive.db.database import Database
from drive.files.lists import Filter
from drive.folders.service import Folders, View
from drive.peers.seed import PLAIN_ID
from drive.testing.databases import temporary_database

if TYPE_CHECKING:
    from asyncpg import Record

ACCOUNT = UUID(PLAIN_ID)
ENTRIES = 20_000
UNINDEXED = 7


class ExplainingDatabase(Database):
    """A database that keeps the plan of its last query, with what each step has read."""

    __slots__ = ("plan",)

    async def fetch(self, query: str, *args: Any) -> "list[Record]":
        explained = await super().fetch(f"explain (analyze, timing off, format json) {query}", *args)
        self.plan = explained[0][0]
        return await super().fetch(query, *args)

    def rows_read(self, table: str) -> int:
        """Return how many rows and index entries of a table were read."""
        return sum(
            int((step["Actual Rows"] + step.get("Rows Removed by Filter", 0)) * step["Actual Loops"])
            for step in _steps(self.plan)
            if step.get("Relation Name") == table
        )


def _steps(plan: Any) -> Iterator[dict[str, Any]]:
    import msgspec

    tree = msgspec.json.decode(plan) if isinstance(plan, str) else plan
    waiting = [entry["Plan"] for entry in tree]
    while waiting:
        step = waiting.pop()
        yield step
        waiting += step.get("Plans", [])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled_url(postgres_server_url: str, template_database_url: str) -> AsyncIterator[str]:
    """Give a database in which one account has very many files, few of them in a folder of their own, to be read."""
    async with temporary_database(postgres_server_url, template_database_url) as url:
        async with connected(url) as rows:
            await add_files(rows, ENTRIES + UNINDEXED)
            await add_indexes(rows, ENTRIES, "'/big/' || n % 30 || '/' || n || '/'")
            await add_indexes(rows, 10, "'/few/'")
            await add_indexes(rows, ENTRIES // 2, "'/many/'")
            await rows.execute("analyze files, file_indexes, folder_counts, usage")
        yield url


@pytest_asyncio.fixture
async def database(filled_url: str) -> AsyncIterator[ExplainingDatabase]:
    """Give that database."""
    async with opened(filled_url) as container:
        container.database.override(Singleton(ExplainingDatabase, container.database_pool, 5.0))
        database = container.database()
        assert isinstance(database, ExplainingDatabase)
        yield database


@pytest.mark.parametrize("order", ["date", "name", "size"])
async def test_browsing_reads_no_more_than_it_shows(database: ExplainingDatabase, order: str) -> None:
    folders = Folders(database)
    few = await folders.browse(ACCOUNT, "/few", View(order=order))
    assert (few.total_count, len(few.files), few.folders) == (10, 10, [])
    assert database.rows_read("file_indexes") < 50
    assert database.rows_read("files") < 100


@pytest.mark.parametrize("order", ["date", "name", "size"])
@pytest.mark.parametrize("descending", [True, False])
async def test_a_folder_of_very_many_files_is_read_for_what_is_shown(
    database: ExplainingDatabase, order: str, descending: bool
) -> None:
    many = await Folders(database).browse(ACCOUNT, "/many", View(order=order, descending=descending, offset=20))
    assert (many.total_count, len(many.files)) == (ENTRIES // 2, 20)
    assert database.rows_read("file_indexes") < 60
    assert database.rows_read("files") < 60
    assert database.rows_read("folder_counts") < 10


@pytest.mark.parametrize("order", ["date", "name", "size"])
@pytest.mark.parametrize("recycled", [True, False])
async def test_few_files_that_are_in_no_folder_are_found_among_very_many(
    database: ExplainingDatabase, order: str, recycled: bool
) -> None:
    which = Filter(order=order, recycled=recycled)
    files, total = await Folders(database).unindexed(ACCOUNT, which, offset=0, take=20)
    assert (total, len(files)) == ((0, 0) if recycled else (UNINDEXED, UNINDEXED))
    assert database.rows_read("files") < 60


async def test_folders_are_found_without_reading_what_is_in_them(database: ExplainingDatabase) -> None:
    big = await Folders(database).browse(ACCOUNT, "/big", View())
    assert (big.total_count, big.files, len(big.folders)) == (0, [], 30)
    assert database.rows_read("file_indexes") < 100
    assert database.rows_read("files") < 100


async def test_a_search_in_a_folder_reads_only_what_is_in_it(database: ExplainingDatabase) -> None:
    found = await Folders(database).search(ACCOUNT, "FILE", "/few", View(part="FILE"))
    assert found.total_count == 10
    assert database.rows_read("file_indexes") < 50
    assert database.rows_read("files") < 100


async def test_a_page_of_everything_reads_few_files(database: ExplainingDatabase) -> None:
    """The entries are counted, the files are not read for that."""
    everything = await Folders(database).everything(ACCOUNT, View())
    assert (everything.total_count, len(everything.files)) == (ENTRIES + ENTRIES // 2 + 10, 20)
    assert database.rows_read("file_indexes") < 100
    assert database.rows_read("files") < 200
