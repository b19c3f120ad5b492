"""What each statement reads of references and files, among very many of both."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from support.rows import Rows, add_files, connected

from drive.files.lists import QUERIES as FILE_QUERIES
from drive.references.service import QUERIES

COUNT = 20_000
FEW = ["file-1", "file-7", "file-19999"]
MOST_READ = 100
RESOURCE = "post:19999"

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "of_file": ("file-19999", 0, 100),
    "of_resource": (RESOURCE, None, 100),
    "count": ("file-19999",),
    "exists": ("file-19999",),
    "create": (FEW, RESOURCE, "post", None),
    "lock_use": (RESOURCE, "post"),
    "replace": (FEW, RESOURCE, "post", None),
    "delete": (UUID(int=0),),
    "delete_of_resources": (["post:1", RESOURCE], None),
    "expire": (UUID(int=0), None),
    "expire_of_file": ("file-19999", None),
}
SHARED: dict[str, tuple[Any, ...]] = {
    "these_by_id": (FEW,),
    "these_of_resource": (RESOURCE, None, 1001),
    "these_changed": ("file-19999", ["name"], "new", None, None),
}


@pytest_asyncio.fixture
async def rows(database_url: str) -> AsyncIterator[Rows]:
    """Give a connection to a database with very many files, each used by a resource of its own."""
    async with connected(database_url) as connection:
        await add_files(connection, COUNT)
        await connection.execute(
            "insert into file_references (file_id, usage, resource_id) "
            "select 'file-' || n, 'post', 'post:' || n from generate_series(1, $1::int) n",
            COUNT,
        )
        await connection.execute("analyze")
        yield connection


def steps(plan: Any) -> Iterator[dict[str, Any]]:
    waiting = [entry["Plan"] for entry in (msgspec.json.decode(plan) if isinstance(plan, str) else plan)]
    while waiting:
        step = waiting.pop()
        yield step
        waiting += step.get("Plans", [])


async def most_read(rows: Rows, query: str, arguments: tuple[Any, ...]) -> int:
    """Return how many rows the statement reads of its hungriest table, and undo what it does."""
    transaction = rows.transaction()
    await transaction.start()
    try:
        plan = await rows.fetchval(f"explain (analyze, timing off, format json) {query}", *arguments)
    finally:
        await transaction.rollback()
    return max(
        int((step["Actual Rows"] + step.get("Rows Removed by Filter", 0)) * step["Actual Loops"])
        for step in steps(plan)
        if "Relation Name" in step or step["Node Type"] == "Result"
    )


@pytest.mark.own_database
async def test_a_statement_reads_no_more_than_it_needs(rows: Rows, subtests: pytest.Subtests) -> None:
    """Neither with the plan for its arguments nor with the one that a prepared statement may settle on."""
    shared = {name: FILE_QUERIES["shared"].replace("{these}", FILE_QUERIES[name]) for name in SHARED}
    assert ARGUMENTS.keys() == QUERIES.keys()
    for mode in ("force_custom_plan", "force_generic_plan"):
        await rows.execute(f"set plan_cache_mode = {mode}")
        for name, query in (dict(QUERIES) | shared).items():
            with subtests.test(name, mode=mode):
                assert await most_read(rows, query, (ARGUMENTS | SHARED)[name]) < MOST_READ
