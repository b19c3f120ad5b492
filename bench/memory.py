"""
What `drive serve` has in memory and which connections it holds: idle, as its parts are used, and with the original's values.

**Resident** is what the process has in memory, **PSS** the same with what it shares with other processes divided by their number, **private dirty** what it has written itself: the only part that ten processes pay for ten times.

*Bare aiohttp application* is one route that answers JSON, in one file, with nothing else imported. *Idle* is `drive serve` with everything wired, after one request to `/alive`; *after health probes* the same after ten minutes (`--seconds`) of `/alive` and `/health`, ten times a second. Then its parts are used for the first time, one after the other, in one process; each row is what it has then, so that a part's cost is the difference to the row above. The last step is 60 requests at once, so that pools fill up.

**Half of the original profile** is out of reach for an idle process: Python with aiohttp alone is nearly that, and with dependency-injector and structlog it is more, before the first line of Drive. Both profiles run on the same packages; what can be left out until it is used is the difference between the row of the original profile and this one. The limit of that row is kept, so that it is seen if the packages become smaller.

*Original profile* is `DRIVE_PROFILE=original`: all opened before the first request, a channel for each client, pools of 20, no caps. Where it is *warmed up*, it has answered the same requests as well. *All ten clients connected* is Drive's own profile with `DRIVE_OPEN_AT_START`, likewise after these requests: `drive serve` alone would not call the client that grants experience points, which is the worker's.

**Switched back alone** gives Drive one of the original's values at a time. What only holds connections longer, or allows more of them than were needed, shows no difference here.

**Nothing compiled** is idle memory where `.pyc` files are not kept, as in an image that was built without compiling: both processes then compile each module at their start, which leaves holes in their memory.

Connections are counted at their other ends: by PostgreSQL (`pg_stat_activity`), by Valkey (`CLIENT LIST`), and at the ports of the stand-ins for pass and ring; the figure *at most* is the highest seen while the requests were answered.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.goals import goal
from bench.measure import Effort, by_name, paired_ratios, summary
from bench.support.proc import Memory, memory
from bench.support.services import Backends, Started, backends, bare_app, started
from bench.support.using import PRICED, use
from bench.support.watching import Watcher, watching
from bench.tables import Goal, Row, Table, compared
from drive.settings import PROFILES, variable

_BARE: Final = "bare aiohttp application"
_IDLE: Final = "Drive, idle"
_PROBED: Final = "Drive, after health probes"
_USED: Final = "Drive, everything used"
_ALL_TEN: Final = "Drive, everything used, all ten clients connected"
_ORIGINAL: Final = "original profile, at start"
_WARM: Final = "original profile, warmed up"
_PROBE_INTERVAL_S: Final = 0.1
_SETTLE_S: Final = 0.3
_ALONE: Final = {
    f"{variable(name)}={value}": {variable(name): str(value)} for name, value in PROFILES["original"].items()
}
_UNCOMPILED: Final = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/nowhere"}
_OPENED: Final = f"{variable('open_at_start')}=True"
_CAPS: Final = {"PostgreSQL": 5.0, "Redis": 10.0, "pass": 2.0, "ring": 2.0}
_METRICS: Final = {"rss_mib": "resident", "pss_mib": "PSS", "private_dirty_mib": "private dirty"}

Steps = dict[str, Memory]


@dataclass(slots=True)
class _Variant:
    """What was seen of Drive with certain settings, in one round."""

    idle: Memory
    idle_connections: dict[str, int]
    steps: Steps = field(default_factory=dict)
    most_connections: dict[str, int] = field(default_factory=dict)

    @property
    def used(self) -> Memory:
        return list(self.steps.values())[-1]


@dataclass(frozen=True, slots=True)
class _Round:
    bare: Memory
    uncompiled: Steps
    probed: Memory
    drive: _Variant
    original: _Variant
    alone: dict[str, _Variant]

    def states(self) -> Steps:
        """Return what the main table shows."""
        steps = {f"+ {name}": seen for name, seen in self.drive.steps.items()}
        return {_BARE: self.bare, _IDLE: self.drive.idle, _PROBED: self.probed, **steps}

    def beside_original(self) -> Steps:
        return {
            _WARM: self.original.used,
            _ORIGINAL: self.original.idle,
            _IDLE: self.drive.idle,
            _USED: self.drive.used,
            _ALL_TEN: self.alone[_OPENED].used,
        }


def tables(effort: Effort) -> list[Table]:
    """Measure all kinds of processes in each round, one at a time."""
    rounds = asyncio.run(_rounds(effort))
    return [
        *(_as_used(rounds, metric, named) for metric, named in _METRICS.items()),
        *(_beside_original(rounds, metric, named) for metric, named in _METRICS.items()),
        Table(
            "Idle memory where nothing is compiled (resident)",
            f"The ratio is to: {_BARE}.",
            compared(_figures([one.uncompiled for one in rounds], "rss_mib"), _BARE, "MiB"),
        ),
        _alone(rounds),
        _connections(rounds),
    ]


async def _rounds(effort: Effort) -> list[_Round]:
    async with backends(**PRICED) as within, watching(within) as watcher:
        probed = await _probed(within, effort)
        pieces = {_OPENED: _ALONE[_OPENED]} if effort.is_quick else _ALONE
        rounds = []
        for after_probes in probed:
            bare = await _bare()
            drive = await _variant(within, watcher, {})
            original = await _variant(within, watcher, {variable("profile"): "original"})
            alone = {name: await _variant(within, watcher, changed) for name, changed in pieces.items()}
            rounds.append(_Round(bare, await _uncompiled(within), after_probes, drive, original, alone))
        return rounds


async def _bare() -> Memory:
    async with bare_app() as app:
        await _asked(app, "/")
        return await _settled(app)


async def _uncompiled(within: Backends) -> Steps:
    async with bare_app(**_UNCOMPILED) as app:
        await _asked(app, "/")
        bare = await _settled(app)
    async with started("serve", within, **_UNCOMPILED) as one:
        await _asked(one, "/alive")
        return {_BARE: bare, _IDLE: await _settled(one)}


async def _probed(within: Backends, effort: Effort) -> list[Memory]:
    """Probe as many processes as there are rounds, all at the same time: it takes long, and little of the machine."""

    async def probe() -> Memory:
        async with started("serve", within) as one:
            for _ in range(int(effort.lasting_s(600.0, 2.0) / _PROBE_INTERVAL_S / 2)):
                await _asked(one, "/alive", "/health")
                await asyncio.sleep(2 * _PROBE_INTERVAL_S)
            return await _settled(one)

    return await asyncio.gather(*(probe() for _ in range(effort.rounds)))


async def _asked(app: Started, *paths: str) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        for path in paths:
            async with session.get(app.url + path) as response:
                response.raise_for_status()
                await response.read()


async def _variant(within: Backends, watcher: Watcher, changed: dict[str, str]) -> _Variant:
    import aiohttp

    async with started("serve", within, **changed) as one:
        await _asked(one, "/alive")
        seen = _Variant(await _settled(one), await watcher.held())
        headers = {"Authorization": f"Bearer {within.token}"}
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(headers=headers, connector=connector) as session,
            watcher.watching_most() as most,
        ):
            async for step in use(session, one.url):
                seen.steps[step] = await _settled(one)
        seen.most_connections = dict(most)
    return seen


async def _settled(app: Started) -> Memory:
    """Read the memory a moment after the last answer: packets and entries of the trail are sent then."""
    await asyncio.sleep(_SETTLE_S)
    return memory(app.pid)


def _figures(steps: Sequence[Steps], metric: str) -> dict[str, list[float]]:
    return by_name([{name: getattr(seen, metric) for name, seen in one.items()} for one in steps])


def _as_used(rounds: Sequence[_Round], metric: str, named: str) -> Table:
    is_resident = metric == "rss_mib"
    return Table(
        f"Memory as parts are used ({named})",
        f"Each row is all that the process has by then; the ratio is to: {_BARE}.",
        compared(
            _figures([one.states() for one in rounds], metric),
            _BARE,
            "MiB",
            goals={_IDLE: goal("idle")} if is_resident else {},
        ),
        is_pictured=is_resident,
    )


def _beside_original(rounds: Sequence[_Round], metric: str, named: str) -> Table:
    is_resident = metric == "rss_mib"
    return Table(
        f"Memory beside the original profile ({named})",
        f"The ratio is to: {_WARM}.",
        compared(
            _figures([one.beside_original() for one in rounds], metric),
            _WARM,
            "MiB",
            goals={_IDLE: goal("idle-original"), _ALL_TEN: goal("used")} if is_resident else {},
        ),
        is_pictured=is_resident,
    )


def _alone(rounds: Sequence[_Round]) -> Table:
    def row(name: str, when: str, values: list[float], base: list[float]) -> Row:
        ratio = None if values is base else summary(paired_ratios(values, base))
        return Row(f"{name}, {when}", summary(values), "MiB", ratio)

    rows = []
    for when in ("idle", "used"):
        base = [_resident(one.drive, when) for one in rounds]
        rows.append(row("Drive", when, base, base))
        rows += [
            row(name, when, [_resident(one.alone[name], when) for one in rounds], base) for name in rounds[0].alone
        ]
        rows.append(row("all of them", when, [_resident(one.original, when) for one in rounds], base))
    return Table("Switched back alone (resident)", "The ratio is to Drive with its own values, idle or used.", rows)


def _resident(variant: _Variant, when: str) -> float:
    seen: Memory = getattr(variant, when)
    return seen.rss_mib


def _connections(rounds: Sequence[_Round]) -> Table:
    def row(name: str, counts: list[dict[str, int]], server: str, limit: Goal | None) -> Row:
        return Row(f"{name}: {server}", summary([float(one[server]) for one in counts]), "", goal=limit)

    kinds: list[tuple[str, list[dict[str, int]], dict[str, Any]]] = [
        ("idle", [one.drive.idle_connections for one in rounds], {server: Goal(0.0) for server in _CAPS}),
        ("used, at most", [one.drive.most_connections for one in rounds], {s: Goal(cap) for s, cap in _CAPS.items()}),
        ("original profile, at start", [one.original.idle_connections for one in rounds], {}),
        ("original profile, used, at most", [one.original.most_connections for one in rounds], {}),
    ]
    rows = [row(name, counts, server, goals.get(server)) for name, counts, goals in kinds for server in _CAPS]
    return Table("Connections held", "Counted by the servers at their other ends.", rows)
