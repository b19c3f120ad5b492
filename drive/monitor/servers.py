"""What PostgreSQL and Redis see of their clients, asked over one short connection to each."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from drive.db.queries import load_queries
from drive.monitor.report import Backlog, Jobs, Named, Server
from drive.names import client_name

if TYPE_CHECKING:
    from asyncpg import Connection, Record

    from drive.settings import Settings

ROLE = "monitor"

_OURS = re.compile(r"drive-\w+@.*:\d+")
_MONITORS = re.compile(rf"drive-{ROLE}@.*:\d+")
_TIMEOUT_S = 3.0
_RESP2 = 2
_QUERIES = load_queries(__package__)
_AT_ONE_MOMENT = "begin isolation level repeatable read, read only"  # ended with the connection


async def ask_database(settings: "Settings") -> tuple[Server, Backlog]:
    """Ask PostgreSQL for its clients, and for what waits in the database. Whatever cannot be asked says why."""
    import asyncpg

    cap = settings.database_max_connections
    try:
        connection = await asyncpg.connect(
            settings.database_url,
            timeout=min(settings.database_connect_timeout_s, _TIMEOUT_S),
            command_timeout=_TIMEOUT_S,
            server_settings={"application_name": client_name(ROLE)},
        )
    except Exception as error:  # noqa: BLE001 - what asyncpg makes of a wrong address, or of another server, can be anything
        return Server(cap, problem=_reason(error)), Backlog(problem=_reason(error))
    try:
        return await _database(connection, cap), await _backlog(connection)
    finally:
        connection.terminate()  # nothing is under way that the server should end well


async def ask_redis(settings: "Settings") -> Server | None:
    """Ask Redis for its clients; None where none is set."""
    if not settings.redis_url:
        return None
    from redis.asyncio import Redis

    cap = settings.redis_max_connections
    try:
        async with Redis.from_url(
            settings.redis_url,
            client_name=client_name(ROLE),
            protocol=_RESP2,
            socket_connect_timeout=min(settings.redis_connect_timeout_s, _TIMEOUT_S),
            socket_timeout=_TIMEOUT_S,
        ) as redis:
            clients, facts = await redis.client_list(), await redis.info("clients")
    except Exception as error:  # noqa: BLE001 - what redis-py makes of a wrong URL, or of another server, can be anything
        return Server(cap, problem=_reason(error))
    names = Counter(client["name"] for client in clients)
    return Server(
        cap,
        clients=_named((name, "", count) for name, count in names.items()),
        connections=facts["connected_clients"] - 1,
        connections_max=facts.get("maxclients"),
    )


async def _database(connection: "Connection[Record]", cap: int) -> Server:
    try:
        await connection.execute(_AT_ONE_MOMENT)
        rows = await connection.fetch(_QUERIES["connections"])
        server = await connection.fetchrow(_QUERIES["server"])
    except Exception as error:  # noqa: BLE001 - see above
        return Server(cap, problem=_reason(error))
    facts: dict[str, Any] = dict(server or {})
    clients = _named((row["name"] or "", row["state"], row["count"]) for row in rows)
    return Server(cap, clients, facts.get("connections"), facts.get("most"))


async def _backlog(connection: "Connection[Record]") -> Backlog:
    import asyncpg

    try:
        jobs = await connection.fetch(_QUERIES["jobs"])
        waiting_s = await connection.fetchval(_QUERIES["waiting"])
        uploads = await connection.fetchval(_QUERIES["uploads"])
    except asyncpg.UndefinedTableError:
        return Backlog(problem="the database has no tables yet: drive migrate")
    except Exception as error:  # noqa: BLE001 - see above
        return Backlog(problem=_reason(error))
    by_kind: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in jobs:
        by_kind[row["kind"]][row["status"]] = row["count"]
    return Backlog([Jobs(kind, **counts) for kind, counts in by_kind.items()], waiting_s, uploads)


def _named(counted: Iterable[tuple[str, str, int]]) -> list[Named]:
    """Gather what is counted by name and state, without monitors: they count nobody, and are counted by nobody."""
    states: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for name, state, count in counted:
        if not _MONITORS.fullmatch(name):
            states[name][state] = count
    return [
        Named(name, sum(its.values()), bool(_OURS.fullmatch(name)), its if any(its) else {})
        for name, its in sorted(states.items())
    ]


def _reason(error: Exception) -> str:
    """Say in a line why a server was not asked. Drivers' texts name hosts, which the operator knows, no passwords.

    Python's own, of a URL that is none, can have a part of it that was taken for a port.
    """
    if isinstance(error, ValueError) and type(error).__module__ == "builtins":
        return f"its URL is none that can be used ({type(error).__name__}); percent-encode what is special in passwords"
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer within {_TIMEOUT_S:g} s"
    return " ".join(str(error).split()) or type(error).__name__
