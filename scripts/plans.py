"""Write docs/queries.md: how pages ask the database, in one with 10 000 files and in one with a million.

`.venv/bin/python scripts/plans.py docs/queries.md` takes some minutes. Its figures are those of one machine.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import msgspec
from dependency_injector.providers import Singleton

from bench.support.rows import POOL_ID, add_files
from drive.bundles.interfaces import Visitor
from drive.containers import Container
from drive.db.database import Database
from drive.db.migrate import migrate
from drive.embedded import EmbeddedPostgres
from drive.files.catalog import Catalog
from drive.files.lists import Filter
from drive.folders.service import View
from drive.lazy import lifespan
from drive.settings import Settings
from drive.uploads.history import UploadHistory

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_ACCOUNT_ID = UUID(int=10**6)  # has as many files in both databases
_ACCOUNT_FILES = 1_000
_LARGE_ACCOUNT_ID = UUID(int=10**6 + 1)  # has a tenth of all
_SMALL_TOTAL, _LARGE_TOTAL = 10_000, 1_000_000
_ROUNDS = 15
_PAGE = 20

Page = Callable[[Container, UUID], Awaitable[Any]]


class WatchedDatabase(Database):
    """A database that remembers what it was asked."""

    __slots__ = ("asked",)

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    @asynccontextmanager
    async def _taken(self) -> "AsyncIterator[PoolConnectionProxy[asyncpg.Record]]":
        async with super()._taken() as connection:
            with connection.query_logger(lambda record: self.asked.append((record.query, tuple(record.args or ())))):
                yield connection


def _pages() -> dict[str, Page]:
    """Return what is measured: each as its handler asks for it."""
    filters = {
        "`GET /api/files/me`": Filter(),
        "`GET /api/files/me?order=name`": Filter(order="name"),
        "`GET /api/files/me?order=size`": Filter(order="size"),
        "`GET /api/files/me?pool=…`": Filter(pool_id=POOL_ID),
        "`GET /api/files/me?recycled=true`": Filter(recycled=True),
        "`GET /api/files/me?query=…`": Filter(name_part="file 7"),
        "`GET /api/files/me?query=…`, in vain": Filter(name_part="no such"),
    }
    pages: dict[str, Page] = {
        name: lambda container, account_id, which=which: container.files().mine(  # type: ignore[misc]
            account_id, which, offset=0, take=_PAGE
        )
        for name, which in filters.items()
    }
    view, found = View(offset=0, take=_PAGE), View(offset=0, take=_PAGE, part="file 7")
    return pages | {
        "`GET /api/files/me?offset=…`, behind the last": lambda it, id_: it.files().mine(
            id_, Filter(), offset=_LARGE_TOTAL, take=_PAGE
        ),
        "`GET /api/files/{id}`, `…/info`": lambda it, id_: it.files().readable(_file_id(id_), _owner(id_)),
        "`GET /api/files/{id}/references`": lambda it, id_: it.references().page(_file_id(id_), offset=0, take=_PAGE),
        "`GET /api/index/browse`": lambda it, id_: it.folders().browse(id_, "/", view),
        "`GET /api/index/browse?path=/a/`": lambda it, id_: it.folders().browse(id_, "/a/", view),
        "`GET /api/index/all`": lambda it, id_: it.folders().everything(id_, view),
        "`GET /api/index/unindexed`": lambda it, id_: it.folders().unindexed(id_, Filter(), offset=0, take=_PAGE),
        "`GET /api/index/search`": lambda it, id_: it.folders().search(id_, "file 7", None, found),
        "`GET /api/index/search?path=/a/`": lambda it, id_: it.folders().search(id_, "file 7", "/a/", found),
        "`GET /api/bundles/me`": lambda it, id_: it.bundles().mine(id_, None, offset=0, take=_PAGE),
        "`GET /api/pools`": lambda it, id_: it.pools().listed(id_),
        "`GET /api/billing/usage`": lambda it, id_: it.billing().usage(id_),
        "`GET /api/billing/quota/records`": lambda it, id_: it.billing().records(
            id_, with_expired=True, offset=0, take=_PAGE
        ),
        "`GET /api/files/upload/tasks`": lambda it, id_: UploadHistory(it.database()).listed(
            id_, None, order="lastActivity", descending=True, offset=0, take=_PAGE
        ),
        "`GET /api/files/upload/stats`": lambda it, id_: UploadHistory(it.database()).statistics(id_),
        "`GetFileBatch` of 100": lambda it, id_: Catalog(it.database()).get_many(
            [_file_id(id_, n) for n in range(1, 101)]
        ),
        "`GetResourceFiles`": lambda it, _: Catalog(it.database()).of_resource("post:1", None),
    }


def _file_id(account_id: UUID, number: int = 1) -> str:
    return f"{'large' if account_id == _LARGE_ACCOUNT_ID else 'own'}-{number}"


def _owner(account_id: UUID) -> Visitor:
    async def identify() -> UUID:
        return account_id

    return Visitor(identify=identify, passcode=None, address=None)


async def _fill(url: str, total: int) -> None:
    """Add files: of the account, of one that has a tenth of all, and of others with a hundred each."""
    connection = await asyncpg.connect(url)
    for prefix, account_id, count in (
        ("own", _ACCOUNT_ID, _ACCOUNT_FILES),
        ("large", _LARGE_ACCOUNT_ID, total // 10),
        ("other", None, total - total // 10 - _ACCOUNT_FILES),
    ):
        await add_files(connection, prefix, count, account_id)
    await connection.execute(
        "insert into file_references (file_id, usage, resource_id) select id, 'post', 'post:' || length(id) from files"
        " where id like 'own-%'"
    )
    await connection.execute("vacuum analyze")
    await connection.close()


async def _measured(url: str, account_id: UUID) -> dict[str, tuple[float, list[tuple[str, tuple[Any, ...]]]]]:
    """Return for each page its median time in milliseconds, and what it asked."""
    container = Container(settings=Settings(database_url=url, redis_url=""))
    container.database.override(Singleton(WatchedDatabase, container.database_pool, connect_timeout_s=5))
    database: Any = container.database()
    found = {}
    async with lifespan(container):
        setattr(container.billing(), "quota", _no_quota)  # noqa: B010 - pass is not there to be asked
        for name, page in _pages().items():
            times_ms = []
            for _ in range(_ROUNDS):
                database.asked.clear()
                started_s = time.perf_counter()
                await page(container, account_id)
                times_ms.append(1000 * (time.perf_counter() - started_s))
            found[name] = statistics.median(times_ms), list(database.asked)
    return found


async def _no_quota(_account_id: UUID) -> Any:
    from drive.billing.interfaces import Quota

    return Quota(based_quota=1, extra_quota=0, total_quota=1)


async def _plan(url: str, asked: list[tuple[str, tuple[Any, ...]]]) -> list[str]:
    """Return the steps of a page's plans that read tables, the topmost first."""
    connection = await asyncpg.connect(url)
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str)
    steps = []
    for query, args in asked:
        explained = await connection.fetchval(f"explain (analyze, timing off, format json) {query}", *args)
        steps += [_step(step) for step in _walk(msgspec.json.decode(explained)[0]["Plan"]) if "Relation Name" in step]
    await connection.close()
    return steps


