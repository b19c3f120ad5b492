"""The pool of database connections."""

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from drive.lazy import load
from drive.names import client_name

if TYPE_CHECKING:
    from asyncpg import Connection, Pool, Record

# Less than what `drive.lazy.lifespan` allows, so that the connections are terminated and not forgotten.
_CLOSE_TIMEOUT_S = 3.0

log = structlog.get_logger()


async def open_pool(
    *,
    role: str,
    url: str,
    max_connections: int,
    idle_timeout_s: float,
    connect_timeout_s: float,
    query_timeout_s: float,
) -> "Pool[Record]":
    """Make a pool that connects at the first query.

    Columns of type jsonb are Python objects, in both directions.

    Args:
        role: what this process is there for: the server is told (see `drive.names`).
        url: postgresql://user:password@host:port/database.
        max_connections: most connections at a time.
        idle_timeout_s: an unused connection is closed after this.
        connect_timeout_s: how long making one connection may take.
        query_timeout_s: how long one statement may take.

    """
    await load("asyncpg")
    import asyncpg

    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=max_connections,
        max_inactive_connection_lifetime=idle_timeout_s,
        timeout=connect_timeout_s,
        command_timeout=query_timeout_s,
        server_settings={"application_name": client_name(role)},
        init=_prepare,
        reset=_keep,
    )


async def close_pool(pool: "Pool[Record]") -> None:
    """Close the connections once they are free; those that are still in use after a while are terminated."""
    import asyncpg

    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await pool.close()  # terminates the rest where it is cancelled
    except TimeoutError:
        log.warning("Database connections terminated", after_s=_CLOSE_TIMEOUT_S)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:  # the server is gone: so are they
        log.info("Database connections lost", error=type(error).__name__)


async def _prepare(connection: "Connection[Record]") -> None:
    import msgspec

    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_json_text, decoder=msgspec.json.decode, format="text"
    )


def _json_text(value: Any) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()


async def _keep(connection: "Connection[Record]") -> None:
    """Leave a session as it is when it is given back; `Database` resets it after an error.

    asyncpg would spend a round trip on undoing `SET`, `LISTEN`, cursors and session locks, which nothing here uses:
    what a transaction needs is set with `set local` and locked with `pg_advisory_xact_lock`.
    """
