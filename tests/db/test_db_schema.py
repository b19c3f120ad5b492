"""The schema that is there to be read is the one that the migrations make."""

import random
from importlib.resources import files
from uuid import uuid4

import asyncpg
import pytest
from db_support import empty_database, watching
from schema import dump_migrations
from support.rows import TABLES, Rows

SCHEMA = files("drive.db").joinpath("schema.sql").read_text("utf-8")

CATALOGS = {
    "relations": """
        select relname, relkind, relpersistence, reloptions from pg_class
        where relnamespace = 'public'::regnamespace
    """,
    "columns": """
        select attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
            attgenerated, attcollation::regcollation::text, pg_get_expr(adbin, adrelid)
        from pg_attribute
        join pg_class on pg_class.oid = attrelid
        left join pg_attrdef on (adrelid, adnum) = (attrelid, attnum)
        where relnamespace = 'public'::regnamespace and attnum > 0 and not attisdropped
    """,
    "constraints": """
        select conname, contype, conrelid::regclass::text, convalidated, pg_get_constraintdef(oid) from pg_constraint
        where connamespace = 'public'::regnamespace
    """,
    "indexes": "select tablename, indexname, indexdef from pg_indexes where schemaname = 'public'",
    "triggers": """
        select tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(oid) from pg_trigger
        where not tgisinternal
    """,
    "functions": """
        select proname, pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
    """,
    "views": "select viewname, definition from pg_views where schemaname = 'public'",
    "sequences": "select sequencename, data_type, start_value, increment_by from pg_sequences",
    "types": "select typname, typtype from pg_type where typnamespace = 'public'::regnamespace",
    "comments": "select description from pg_description where classoid = 'pg_class'::regclass and objoid >= 16384",
    "extensions": "select extname from pg_extension",
}


async def _catalog(url: str) -> dict[str, list[tuple[object, ...]]]:
    async with watching(url) as watcher:
        return {
            name: sorted((tuple(row.values()) for row in await watcher.fetch(query)), key=repr)
            for name, query in CATALOGS.items()
        }


async def test_the_schema_makes_what_the_migrations_make(database_url: str, postgres_server_url: str) -> None:
    """Both ways: neither has a column, a constraint or an index that the other has not."""
    async with empty_database(postgres_server_url) as url:
        async with watching(url) as watcher:
            await watcher.execute(SCHEMA)
        made = await _catalog(url)
    migrated = await _catalog(database_url)

    assert made == migrated
    assert all(migrated[name] for name in ("columns", "constraints", "indexes", "triggers", "functions", "views"))


def test_the_schema_is_up_to_date() -> None:
    assert dump_migrations() == SCHEMA, "run scripts/generate"


ADD_FILE = """
with object as (
    insert into objects (id, pool_id, account_id, sha256, size_bytes, mime_type)
    values ($1, '00000000-0000-0000-0000-000000000001', $2, sha256(convert_to($1, 'UTF8')), 1, 'text/plain')
    returning *
)
insert into files (id, account_id, object_id, pool_id, name, mime_type, size_bytes)
select id, account_id, id, pool_id, $3, mime_type, size_bytes from object
"""
ADD_INDEX = "insert into file_indexes (account_id, path, file_id) values ($1, $2, $3)"
ADD_REFERENCE = "insert into file_references (file_id, usage, resource_id) values ($1, $2, $3)"
ADD_BUNDLE = "insert into bundles (account_id, slug, name) values ($1, $2, 'Bundle')"


@pytest.mark.parametrize(("first", "last", "width"), [("一", "鿿", 3), ("!", "~", 1), ("𠀀", "𪛟", 4)])
async def test_text_of_every_allowed_length_can_be_indexed(
    database_url: str, first: str, last: str, width: int
) -> None:
    """What the checks allow fits into an index, also where it cannot be compressed; what does not fit is refused."""
    pick = random.Random(1)
    account, file_id = uuid4(), uuid4().hex

    def text(most_bytes: int) -> str:
        return "".join(chr(pick.randint(ord(first), ord(last))) for _ in range(min(1024, most_bytes // width)))

    async with watching(database_url) as watcher:
        await watcher.execute(ADD_FILE, file_id, account, text(2048))
        await watcher.execute(ADD_BUNDLE, account, text(2048))
        await watcher.execute(ADD_INDEX, account, f"/{text(2044)[:1022]}/", file_id)
        await watcher.execute(ADD_REFERENCE, file_id, text(1024), text(1024))
        too_long = text(4096) + first
        for add in (
            watcher.execute(ADD_FILE, uuid4().hex, account, too_long),
            watcher.execute(ADD_BUNDLE, account, too_long),
            watcher.execute(ADD_INDEX, account, f"/{too_long}/", file_id),
            watcher.execute(ADD_REFERENCE, file_id, too_long, "a"),
            watcher.execute(ADD_REFERENCE, file_id, "a", too_long),
        ):
            with pytest.raises(asyncpg.CheckViolationError):
                await add


async def test_the_tables_that_tests_share_are_emptied(rows: Rows) -> None:
    """A new table belongs into TABLES, or what one test leaves in it the next one finds."""
    there = await rows.fetch(
        """
        select relname from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and not exists (
            select from pg_constraint where conrelid = pg_class.oid and contype = 'f' and confdeltype = 'c'
        )
        """
    )
    assert {row["relname"] for row in there} - set(TABLES) == {"pools", "schema_migrations"}
    assert len(await rows.fetch("select from pools")) == 1
