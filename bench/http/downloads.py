"""Downloads from Drive, from a bare aiohttp application and from nginx."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final

from bench.http.figures import Key, by_key, figures, of_load, speeds
from bench.http.kept import MIB
from bench.http.others import nginx, same
from bench.measure import Effort, interleaved_awaiting
from bench.support.filled import signed_in, small_files, upload_chunks
from bench.support.load import WRK_MISSING, Loaded, Requests, load, watching_rss
from bench.support.npm import NotInstalledError
from bench.support.services import Backends, Started, started
from bench.support.transfer import Client, random_file
from bench.tables import Goal, Table

_LARGE_MIB: Final = 512
_QUICK_LARGE_MIB: Final = 4
_SMALL_KIB: Final = 64
_SMALL_FILES: Final = 64
_LARGE_CLIENTS: Final = (1, 32)
_SMALL_CLIENTS: Final = (1, 32, 256)
_QUICK_SMALL_CLIENTS: Final = (1,)
_TURNS: Final = 4
_CHUNK_BYTES: Final = 64 * MIB
_BARE: Final = "bare aiohttp, FileResponse"
_NGINX: Final = "nginx"
_DRIVE: Final = "Drive"


@dataclass(frozen=True, slots=True)
class _Side:
    """A server, and how its files are asked for."""

    server: Started
    large: str
    small: Sequence[str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Fetched:
    """How it went with a large file."""

    mib_per_s: float
    most_rss_mib: float


async def downloads(within: Backends, effort: Effort, folder: Path, goal: Goal) -> list[Table]:
    """Fetch from each side with each number of clients in each round, taking turns; the goal is for a large file."""
    size_mib = _QUICK_LARGE_MIB if effort.is_quick else _LARGE_MIB
    left_out: list[str] = []
    async with AsyncExitStack() as stack:
        sides = await _sides(stack, within, folder, size_mib, left_out)
        large = await _large(sides, effort, size_mib)
        small = [] if WRK_MISSING else await _small(sides, effort)
    names = {"large": f"Downloads of {size_mib} MiB", "small": f"Downloads of {_SMALL_KIB} KiB"}
    goals = {(_DRIVE, 1): goal}
    per_s = by_key(large, "mib_per_s")
    tables = [
        speeds(names["large"], "MiB per second.", "MiB/s", per_s, _NGINX, goals=goals, left_out=left_out),
        figures(f"{names['large']}: memory", "MiB", by_key(large, "most_rss_mib")),
    ]
    if WRK_MISSING:
        return [*tables, Table(names["small"], "Nothing was measured.", [], [f"all: {WRK_MISSING}"])]
    return [
        *tables,
        speeds(names["small"], "Requests per second.", "per s", by_key(small, "per_s"), _NGINX, left_out=left_out),
        *of_load(names["small"], small),
    ]


async def _sides(
    stack: AsyncExitStack, within: Backends, folder: Path, size_mib: int, left_out: list[str]
) -> dict[str, _Side]:
    """Start all that there is, and give each the same files."""
    drive = await stack.enter_async_context(started("serve", within, DRIVE_STORAGE_PATH=str(folder / "drive")))
    large = await asyncio.to_thread(random_file, folder / "large.bin", size_mib * MIB)
    small = [random_file(folder / f"{number}.bin", _SMALL_KIB * 1024) for number in range(_SMALL_FILES)]
    paths = [f"/{file.name}" for file in small]
    sides = {}
    try:
        sides[_NGINX] = _Side(await stack.enter_async_context(nginx(folder)), f"/{large.name}", paths, {})
    except NotInstalledError as error:
        left_out.append(f"{_NGINX}: {error}")
    bare = await stack.enter_async_context(same(within, folder))
    sides[_BARE] = _Side(bare, f"/file/{large.name}", [f"/file{path}" for path in paths], {})
    ids = await small_files(within, drive, [file.read_bytes() for file in small], "?visibility=private")
    large_id = await asyncio.to_thread(_uploaded, within, drive, large)
    files = [f"/api/files/{file_id}" for file_id in ids]
    sides[_DRIVE] = _Side(drive, f"/api/files/{large_id}", files, signed_in(within))
    return sides


def _uploaded(within: Backends, drive: Started, file: Path) -> str:
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    client = Client(drive.url, signed_in(within))
    try:
        return upload_chunks(client, file, file.stat().st_size, sha256, _CHUNK_BYTES)
    finally:
        client.close()


async def _large(sides: Mapping[str, _Side], effort: Effort, size_mib: int) -> list[dict[Key, _Fetched]]:
    for side in sides.values():
        await _fetched(side, 1, size_mib)  # opens what there is to open
    return [
        {
            (name, clients): fetched
            for clients in _LARGE_CLIENTS
            for name, fetched in (await _in_turns(sides, clients, size_mib, effort)).items()
        }
        for _ in range(effort.rounds)
    ]


async def _in_turns(sides: Mapping[str, _Side], clients: int, size_mib: int, effort: Effort) -> dict[str, _Fetched]:
    """Fetch from each side some times, each as often first; more often where that takes little time."""
    most_rss_mib = dict.fromkeys(sides, 0.0)

    async def fetch(name: str) -> float:
        async with watching_rss(sides[name].server.pid) as seen_mib:
            mib_per_s = await _fetched(sides[name], clients, size_mib)
        most_rss_mib[name] = max(most_rss_mib[name], *seen_mib)
        return mib_per_s

    turns = 1 if effort.is_quick else len(sides) * (_TURNS if clients == 1 else 1)
    speeds_ = await interleaved_awaiting({name: partial(fetch, name) for name in sides}, turns)
    return {name: _Fetched(mib_per_s, most_rss_mib[name]) for name, mib_per_s in speeds_.items()}


async def _fetched(side: _Side, clients: int, size_mib: int) -> float:
    """Have so many clients fetch the large file at once, and return the MiB that came a second."""
    connections = [Client(side.server.url, side.headers) for _ in range(clients)]
    loop = asyncio.get_running_loop()
    try:
        with ThreadPoolExecutor(clients) as threads:
            began = perf_counter()
            await asyncio.gather(
                *(loop.run_in_executor(threads, _fetch, client, side.large, size_mib) for client in connections)
            )
            return clients * size_mib / (perf_counter() - began)
    finally:
        for client in connections:
            client.close()


def _fetch(client: Client, path: str, size_mib: int) -> None:
    answer = client.ask("GET", path, keeps=False)
    if answer.status != 200 or answer.headers["content-length"] != str(size_mib * MIB):  # noqa: PLR2004 - OK, in HTTP
        raise RuntimeError(f"{path} was answered {answer.status}, with {answer.headers}")


async def _small(sides: Mapping[str, _Side], effort: Effort) -> list[dict[Key, Loaded]]:
    names, rounds = list(sides), []
    for number in range(effort.rounds):
        order = names[number % len(names) :] + names[: number % len(names)]
        rounds.append(
            {
                (name, clients): await _loaded(sides[name], clients, effort.lasting_s(3, 1))
                for clients in (_QUICK_SMALL_CLIENTS if effort.is_quick else _SMALL_CLIENTS)
                for name in order
            }
        )
    return rounds


async def _loaded(side: _Side, clients: int, seconds: float) -> Loaded:
    requests = Requests(side.small, headers=side.headers)
    return await load(side.server.url, side.server.pid, requests, clients=clients, seconds=seconds)
