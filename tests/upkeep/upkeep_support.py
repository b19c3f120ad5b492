"""Rows for what has to be cleaned up."""

from typing import Any
from uuid import UUID

from support.rows import POOL_ID, Rows

from drive.peers.seed import PLAIN_ID


async def add_objects(rows: Rows, *ids: str, pool_id: str = POOL_ID, age: str = "40 days") -> None:
    """Add objects of some age, each of one file with the same id."""
    await rows.execute(
        """
        with object as (
            insert into objects (id, pool_id, account_id, sha256, size_bytes, mime_type, created_at)
            select id, $2, $3, sha256(id::bytea), 1, 'text/plain', now() - $4::text::interval from unnest($1::text[]) id
            returning id
        )
        insert into files (id, account_id, object_id, pool_id, name, mime_type, size_bytes, created_at)
        select id, $3, id, $2, id, 'text/plain', 1, now() - $4::text::interval from object
        """,
        list(ids),
        pool_id,
        PLAIN_ID,
        age,
    )


async def change(rows: Rows, table: str, row_id: Any, **values: str) -> None:
    """Set columns of a row to SQL expressions."""
    changes = ", ".join(f"{column} = {value}" for column, value in values.items())
    await rows.execute(f"update {table} set {changes} where id = $1", row_id)


async def ids(rows: Rows, query: str) -> set[str]:
    return {row[0] for row in await rows.fetch(query)}


async def add_bundle(rows: Rows, name: str, *, deleted: str = "null") -> UUID:
    query = f"insert into bundles (slug, name, account_id, deleted_at) values ($1, $1, $2, {deleted}) returning id"
    found = await rows.fetchval(query, name, PLAIN_ID)
    assert isinstance(found, UUID)
    return found


async def add_upload(rows: Rows, name: str, *, status: int = 1, ended: str = "null", pool_id: str = POOL_ID) -> None:
    await rows.execute(
        "insert into upload_tasks (id, account_id, status, file_id, object_id, file_name, content_type, size_bytes, "
        "chunk_size_bytes, chunks_count, pool_id, expires_at, completed_at) "
        f"values ($1, $2, $3, $1, $1, 'a', 'a/b', 1, 1, 1, $4, now() + interval '1 day', {ended})",
        name,
        PLAIN_ID,
        status,
        pool_id,
    )
