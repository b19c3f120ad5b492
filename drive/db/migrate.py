"""Bring a database up to the schema that this program expects."""

import hashlib
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import structlog

from drive.errors import Code, DriveError, unavailable
from drive.lazy import load
from drive.names import client_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from importlib.resources.abc import Traversable

    from asyncpg import Connection, Record

log = structlog.get_logger()

MIGRATIONS = files(__package__).joinpath("migrations")

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_LOCK_KEY = int.from_bytes(b"drive.db")
_CONNECT_TIMEOUT_S = 10.0

_CREATE_TABLE = """
create table if not exists schema_migrations (
    name text primary key,
    sha256 text not null,
    applied_at timestamptz not null default now()
)
"""


class MigrationError(DriveError):
    """The migrations cannot be applied; the message says which and why."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.CONFLICT, message)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `name` is that of the file without `.sql`."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The checksum of the text, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(url: str, folder: "Traversable" = MIGRATIONS) -> list[str]:
    """Apply what the database lacks, in order, each file in a transaction, and return the names.

    Runs at the same time wait for each other. The address must lead to the server itself or to a pooler that keeps
    sessions: the lock belongs to one.

    Raises:
        MigrationError: an applied file has changed, the database is newer than this program, the files are not
            numbered one after the other, or one of them failed, which leaves those before it applied.
        DriveError: UNAVAILABLE.

    """
    migrations = read(folder)
    async with _connected(url) as connection:
        await connection.execute("select pg_advisory_lock($1)", _LOCK_KEY)  # until the connection is closed
        await connection.execute(_CREATE_TABLE)
        missing = _missing(migrations, await _applied(connection))
        for migration in missing:
            await _apply(connection, migration)
    return [migration.name for migration in missing]


async def pending(url: str, folder: "Traversable" = MIGRATIONS) -> list[str]:
    """Return the names of what `migrate` would apply, and change nothing.

    Raises:
        MigrationError: as `migrate`.
        DriveError: UNAVAILABLE.

    """
    async with _connected(url) as connection:
        return [migration.name for migration in _missing(read(folder), await _applied(connection))]


def read(folder: "Traversable" = MIGRATIONS) -> list[Migration]:
    """Read the migrations in order.

    Raises:
        MigrationError: a file is not named `NNNN_name.sql`, or a number is absent or there twice.

    """
    paths = sorted(folder.iterdir(), key=lambda path: path.name)
    for number, path in enumerate(paths, start=1):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name} among the migrations is not named like 0001_initial.sql")
        if int(match[1]) != number:
            raise MigrationError(f"{path.name} among the migrations should have the number {number:04}")
    return [Migration(path.name.removesuffix(".sql"), path.read_text("utf-8")) for path in paths]


@asynccontextmanager
async def _connected(url: str) -> "AsyncIterator[Connection[Record]]":
    await load("asyncpg")
    import asyncpg

    settings = {"application_name": client_name("migrate")}
    try:
        connection = await asyncpg.connect(url, timeout=_CONNECT_TIMEOUT_S, server_settings=settings)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise unavailable("The database") from error
    except (ValueError, OverflowError):  # of an address that is none; its text can be part of a password
        raise unavailable("The database") from None
    try:
        yield connection
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)


async def _applied(connection: "Connection[Record]") -> dict[str, str]:
    """Return the checksums by name."""
    if await connection.fetchval("select to_regclass('schema_migrations') is null"):
        return {}
    rows = await connection.fetch("select name, sha256 from schema_migrations")
    return {row["name"]: row["sha256"] for row in rows}


def _missing(migrations: list[Migration], applied: dict[str, str]) -> list[Migration]:
    """Return what is not applied yet, after checking what is."""
    if unknown := sorted(applied.keys() - {migration.name for migration in migrations}):
        raise MigrationError(
            f"The database has migrations that this program does not: {', '.join(unknown)}. "
            "The program is older than the database: run the newer one."
        )
    for migration in migrations:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise MigrationError(
                f"{migration.name}.sql has changed since it was applied to this database. "
                "Restore it, and write the change as a new migration."
            )
    return [migration for migration in migrations if migration.name not in applied]


async def _apply(connection: "Connection[Record]", migration: Migration) -> None:
    import asyncpg

    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "insert into schema_migrations (name, sha256) values ($1, $2)", migration.name, migration.sha256
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.name}.sql failed and was undone: {error}") from error
    log.info("Migration applied", name=migration.name)
