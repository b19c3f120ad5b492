"""What growth is measured with, and that it is."""

import json
from uuid import UUID

import asyncpg
import pytest
from support.rows import connected, wrong_counts

from bench.__main__ import main
from bench.support.rows import add_files
from drive.peers.seed import PLAIN_ID

PAGES = ["first 20 files", "files 81 to 100", "last 20 files", "search", "search in vain"]


async def test_files_are_added_as_the_service_would_have_them(database_url: str) -> None:
    """The totals that are kept fit them; what is in the recycle bin is not shown in folders."""
    async with connected(database_url) as rows:
        await add_files(rows, "own", 30, UUID(PLAIN_ID))
        await add_files(rows, "recycled", 7, UUID(PLAIN_ID), is_recycled=True)
        await add_files(rows, "other", 250)
        assert await wrong_counts(rows) == []
        counts = "array[count(*), count(*) filter (where is_marked_recycle), count(distinct account_id)]"
        assert await rows.fetchval(f"select {counts} from files") == [287, 7, 1 + 3]
        shown = "select count(*) from file_indexes where account_id = $1 and not is_recycled"
        assert await rows.fetchval(shown, PLAIN_ID) == 30 - 30 // 4
        with pytest.raises(asyncpg.UniqueViolationError):
            await add_files(rows, "own", 1, UUID(PLAIN_ID))


def test_growth_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["growth", "--quick", "--rounds", "1", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    large, small, deleting, containers = result["tables"]
    for table in (large, small):
        names = [row["name"] for row in table["rows"]]
        assert names[:10] == [f"{page}, {files} files" for page in PAGES for files in ("100", "1 000")]
        assert [row["ratio"] is None for row in table["rows"]] == [True, False] * (len(names) // 2)
    assert [row["name"] for row in deleting["rows"]] == [
        f"{what}, {files} files" for what in ("recycle bin emptied", "rows removed") for files in ("100", "1 000")
    ]
    assert [row["unit"] for row in containers["rows"]] == ["µs", "µs", "B", "B"]
    figures = [row["value"]["median"] for table in result["tables"] for row in table["rows"]]
    assert all(figure > 0 for figure in figures)
    (plot,) = result["plots"]
    assert {len(line) for line in plot["lines"].values()} == {2}
