"""Uploads of one request, as large as Drive takes them by default, beside a bare aiohttp handler."""

import asyncio
import hashlib
import os
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Final

from bench.http.figures import Key, by_key, figures, of_load, speeds
from bench.http.kept import MIB, Keeper, Sent, written
from bench.measure import Effort
from bench.support.filled import FORM_TYPE, checked, form
from bench.support.load import WRK_MISSING, Loaded, Requests, load, watching_rss
from bench.tables import Table

_MEDIUM_MIB: Final = 16
_MEDIUM_COUNT: Final = 20
_SMALL_KIB: Final = 64
_SMALL_CLIENTS: Final = (1, 32)
_QUICK_SMALL_CLIENTS: Final = (1,)
_NAMES: Final = 64
"""Of files that the bare handler is sent by many at once, so that hardly two of them write the same one."""
_BARE: Final = "bare aiohttp, PUT"
_DIRECT: Final = "Drive, direct"


async def direct(bare: Keeper, drive: Keeper, effort: Effort) -> list[Table]:
    """Upload some from memory one after the other, and small ones by many clients, in each round, taking turns."""
    medium = await _medium(bare, drive, effort)
    title, small_title = f"Direct uploads of {_MEDIUM_MIB} MiB", f"Direct uploads of {_SMALL_KIB} KiB"
    tables = [
        speeds(title, "MiB per second.", "MiB/s", by_key(medium, "mib_per_s"), _BARE),
        figures(f"{title}: memory", "MiB", by_key(medium, "most_rss_mib")),
    ]
    if WRK_MISSING:
        return [*tables, Table(small_title, "Nothing was measured.", [], [f"all: {WRK_MISSING}"])]
    small = await _small(bare, drive, effort)
    per_s = by_key(small, "per_s")
    return [*tables, speeds(small_title, "Uploads per second.", "per s", per_s, _BARE), *of_load(small_title, small)]


def _requests(drive: Keeper, content: bytes, names: int) -> dict[str, Requests]:
    """Return what each side is sent."""
    paths = [f"/file/{number}.bin" for number in range(names)]
    headers = {**drive.headers, **FORM_TYPE}
    return {
        _BARE: Requests(paths, "PUT", body=content),
        _DIRECT: Requests(["/api/files/upload/direct"], "POST", headers, form("some.bin", content)),
    }


async def _medium(bare: Keeper, drive: Keeper, effort: Effort) -> Sequence[Mapping[Key, Sent]]:
    content = os.urandom(_MEDIUM_MIB * MIB)
    requests = _requests(drive, content, 1)
    sides, rounds = [(_BARE, bare), (_DIRECT, drive)], []
    for _ in range(effort.rounds):
        seen = {}
        for name, keeper in sides:
            await written()
            seen[name, 1] = await _sent(keeper, requests[name], effort.count(_MEDIUM_COUNT))
            _check(keeper, content)
        rounds.append(seen)
        sides.reverse()
    return rounds


async def _sent(keeper: Keeper, requests: Requests, count: int) -> Sent:
    client = keeper.client()

    def all_of_them() -> float:
        began = perf_counter()
        for _ in range(count):
            checked(client.ask(requests.method, requests.paths[0], requests.body or b"", requests.headers))
        return perf_counter() - began

    try:
        async with watching_rss(keeper.server.pid) as seen_mib:
            took_s = await asyncio.to_thread(all_of_them)
    finally:
        client.close()
    return Sent(count * _MEDIUM_MIB / took_s, max(seen_mib))


async def _small(bare: Keeper, drive: Keeper, effort: Effort) -> Sequence[Mapping[Key, Loaded]]:
    content = os.urandom(_SMALL_KIB * 1024)
    requests, seconds = _requests(drive, content, _NAMES), effort.lasting_s(3, 1)
    sides, rounds = [(_BARE, bare), (_DIRECT, drive)], []
    for _ in range(effort.rounds):
        seen = {}
        for clients in _QUICK_SMALL_CLIENTS if effort.is_quick else _SMALL_CLIENTS:
            for name, keeper in sides:
                await written()
                server = keeper.server
                seen[name, clients] = await load(
                    server.url, server.pid, requests[name], clients=clients, seconds=seconds
                )
                _check(keeper, content)
        rounds.append(seen)
        sides.reverse()
    return rounds


def _check(keeper: Keeper, content: bytes) -> None:
    """See that what was sent has arrived, and remove it."""
    keeper.check(len(content), hashlib.sha256(content).hexdigest())
    keeper.empty()
