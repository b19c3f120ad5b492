"""
How cost grows: what pages and deletions take as files become more, and containers as stubs do.

Each database has 1 000 files of one account, from 1 000 to a million of another, and a tenth as many of others, a hundred each; a quarter of an account's files is in `/a/`, and a quarter in no folder. All databases are on one PostgreSQL server, and each has a `drive serve` of its own, which is asked over HTTP with an account's token. A time is the median of 20 requests, one after the other, each from its first byte sent to the last one of its answer. In a round the databases take turns. The ratio is to the same page where there are the fewest files: 1 where more files cost nothing.

*Files 981 to 1 000* and *last 20 files* are pages of `GET /api/files/me`. The last page grows with the files before it, as an `offset` is counted entry by entry in the index; the same page does not. A search looks at all names, as its total says exactly how many have the part: a tenth of them or, *in vain*, none; *in folders* is `GET /api/index/search`, which looks at descriptions and MIME types, too. No other row should grow, and none of the account that has as many files in each database.

**Deleting** is timed for 1 000 more files, in the recycle bin of the account that has most: first `DELETE /api/files/me/recycle`, a request that deletes them in pages of 500 and leaves jobs to delete their bytes; then, without the days that it waits for, the worker's job `purge`, which removes their rows in pages of 500.

**Containers** are those of [lazy.memory](#lazymemory), each in a fresh process: the time of `Container()`, and the resident memory of its class and of itself, both divided by the number of stubs. Memory is counted in whole pages, of which a hundred stubs take few.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Final
from uuid import UUID

from structlog.testing import capture_logs

from bench.lazy.memory import registered
from bench.measure import Effort, in_child, paired_ratios, summary
from bench.support.filled import checked, parsed
from bench.support.rows import add_files
from bench.support.services import Backends, Started, backends, started
from bench.support.transfer import Client
from bench.tables import Plot, Row, Table, number
from drive.lazy import lifespan
from drive.peers.seed import PLAIN_ID, SUBSCRIBER_ID, TOKENS
from drive.settings import Settings
from drive.testing.databases import temporary_database
from drive.upkeep.purge import Purge
from drive.worker_container import WorkerContainer

if TYPE_CHECKING:
    import asyncpg

_FILES: Final = (1_000, 10_000, 100_000, 1_000_000)
_QUICK_FILES: Final = (100, 1_000)
_STUBS: Final = (100, 1_000, 10_000)
_QUICK_STUBS: Final = (100, 1_000)
_TAKE: Final = 20
_REQUESTS: Final = 20
_DELETED: Final = 1_000
_LARGE: Final = UUID(PLAIN_ID)
_SMALL: Final = UUID(SUBSCRIBER_ID)
_TOKENS: Final = {_LARGE: TOKENS["plain"], _SMALL: TOKENS["subscriber"]}
_EMPTIED: Final = "recycle bin emptied"
_PURGED: Final = "rows removed"
_PLOTTED: Final = ("first 20 files", "last 20 files", "search", "folder", "usage")

Key = tuple[UUID, str, int]
"""An account, what was asked, and how many files there are."""
Round = Mapping[Key, float]
"""Milliseconds."""


@dataclass(frozen=True, slots=True)
class _Filled:
    """A database with so many files of the large account, and who works with it."""

    files: int
    fewest: int
    drive: Started
    rows: "asyncpg.Connection[asyncpg.Record]"
    purge: Purge

    def paths(self, account_id: UUID) -> dict[str, str]:
        """Return what is asked for."""
        listing = f"/api/files/me?take={_TAKE}"
        same, last = self.fewest - _TAKE, (self.files if account_id == _LARGE else self.fewest) - _TAKE
        return {
            "first 20 files": listing,
            f"files {same + 1} to {self.fewest}": f"{listing}&offset={same}",
            "last 20 files": f"{listing}&offset={last}",
            "search": f"{listing}&query=file+7",
            "search in vain": f"{listing}&query=no+such",
            "search in folders": f"/api/index/search?take={_TAKE}&query=file+7",
            "folder": f"/api/index/browse?take={_TAKE}&path=/a/",
            "quota": "/api/billing/quota",
            "usage": "/api/billing/usage",
        }


def tables(effort: Effort) -> list[Table | Plot]:
    """Ask all databases in each round, taking turns, and build all containers."""
    counts = _QUICK_FILES if effort.is_quick else _FILES
    rounds = asyncio.run(_rounds(effort, counts))
    return [
        _pages("Pages of an account, as its files become more", _LARGE, rounds),
        _pages("Pages of an account with as many files, as those of others become more", _SMALL, rounds),
        _deletions(rounds, effort.count(_DELETED)),
        _containers(effort.rounds, _QUICK_STUBS if effort.is_quick else _STUBS),
        _plot(rounds, counts),
    ]


async def _rounds(effort: Effort, counts: Sequence[int]) -> list[Round]:
    async with AsyncExitStack() as stack:
        within = await stack.enter_async_context(backends())
        filled = [await _filled(stack, within, files, counts[0]) for files in counts]
        for one in filled:
            await _round(one, effort)  # opens and prepares what there is to open
        rounds: list[Round] = []
        for place in range(effort.rounds):
            turn = place % len(filled)
            seen = [await _round(one, effort) for one in (*filled[turn:], *filled[:turn])]
            rounds.append({key: value for one in seen for key, value in one.items()})
        return rounds


async def _filled(stack: AsyncExitStack, within: Backends, files: int, fewest: int) -> _Filled:
    import asyncpg

    server_url, cache_url = (within.environment[f"DRIVE_{name}_URL"] for name in ("DATABASE", "REDIS"))
    url = await stack.enter_async_context(temporary_database(server_url, server_url))
    rows = await asyncpg.connect(url)
    stack.push_async_callback(rows.close)
    await add_files(rows, "large", files, _LARGE)
    await add_files(rows, "small", fewest, _SMALL)
    await add_files(rows, "other", files // 10)
    await rows.execute("vacuum analyze")
    own = {"DRIVE_DATABASE_URL": url, "DRIVE_REDIS_URL": f"{cache_url}?db={len(str(files))}"}
    drive = await stack.enter_async_context(started("serve", within, **own))
    container = await stack.enter_async_context(
        lifespan(WorkerContainer(settings=Settings(database_url=url, redis_url="", purge_deleted_after_s=0)))
    )
    return _Filled(files, fewest, drive, rows, container.purge())


async def _round(one: _Filled, effort: Effort) -> Round:
    asked = {
        (account_id, page, one.files): time_ms
        for account_id in _TOKENS
        for page, time_ms in (await asyncio.to_thread(_asked, one, account_id, effort.count(_REQUESTS))).items()
    }
    emptied_ms, purged_ms = await _deleted(one, effort.count(_DELETED))
    return asked | {(_LARGE, _EMPTIED, one.files): emptied_ms, (_LARGE, _PURGED, one.files): purged_ms}


def _asked(one: _Filled, account_id: UUID, requests: int) -> dict[str, float]:
    """Return how many milliseconds each page takes."""
    client = Client(one.drive.url, {"Authorization": f"Bearer {_TOKENS[account_id]}"})
    try:
        return {
            page: 1000 * median(checked(client.ask("GET", path)).took_s for _ in range(requests))
            for page, path in one.paths(account_id).items()
        }
    finally:
        client.close()


async def _deleted(one: _Filled, count: int) -> tuple[float, float]:
    """Return how many milliseconds it takes to delete so many files, and to remove their rows.

    Raises:
        RuntimeError: these were not all, or others.

    """
    await add_files(one.rows, "recycled", count, _LARGE, is_recycled=True)
    await one.purge.purge({})  # connects, and finds nothing
    emptied_ms = await asyncio.to_thread(_emptied, one, count)
    with capture_logs():  # it tells of what it has removed
        began_s = perf_counter()
        await one.purge.purge({})
        purged_ms = 1000 * (perf_counter() - began_s)
    await one.rows.execute("delete from jobs")
    left = await one.rows.fetchval("select count(*) from files where account_id = $1", _LARGE)
    if left != one.files:
        raise RuntimeError(f"There are {left} files left, and {one.files} should be.")
    return emptied_ms, purged_ms


def _emptied(one: _Filled, count: int) -> float:
    client = Client(one.drive.url, {"Authorization": f"Bearer {_TOKENS[_LARGE]}"})
    try:
        answer = client.ask("DELETE", "/api/files/me/recycle")
    finally:
        client.close()
    if parsed(answer)["count"] != count:
        raise RuntimeError(f"{count} files should have been deleted: {answer.body!r}")
    return 1000 * answer.took_s


def _pages(title: str, account_id: UUID, rounds: Sequence[Round]) -> Table:
    pages = dict.fromkeys(page for id_, page, _ in rounds[0] if id_ == account_id and page not in {_EMPTIED, _PURGED})
    return Table(title, "The ratio is to the same page with the fewest files.", _rows(account_id, pages, rounds))


def _deletions(rounds: Sequence[Round], count: int) -> Table:
    about = f"{_counted(count)} of an account that has others. The ratio is to the same with the fewest others."
    return Table("Deleting", about, _rows(_LARGE, (_EMPTIED, _PURGED), rounds))


def _rows(account_id: UUID, names: Iterable[str], rounds: Sequence[Round]) -> list[Row]:
    counts = sorted({files for _, _, files in rounds[0]})
    return [_row(account_id, name, files, counts[0], rounds) for name in names for files in counts]


def _row(account_id: UUID, name: str, files: int, fewest: int, rounds: Sequence[Round]) -> Row:
    values, base = ([one[account_id, name, count] for one in rounds] for count in (files, fewest))
    ratio = None if files == fewest else summary(paired_ratios(values, base))
    return Row(f"{name}, {_counted(files)}", summary(values), "ms", ratio)


def _counted(files: int) -> str:
    return f"{files:,} files".replace(",", " ")


def _plot(rounds: Sequence[Round], counts: Sequence[int]) -> Plot:
    lines = {
        page: [(files / 1000, median(one[_LARGE, page, files] for one in rounds)) for files in counts]
        for page in _PLOTTED
    }
    return Plot(
        "Pages of an account, as its files become more", "The medians of that table.", "thousand files", "ms", lines
    )


def _containers(rounds: int, counts: Sequence[int]) -> Table:
    seen = [{count: in_child(registered, "stub", count) for count in counts} for _ in range(rounds)]

    def row(name: str, key: str, unit: str, count: int) -> Row:
        values, base = ([one[stubs][key] for one in seen] for stubs in (count, counts[-1]))
        ratio = None if count == counts[-1] else summary(paired_ratios(values, base))
        return Row(f"{name}, {number(count)} stubs", summary(values), unit, ratio)

    return Table(
        "Containers, for each stub in them",
        "The ratio is to the row with most stubs: 1 where the whole grows as their number does.",
        [
            *(row("built", "build_us", "µs", count) for count in counts),
            *(row("memory", "registered_bytes", "B", count) for count in counts),
        ],
    )
