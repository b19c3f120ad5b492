"""
Memory and connections of `drive serve` and `drive worker` while they do everything for a long time.

For twenty minutes (`--seconds`) eight clients send about 50 requests a second between them, whether quick or slow: details, listings and searches, uploads in one request, in chunks and by tus, whole downloads, ranges and what is not modified, renaming, folders, recycling and deleting, bundles, quota and orders, images, health probes, and mistakes: no token or a wrong one, wrong ranges, methods, bodies and passcodes, uploads and downloads that are broken off. Once a minute come the 60 requests at once, and all that [memory](#memory) uses for the first time. Each request has one right answer; *not answered as they should be* are all others, contents that are not those that were uploaded, and connections that broke. What a client makes it deletes, so that the database has little but the traces of it.

It is one round, whatever `--rounds` says. Each second the memory is read and the connections are counted, those to PostgreSQL and Redis by the names that the processes have there, those to pass and ring by the sockets of each process. The caps are those of the settings: each process may have as many.

**Slope** is that of the line that fits the memory best, from the first minute on; *middle half* that of the slopes that come out when the residuals of the line are drawn anew 400 times, in 20 blocks, as memory stays where it was a second before. Memory is flat where the slope is within two standard errors of zero. *Scatter* is the standard deviation of the residuals. What may grow in Drive, up to a bound: statements that are prepared on each connection of the pool (asyncpg keeps 100 of them), accounts behind tokens (`DRIVE_AUTH_CACHE_ENTRIES`), wrong passcodes (10 000 pairs of bundle and address), and the addresses that yarl has parsed. And what is free may stay with the C library: glibc asks the system for each large buffer alone, and gives it back, only until it has seen one freed; from then on such buffers come from its heap, which they leave with holes. `MALLOC_TRIM_THRESHOLD_=131072` in the environment keeps it from learning that, at the price of slower uploads.

In the end both are stopped as an operator does, and `drive audit` reads their logs.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.measure import Effort, Summary, summary
from bench.support.asker import Pace, Tally
from bench.support.filled import signed_in
from bench.support.mix import run
from bench.support.proc import Memory, memory
from bench.support.services import Backends, Started, backends, started_and_logged
from bench.support.trend import thinned, trend
from bench.support.using import PRICED, use
from bench.support.watching import Watcher, watching
from bench.tables import Goal, Plot, Row, Table
from drive.settings import Settings

_PER_S: Final = 50.0
_CLIENTS: Final = 8
_USE_EVERY_S: Final = 60.0
_SETTLING_S: Final = 60.0
_LOOK_EVERY_S: Final = 1.0
_LEAST_LOOKS: Final = 60
_MOST_POINTS: Final = 300
_NOTED_CHARS: Final = 100
_TOLD: Final = 20
_ROLES: Final = ("serve", "worker")
_SERVERS: Final = ("PostgreSQL", "Redis", "pass", "ring")
_METRICS: Final = {"rss_mib": "resident", "private_dirty_mib": "private dirty"}


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen at one time, of each process by its role."""

    at_s: float
    memory: Mapping[str, Memory]
    held: Mapping[str, Mapping[str, int]]
    open_files: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Seen:
    """All that was seen."""

    seconds: float
    looks: list[_Look] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    log_lines: Counter[str] = field(default_factory=Counter)
    """Those of warnings and errors, by event."""
    audit: dict[str, Any] = field(default_factory=dict)
    """What `drive audit --json` says."""

    def memory(self, role: str, metric: str) -> list[tuple[float, float]]:
        return [(look.at_s, getattr(look.memory[role], metric)) for look in self.looks]

    def settled(self, role: str, metric: str) -> list[tuple[float, float]]:
        """Return what memory was after the first minute, or after a fourth of the time where that is less."""
        from_s = min(_SETTLING_S, self.seconds / 4)
        return [(at_s, mib) for at_s, mib in self.memory(role, metric) if at_s >= from_s]

    def held(self, role: str, server: str) -> list[tuple[float, float]]:
        return [(look.at_s, look.held[role][server]) for look in self.looks]


