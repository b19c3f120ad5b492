"""Lists of an account's files, in any order."""

from dataclasses import dataclass
from uuid import UUID

from drive.db.database import Database
from drive.db.queries import load_queries
from drive.files.interfaces import CloudFile

QUERIES = load_queries(__package__)

# By name and whether descending. Ties are broken so that each is one of the indexes, read in one direction.
ORDER_BY = {
    ("date", True): "f.created_at desc, f.id",
    ("date", False): "f.created_at, f.id desc",
    ("name", True): "f.name desc, f.id desc",
    ("name", False): "f.name, f.id",
    ("size", True): "f.size_bytes desc, f.id desc",
    ("size", False): "f.size_bytes, f.id",
}
ORDERS = frozenset(name for name, _ in ORDER_BY)

_ANY_NAME = "$4::text is null"
_IN_NAME = "position(lower($4::text) in lower(f.name)) > 0"
_ALL = {"{kinds}": "array[true, false]", "{count}": "file_count", "{recycled_count}": "recycled_count"}
_UNINDEXED = {
    "{kinds}": "array[false]",
    "{count}": "file_count - indexed_count",
    "{recycled_count}": "recycled_count - recycled_indexed_count",
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of an account's files a listing shows, and in which order."""

    pool_id: UUID | None = None
    recycled: bool = False
    name_part: str | None = None
    order: str = "date"
    descending: bool = True


async def files_of_account(
    database: Database, account_id: UUID, which: Filter, *, offset: int, take: int, unindexed: bool = False
) -> tuple[list[CloudFile], int]:
    """Return a page of an account's files, or of those that are in no folder, and how many there are in all."""
    parts = {
        "{total}": QUERIES["kept_total" if which.name_part is None else "counted_total"],
        "{first_files}": QUERIES["first_files"],
        "{match}": matching(which.name_part),
        "{order}": ORDER_BY[which.order, which.descending],
        **(_UNINDEXED if unindexed else _ALL),
    }
    query = filled(QUERIES["mine"], parts)
    rows = await database.fetch(query, account_id, which.pool_id, which.recycled, which.name_part, offset, take)
    return [CloudFile.from_row(row) for row in rows if row["id"] is not None], rows[0]["total"]


def matching(name_part: str | None) -> str:
    """Return the condition for files whose name has a part, the fourth parameter.

    Where there is none, it names no column: PostgreSQL passes over the files of a late page in the index alone then.
    """
    return _ANY_NAME if name_part is None else _IN_NAME


def files_in_folders(query: str, match: str, order: str) -> str:
    """Complete a query that reads `first_files` of those that are in folders."""
    parts = {"{first_files}": QUERIES["first_files"], "{match}": match, "{order}": order}
    return filled(query, parts | {"{kinds}": "array[true]"})


def filled(query: str, parts: dict[str, str]) -> str:
    """Put parts of statements in by name, in this order: an earlier one may name later ones."""
    for name, part in parts.items():
        query = query.replace(name, part)
    return query
