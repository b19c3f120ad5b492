"""Uploads of a large file to Drive, to a bare aiohttp handler, and to others that keep files."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from bench.http.direct import direct
from bench.http.figures import Key, by_key, figures, speeds
from bench.http.kept import MIB, Keeper, Sent, written
from bench.http.others import copyparty, same, tus_server
from bench.measure import Effort
from bench.support.filled import checked, signed_in, upload_chunks, upload_tus
from bench.support.load import watching_rss
from bench.support.npm import NotInstalledError
from bench.support.services import Backends, Started, started
from bench.support.transfer import Client, random_file
from bench.tables import Goal, Table

_SIZE_MIB: Final = 512
_QUICK_SIZE_MIB: Final = 8
_CHUNKS_MIB: Final = (5, 64)
"""Drive's default, and the most that it takes by default, which the goal is held against."""
_STAMP_BYTES: Final = 32
_BARE: Final = "bare aiohttp, PUT"


@dataclass(slots=True)
class _Source:
    """A file to upload, whose bytes are others each time: what an account has already, Drive does not take again."""

    path: Path
    size_bytes: int
    sha256: str = ""

    def renew(self) -> None:
        """Let it be a file that nobody has seen."""
        with self.path.open("r+b") as file:
            file.write(os.urandom(_STAMP_BYTES))
            file.seek(0)
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()


Send = Callable[[Client, _Source], object]
Ways = Mapping[str, tuple[Keeper, Send]]


async def uploads(within: Backends, effort: Effort, folder: Path, goal: Goal) -> list[Table]:
    """Upload in each way in each round, taking turns; the goal is for the largest chunks."""
    size_mib = _QUICK_SIZE_MIB if effort.is_quick else _SIZE_MIB
    left_out: list[str] = []
    async with AsyncExitStack() as stack:
        bare, drive = await _bare_and_drive(stack, within, folder)
        others = await _others(stack, folder, left_out)
        source = _Source(await asyncio.to_thread(random_file, folder / "large.bin", size_mib * MIB), size_mib * MIB)
        rounds = await _rounds({_BARE: (bare, _put("/file")), **_of_drive(drive), **others}, source, effort)
        direct_ones = await direct(bare, drive, effort)
    title, per_s = f"Uploads of {size_mib} MiB", by_key(rounds, "mib_per_s")
    goals = {(_chunked(max(_CHUNKS_MIB)), 1): goal}
    return [
        speeds(title, "MiB per second.", "MiB/s", per_s, _BARE, goals=goals, left_out=left_out),
        figures(f"{title}: memory", "MiB", by_key(rounds, "most_rss_mib")),
        *direct_ones,
    ]


async def _bare_and_drive(stack: AsyncExitStack, within: Backends, folder: Path) -> tuple[Keeper, Keeper]:
    in_bare, in_drive = folder / "bare", folder / "drive"
    in_bare.mkdir()
    bare = await stack.enter_async_context(same(within, in_bare))
    drive = await stack.enter_async_context(started("serve", within, DRIVE_STORAGE_PATH=str(in_drive)))
    return Keeper(bare, in_bare), Keeper(drive, in_drive / "objects", signed_in(within))


def _of_drive(drive: Keeper) -> Ways:
    """Return the ways to send a file of any size to Drive."""

    def chunked(chunk_bytes: int) -> Send:
        return lambda client, source: upload_chunks(client, source.path, source.size_bytes, source.sha256, chunk_bytes)

    ways = {_chunked(size_mib): (drive, chunked(size_mib * MIB)) for size_mib in _CHUNKS_MIB}
    return {**ways, "Drive, tus in one PATCH": (drive, _tus("/api/files/tus"))}


def _chunked(size_mib: int) -> str:
    return f"Drive, chunks of {size_mib} MiB"


async def _others(stack: AsyncExitStack, folder: Path, left_out: list[str]) -> Ways:
    """Start what is there of the others."""
    kinds: dict[str, tuple[Callable[[Path], AbstractAsyncContextManager[Started]], Send]] = {
        "copyparty, PUT": (copyparty, _put("")),
        "@tus/server, one PATCH": (tus_server, _tus("/files")),
    }
    ways = {}
    for name, (starting, send) in kinds.items():
        own = folder / starting.__name__
        own.mkdir()
        try:
            ways[name] = Keeper(await stack.enter_async_context(starting(own)), own), send
        except NotInstalledError as error:
            left_out.append(f"{name}: {error}")
    return ways


def _put(prefix: str) -> Send:
    def send(client: Client, source: _Source) -> None:
        checked(client.ask("PUT", f"{prefix}/{source.path.name}", (source.path, 0, source.size_bytes)))

    return send


def _tus(endpoint: str) -> Send:
    return lambda client, source: upload_tus(client, endpoint, source.path, source.size_bytes)


async def _rounds(ways: Ways, source: _Source, effort: Effort) -> Sequence[Mapping[Key, Sent]]:
    for keeper, send in ways.values():
        await _uploaded(keeper, send, source, is_hashed=True)  # opens what there is to open
    names, rounds = list(ways), []
    for number in range(effort.rounds):
        order = names[number % len(names) :] + names[: number % len(names)]
        rounds.append({(name, 1): await _uploaded(*ways[name], source) for name in order})
    return rounds


async def _uploaded(keeper: Keeper, send: Send, source: _Source, *, is_hashed: bool = False) -> Sent:
    """Upload a file that is new, see that it has arrived, and remove it."""
    await asyncio.to_thread(source.renew)
    await written()
    client = keeper.client()
    try:
        async with watching_rss(keeper.server.pid) as seen_mib:
            began = perf_counter()
            await asyncio.to_thread(send, client, source)
            took_s = perf_counter() - began
    finally:
        client.close()
    await asyncio.to_thread(keeper.check, source.size_bytes, source.sha256 if is_hashed else None)
    keeper.empty()
    return Sent(source.size_bytes / MIB / took_s, max(seen_mib))