def _walk(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for below in step.get("Plans", []):
        yield from _walk(below)


def _step(step: dict[str, Any]) -> str:
    read = (step["Actual Rows"] + step.get("Rows Removed by Filter", 0)) * step["Actual Loops"]
    index = step.get("Index Name")
    where = f"`{index}`" if index else f"`{step['Relation Name']}`, {step['Node Type'].lower()}"
    return f"{where} {read:.0f}"


_HEAD = f"""# How pages ask the database

Written by `scripts/plans.py`, on {{day}}. Each page in databases of {_SMALL_TOTAL:,} and of {_LARGE_TOTAL:,} files:
for an account that has {_ACCOUNT_FILES:,} files in both, and for one that has a tenth of all. Milliseconds are medians
of {_ROUNDS} runs, without HTTP, on the machine of that day: compare them within a row. Statements are what a page costs
once the caller is known, whatever the number of rows. The plan is that of the account with {_ACCOUNT_FILES:,} files
among a million: what is read, and how many rows of it.

No page slows down as files become more, whosever they are: each order has its index, and each total is kept. There are
two exceptions. A page behind many others passes over the entries of all files before it, half a microsecond for each. A
search looks at all names that the account has, or that are in the folder, as its total says exactly how many have the
part: less than half a microsecond for each, and twice that where few have it. `index/search` looks at descriptions and
MIME types, too, in the files themselves: some microseconds for each.

| page | statements | own, {_SMALL_TOTAL:,} | own, {_LARGE_TOTAL:,} \
| tenth, {_SMALL_TOTAL:,} | tenth, {_LARGE_TOTAL:,} | reads |
|---|---|---|---|---|---|---|
"""


async def _write(file: Path) -> None:
    times: dict[tuple[int, UUID], Any] = {}
    plans: dict[str, list[str]] = {}
    for total in (_SMALL_TOTAL, _LARGE_TOTAL):
        with EmbeddedPostgres() as server:
            await migrate(server.url)
            await _fill(server.url, total)
            for account_id in (_ACCOUNT_ID, _LARGE_ACCOUNT_ID):
                times[total, account_id] = await _measured(server.url, account_id)
            plans = {name: await _plan(server.url, asked) for name, (_, asked) in times[total, _ACCOUNT_ID].items()}
    columns = [
        (total, account) for account in (_ACCOUNT_ID, _LARGE_ACCOUNT_ID) for total in (_SMALL_TOTAL, _LARGE_TOTAL)
    ]
    lines = [
        f"| {name} | {len(asked)} | "
        + " | ".join(f"{times[column][name][0]:.1f}" for column in columns)
        + f" | {'; '.join(plans[name])} |\n"
        for name, (_, asked) in times[_LARGE_TOTAL, _ACCOUNT_ID].items()
    ]
    head = _HEAD.format(day=time.strftime("%Y-%m-%d", time.gmtime()))
    await asyncio.to_thread(file.write_text, head + "".join(lines), "utf-8")


if __name__ == "__main__":
    asyncio.run(_write(Path(sys.argv[1])))