def tables(effort: Effort) -> list[Table | Plot]:
    """Run everything, once."""
    seen = asyncio.run(_soaked(effort.lasting_s(1200.0, 3.0)))
    for wrong in dict.fromkeys(seen.tally.wrong[:_TOLD]):
        print(wrong, file=sys.stderr)
    return [_memory(seen), _connections(seen), _answers(seen), _memory_plot(seen), _connections_plot(seen)]


async def _soaked(seconds: float) -> _Seen:
    seen = _Seen(seconds)
    with tempfile.TemporaryDirectory() as folder:
        logs = {role: Path(folder) / f"{role}.log" for role in _ROLES}
        async with backends(**PRICED) as within:
            async with AsyncExitStack() as stack:
                drive = {}
                for role, file in logs.items():
                    log = stack.enter_context(file.open("w", encoding="utf-8"))
                    drive[role] = await stack.enter_async_context(started_and_logged(role, within, log))
                watcher = await stack.enter_async_context(watching(within))
                await stack.enter_async_context(_using(within, drive["serve"].url, seen.tally))
                await _watch(drive, watcher, seen)
            seen.audit.update(await _audited(within, logs))
        for file in logs.values():
            lines = map(json.loads, file.read_text("utf-8").splitlines())
            seen.log_lines.update(line["event"] for line in lines if line.get("level") in {"warning", "error"})
    return seen


@asynccontextmanager
async def _using(within: Backends, url: str, tally: Tally) -> AsyncIterator[None]:
    """Be all the clients until the block ends."""
    import aiohttp

    async def use_now_and_then(session: aiohttp.ClientSession) -> None:
        while True:
            try:
                async for _ in use(session, url):
                    pass
            except (RuntimeError, aiohttp.ClientError, TimeoutError) as error:
                tally.wrong.append(f"one of {use.__name__}: {error}")
            await asyncio.sleep(_USE_EVERY_S)

    def session(headers: Mapping[str, str]) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0))

    async with session({}) as anybody, session(signed_in(within)) as plain:
        clients = [
            asyncio.create_task(run(anybody, url, Pace(_PER_S), tally, _CLIENTS)),
            asyncio.create_task(use_now_and_then(plain)),
        ]
        try:
            yield
        finally:
            for client in clients:
                client.cancel()
            ended = await asyncio.gather(*clients, return_exceptions=True)
            tally.wrong.extend(repr(end) for end in ended if not isinstance(end, asyncio.CancelledError))


async def _watch(drive: Mapping[str, Started], watcher: Watcher, seen: _Seen) -> None:
    """Look at the processes again and again, for as long as it should last."""
    loop = asyncio.get_running_loop()
    every_s = min(_LOOK_EVERY_S, seen.seconds / _LEAST_LOOKS)
    pids = {role: process.pid for role, process in drive.items()}
    began_s = due_s = loop.time()
    while due_s <= began_s + seen.seconds:
        await asyncio.sleep(due_s - loop.time())
        at_s, held = loop.time() - began_s, await watcher.held_by(pids)
        of_each = {role: memory(pid) for role, pid in pids.items()}
        open_files = {role: len(os.listdir(f"/proc/{pid}/fd")) for role, pid in pids.items()}  # noqa: PTH208
        seen.looks.append(_Look(at_s, of_each, held, open_files))
        due_s = max(due_s + every_s, loop.time())


async def _audited(within: Backends, logs: Mapping[str, Path]) -> dict[str, Any]:
    command = (sys.executable, "-m", "drive", "audit", "--json", *map(str, logs.values()))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=within.environment, stdout=pipe)
    said, _ = await process.communicate()
    report: dict[str, Any] = json.loads(said)
    return report | {"status": process.returncode}


