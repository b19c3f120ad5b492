"""Files straight in the database, as many as there should be, without their bytes."""

from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    import asyncpg

POOL_ID: Final = UUID(int=1)
"""The pool of every new database."""

# A quarter of the files is in no folder; the others are in `/`, in `/a/`, or in one of ten folders in `/b/`.
_FILL: Final = """
with numbers as (select n, {account} as account_id from generate_series(1, {count}) n),
object as (
    insert into objects (id, pool_id, account_id, sha256, size_bytes, mime_type)
    select '{prefix}-' || n, '{pool}', account_id, sha256(convert_to('{prefix}' || n, 'UTF8')), n, 'text/plain'
    from numbers
    returning id, account_id, size_bytes, pool_id
),
file as (
    insert into files (id, account_id, object_id, pool_id, name, mime_type, size_bytes, created_at, is_marked_recycle)
    select id, account_id, id, pool_id, 'file ' || size_bytes, 'text/plain', size_bytes,
        now() - size_bytes * interval '1 minute', {is_recycled}
    from object
    returning id, account_id, size_bytes
)
insert into file_indexes (account_id, path, file_id)
select account_id, case size_bytes % 3 when 0 then '/' when 1 then '/a/' else '/b/' || size_bytes % 10 || '/' end, id
from file
where size_bytes % 4 > 0
"""
_ONE_FOR_HUNDRED: Final = "('00000000-0000-4000-8000-' || lpad((n / 100)::text, 12, '0'))::uuid"


async def add_files(
    connection: "asyncpg.Connection[asyncpg.Record]",
    prefix: str,
    count: int,
    account_id: UUID | None = None,
    *,
    is_recycled: bool = False,
) -> None:
    """Add files: PREFIX-1, of one byte, made a minute ago; PREFIX-2, of two, made two minutes ago; and so on.

    Args:
        connection: to a database with the schema in place.
        prefix: of their ids, and of those of their objects; no other files have it.
        count: how many.
        account_id: whose they are; None for accounts that have a hundred each.
        is_recycled: whether they are in the recycle bin.

    """
    account = _ONE_FOR_HUNDRED if account_id is None else f"'{account_id}'::uuid"
    query = _FILL.format(prefix=prefix, account=account, count=count, pool=POOL_ID, is_recycled=is_recycled)
    await connection.execute(query)
