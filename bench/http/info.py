"""
Requests per second, latency and memory of what is asked most: a file's details, and a page of files.

Each side is asked for some seconds by 1, 32 and 256 clients, each of which asks again as soon as it is answered; the clients are [wrk](https://github.com/wg/wrk), whose one thread has the machine's second core, as has PostgreSQL. *Bare, JSON alone* is an aiohttp application with one route, which answers `{"status": "alive"}` and asks nobody. *Bare, the same query* is one that asks PostgreSQL for the same row, or page, through a pool of asyncpg with as many connections, and answers with what it got: no sign-in, no permissions, no ids of requests. Drive is asked with a token, in turn for 64 private files of the account behind it, so that each request is authenticated and its permission checked.

Drive asks PostgreSQL anew for each request, as a change must hold from the next request on, whichever replica made it. Where many ask at once they share queries: those who come while a query is under way go into the next one together. One client alone cannot share, and waits for a query each time: its row is that of a round trip to PostgreSQL, and no cache that kept the promise could be quicker.

*Listing* is `GET /api/files/me`, the newest 20 of these files with their total, about 30 kB; its baseline has no total.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from bench.goals import goal
from bench.http.figures import Key, by_key, of_load, speeds
from bench.http.others import same
from bench.measure import Effort
from bench.support.filled import signed_in, small_files
from bench.support.load import WRK_MISSING, Loaded, Requests, load
from bench.support.services import Started, backends, bare_app, started
from bench.tables import Table

_BARE: Final = "bare, JSON alone"
_BARE_ROW: Final = "bare, the same query: details"
_BARE_PAGE: Final = "bare, the same query: listing"
_INFO: Final = "Drive: details"
_LISTING: Final = "Drive: listing"
_OF_FILE: Final = (_BARE, _BARE_ROW, _INFO)
_CLIENTS: Final = (1, 32, 256)
_FILES: Final = 64
_GOAL_AT: Final = (32, 256)

Side = tuple[Started, Requests]
Round = Mapping[Key, Loaded]


def tables(effort: Effort) -> list[Table]:
    """Load each side with each number of clients in each round, taking turns."""
    if WRK_MISSING:
        return [Table("Requests per second", "Nothing was measured.", [], left_out=[f"all: {WRK_MISSING}"])]
    rounds = asyncio.run(_rounds(effort))
    per_s = by_key(rounds, "per_s")
    of_file = {key: values for key, values in per_s.items() if key[0] in _OF_FILE}
    of_page = {key: values for key, values in per_s.items() if key[0] not in _OF_FILE}
    goals = {(_INFO, clients): goal("info") for clients in _GOAL_AT}
    return [
        speeds("File details", "Requests per second.", "per s", of_file, _BARE, goals=goals),
        speeds("Listing", "Requests per second.", "per s", of_page, _BARE_PAGE),
        *of_load("Details and listing", rounds),
    ]


async def _rounds(effort: Effort) -> Sequence[Round]:
    async with AsyncExitStack() as stack:
        sides = await _sides(stack)
        for name in sides:
            await _loaded(sides[name], max(_CLIENTS), 1)  # opens and prepares what there is to open
        names, rounds = list(sides), []
        for number in range(effort.rounds):
            order = names[number % len(names) :] + names[: number % len(names)]
            seconds = effort.lasting_s(3, 1)
            rounds.append(
                {
                    (name, clients): await _loaded(sides[name], clients, seconds)
                    for clients in _CLIENTS
                    for name in order
                }
            )
        return rounds


async def _sides(stack: AsyncExitStack) -> dict[str, Side]:
    within = await stack.enter_async_context(backends())
    drive = await stack.enter_async_context(started("serve", within))
    bare = await stack.enter_async_context(bare_app())
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    asking = await stack.enter_async_context(same(within, Path(folder)))
    ids = await small_files(within, drive, [f"file {n}".encode() for n in range(_FILES)], "?visibility=private")
    headers = signed_in(within)
    return {
        _BARE: (bare, Requests(["/"], headers=headers)),
        _BARE_ROW: (asking, Requests([f"/row/{file_id}" for file_id in ids], headers=headers)),
        _BARE_PAGE: (asking, Requests(["/rows"], headers=headers)),
        _INFO: (drive, Requests([f"/api/files/{file_id}/info" for file_id in ids], headers=headers)),
        _LISTING: (drive, Requests(["/api/files/me"], headers=headers)),
    }


async def _loaded(side: Side, clients: int, seconds: float) -> Loaded:
    server, requests = side
    return await load(server.url, server.pid, requests, clients=clients, seconds=seconds)
