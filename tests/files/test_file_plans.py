"""What lists read of files, among very many, by the plan that is kept for whatever is asked."""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from support.rows import Rows, add_files, connected

from drive.files.lists import ORDERS, Filter, files_of_account
from drive.peers.seed import PLAIN_ID, SUBSCRIBER_ID
from drive.testing.databases import temporary_database

if TYPE_CHECKING:
    from drive.db.database import Database

COUNT, FEW, TAKE = 20_000, 100, 20
OTHERS = 40
LARGE, SMALL = UUID(PLAIN_ID), UUID(SUBSCRIBER_ID)


class KeptPlans:
    """Stands for a database whose statements have been prepared, and run so often that PostgreSQL keeps their plans."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.steps: list[dict[str, Any]] = []
        """Those of the last query that have read files."""

    async def fetch(self, query: str, *args: Any) -> Any:
        literals = ", ".join("null" if one is None else f"'{one}'" for one in args)
        await self._rows.execute(f"prepare kept (uuid, uuid, boolean, text, bigint, bigint) as {query}")
        plan = await self._rows.fetchval(f"explain (analyze, timing off, format json) execute kept ({literals})")
        await self._rows.execute("deallocate kept")
        tree = msgspec.json.decode(plan) if isinstance(plan, str) else plan
        self.steps = [step for step in _steps(tree[0]["Plan"]) if step.get("Relation Name") == "files"]
        return await self._rows.fetch(query, *args)

    def files_read(self, *, or_their_entries: bool) -> int:
        """Return how many files were read, or how many of them or of their entries in indexes."""
        steps = [step for step in self.steps if or_their_entries or step["Node Type"] != "Index Only Scan"]
        return sum(
            int((step["Actual Rows"] + step.get("Rows Removed by Filter", 0)) * step["Actual Loops"]) for step in steps
        )


def _steps(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for below in step.get("Plans", []):
        yield from _steps(below)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled_url(postgres_server_url: str, template_database_url: str) -> AsyncIterator[str]:
    """Give a database in which one account has most of the files, and others a few each, to be read."""
    async with temporary_database(postgres_server_url, template_database_url) as url:
        async with connected(url) as rows:
            await add_files(rows, COUNT + OTHERS * FEW)
            await rows.execute(
                "update files set account_id = case when size_bytes > $2 + $3 then"
                " ('00000000-0000-4000-8000-' || lpad((size_bytes / $3)::text, 12, '0'))::uuid else $1::uuid end"
                " where size_bytes > $2",
                SMALL,
                COUNT,
                FEW,
            )
            await rows.execute("vacuum analyze files, usage")
        yield url


@pytest_asyncio.fixture
async def database(filled_url: str) -> AsyncIterator[KeptPlans]:
    """Give that database."""
    async with connected(filled_url) as rows:
        await rows.execute("set plan_cache_mode = force_generic_plan")
        yield KeptPlans(rows)


async def listed(database: KeptPlans, account_id: UUID, which: Filter, offset: int = 0) -> tuple[int, int]:
    """Return how many files a page shows, and how many there are in all."""
    files, total = await files_of_account(cast("Database", database), account_id, which, offset=offset, take=TAKE)
    return len(files), total


@pytest.mark.parametrize("order", sorted(ORDERS))
@pytest.mark.parametrize("descending", [True, False])
async def test_a_late_page_passes_over_files_in_the_index_alone(
    database: KeptPlans, order: str, descending: bool
) -> None:
    which = Filter(order=order, descending=descending)
    assert await listed(database, LARGE, which, COUNT - TAKE) == (TAKE, COUNT)
    assert database.files_read(or_their_entries=False) <= TAKE


@pytest.mark.parametrize("order", sorted(ORDERS))
async def test_a_name_that_no_file_has_is_looked_for_in_the_index_alone(database: KeptPlans, order: str) -> None:
    assert await listed(database, LARGE, Filter(order=order, name_part="no such")) == (0, 0)
    assert database.files_read(or_their_entries=False) == 0


async def test_a_search_looks_at_no_names_of_others(database: KeptPlans) -> None:
    assert await listed(database, SMALL, Filter(name_part="FILE 20")) == (TAKE, FEW)
    assert database.files_read(or_their_entries=True) <= 2 * FEW + TAKE