def _memory(seen: _Seen) -> Table:
    rows = []
    for role in _ROLES:
        for metric, named in _METRICS.items():
            points = seen.settled(role, metric)
            line = trend([(at_s / 3600, mib) for at_s, mib in points])
            middle = summary([mib for _, mib in points])
            who = f"{role}, {named}"
            rows += [
                Row(f"{who}: slope", line.slope, "MiB/h"),
                Row(f"{who}: its standard error", _one(line.standard_error), "MiB/h"),
                Row(f"{who}: scatter", _one(line.scatter), "MiB"),
                Row(f"{who}: in the middle", middle, "MiB"),
                Row(f"{who}: at most", _one(max(mib for _, mib in points)), "MiB"),
            ]
    return Table("Memory after the first minute", f"Of {seen.seconds / 60:.1f} minutes.", rows)


def _connections(seen: _Seen) -> Table:
    caps = _caps()
    rows = [
        Row(f"{role}: {server}", _one(max(count for _, count in seen.held(role, server))), "", goal=caps[server])
        for role in _ROLES
        for server in _SERVERS
    ]
    rows += [Row(f"{role}: open files", _one(max(look.open_files[role] for look in seen.looks)), "") for role in _ROLES]
    return Table("Connections and open files, at most", "Of each process, at any look.", rows)


def _caps() -> dict[str, Goal]:
    settings = Settings()
    most = {"PostgreSQL": settings.database_max_connections, "Redis": settings.redis_max_connections}
    most |= dict.fromkeys(("pass", "ring"), settings.grpc_max_connections)
    return {server: Goal(float(count)) for server, count in most.items()}


def _answers(seen: _Seen) -> Table:
    answered, wrong = seen.tally.answered, seen.tally.wrong
    findings, processes = seen.audit["findings"], seen.audit["processes"]
    channels = sum(one["created"] for process in processes for one in process["channels"])
    noted = ", ".join(f"{count} {event}" for event, count in seen.log_lines.most_common(3))
    said = findings[0]["message"] if findings else ""
    kinds = {f"answered {first}xx": (first * 100, first * 100 + 100) for first in (2, 3, 4)}
    rows = [
        Row(name, _one(sum(answered[status] for status in range(*statuses))), "") for name, statuses in kinds.items()
    ]
    rows += [
        Row("answered in a second", _one(answered.total() / seen.seconds), ""),
        Row(
            "not answered as they should be",
            _one(len(wrong)),
            "",
            goal=Goal(0.0),
            note=wrong[0][:_NOTED_CHARS] if wrong else "",
        ),
        Row("warnings and errors in the logs", _one(seen.log_lines.total()), "", goal=Goal(0.0), note=noted),
        Row("drive audit: exit code", _one(seen.audit["status"]), "", goal=Goal(0.0)),
        Row("drive audit: findings", _one(len(findings)), "", goal=Goal(0.0), note=said),
        Row("drive audit: channels created, by two processes", _one(channels), "", goal=Goal(4.0)),
    ]
    return Table("Requests and logs", "Beside those that are 60 at once.", rows)


def _memory_plot(seen: _Seen) -> Plot:
    lines = {
        f"{role}, {named}": _in_minutes(seen.memory(role, metric))
        for role in _ROLES
        for metric, named in _METRICS.items()
    }
    return Plot("Memory over time", "the most of each few looks.", "min", "MiB", lines)


def _connections_plot(seen: _Seen) -> Plot:
    lines = {f"{role}: {server}": _in_minutes(seen.held(role, server)) for role in _ROLES for server in _SERVERS}
    used = {name: line for name, line in lines.items() if any(count for _, count in line)}
    return Plot(
        "Connections over time", "the most of each few looks; absent where there never was one.", "min", "", used
    )


def _in_minutes(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(round(at_s / 60, 3), round(value, 2)) for at_s, value in thinned(points, _MOST_POINTS)]


def _one(value: float) -> Summary:
    return summary([float(value)])
