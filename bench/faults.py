"""
What clients see while PostgreSQL, Redis, pass or ring is killed with -9, and when it is back.

One `drive serve` is asked 100 times a second, whether or not it has answered those before, by one account that it knows: for the details of its files, its list of files, downloads of 16 KiB and uploads of 4 KiB, with a fifth as many requests as for details that carry a token that Drive has never seen, for which it must ask pass. These are nobody's tokens: the right answer is 401. Then each server in turn is killed, stays away for five seconds (`--seconds`), and is started again at the same place; the next one is killed when all kinds of requests have been answered as they should be for a second.

*Failed* is every other answer than the right one, and every connection that broke, from the kill until all is well again. What should come out: Redis makes requests faster and fails none; ring is told of uploads beside the requests, and fails none. Without PostgreSQL nothing can be answered, and the answer is 503 with `Retry-After`, never 500. Without pass those whom Drive knows can read and list, for as long as it remembers them (`DRIVE_AUTH_CACHE_TTL_S`, set here to a day, so that none is forgotten by chance at that time); uploads, whose permission pass is asked for, and unknown tokens are 503, never 401.

*As ever* is the share of the requests sent between the kill and the end of the start that were answered rightly. *After the start* counts from when the server was ready again: PostgreSQL by what pg_ctl waits for, Redis by an answer to PING, the stand-ins for pass and ring by listening. Drive looks for a Redis that failed every five seconds, and meanwhile does without. *Lost* are uploads that were answered rightly, from two seconds before the kill on, and of which Drive knows nothing once all is well; PostgreSQL runs here with `synchronous_commit`, which the embedded one has off.

A row of seconds is the median of the rounds in which there was something to time, and absent where there never was.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from bench.measure import Effort, summary
from bench.support.filled import FORM_TYPE, form, signed_in, small_files
from bench.support.services import Backends, Started, backends, started
from bench.support.steady import Outcome, Steady, Wish
from bench.tables import Goal, Row, Table
from drive.cli.processes import Service, running
from drive.embedded import EmbeddedPostgres, EmbeddedValkey

_PER_S: Final = 100.0
_FILES: Final = 32
_DOWNLOAD_BYTES: Final = 16 * 1024
_UPLOAD_BYTES: Final = 4 * 1024
_DETAILS: Final = "details"
_LISTING: Final = "listing"
_DOWNLOAD: Final = "download"
_UPLOAD: Final = "upload"
_UNKNOWN: Final = "unknown token"
_TURN: Final = (
    (_DETAILS, _LISTING, _DETAILS, _DOWNLOAD, _DETAILS, _UPLOAD, _DETAILS, _LISTING, _DOWNLOAD, _UNKNOWN)
)  # fmt: skip
_KINDS: Final = (_DETAILS, _LISTING, _DOWNLOAD, _UPLOAD, _UNKNOWN)
_PEERS: Final = (sys.executable, "-m", "bench.support.peers")
_KNOWN_FOR_S: Final = 24 * 3600
_LONG_S: Final = 5.0
_CALM_S: Final = 1.0
_QUICK_CALM_S: Final = 0.3
_JUST_BEFORE_S: Final = 2.0
_LOOK_EVERY_S: Final = 0.02
_PATIENCE_S: Final = 90.0
_REDIS: Final = "Redis"
_UNHARMED: Final = (_REDIS, "ring")
"""What is promised to fail no request."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen of one fault. Moments are those of the event loop's clock."""

    killed_s: float
    ready_s: float
    outcomes: Sequence[Outcome]
    """Of the requests that ended after the kill."""
    used_again_s: float | None
    """When the log says so, of Redis."""
    lost: int
    """How many uploads were answered rightly, and are not there."""

    @property
    def failed(self) -> list[Outcome]:
        return [one for one in self.outcomes if not one.is_right]

    def as_ever(self, *kinds: str) -> float:
        """Return the share of what was sent meanwhile that was answered rightly, in percent."""
        sent = [one for one in self.outcomes if self.killed_s <= one.began_s < self.ready_s and one.kind in kinds]
        return 100 * sum(one.is_right for one in sent) / len(sent) if sent else 100.0

    def counts(self) -> dict[str, float]:
        failed = self.failed
        return {
            "failed requests": len(failed),
            "answered 503": sum(one.is_unavailable for one in failed),
            "answered 503 without Retry-After": sum(one.is_unavailable and not one.says_when for one in failed),
            "answered with another 5xx": sum(one.is_failure_of_the_server for one in failed),
            "answered otherwise than they should be": sum(
                one.status is not None and not one.is_unavailable and not one.is_failure_of_the_server for one in failed
            ),
            "without an answer: the connection broke, or 30 s passed": sum(one.status is None for one in failed),
            "uploads lost": self.lost,
            f"took longer than {_LONG_S:.0f} s": sum(one.ended_s - one.began_s > _LONG_S for one in self.outcomes),
        }

    def times_s(self) -> dict[str, float | None]:
        failed = self.failed
        return {
            "longest request": max(one.ended_s - one.began_s for one in self.outcomes),
            "first failure after the kill": min((one.ended_s - self.killed_s for one in failed), default=None),
            "what failed works again after the start": self._works_again_s(),
            "last failure after the start": max((max(0.0, one.ended_s - self.ready_s) for one in failed), default=None),
            "used again after the start": None if self.used_again_s is None else self.used_again_s - self.ready_s,
        }

    def _works_again_s(self) -> float | None:
        """Return when each kind that had failed was answered rightly, after the start."""
        kinds = {one.kind for one in self.failed}
        firsts = (
            min(
                one.ended_s for one in self.outcomes if one.kind == kind and one.is_right and one.ended_s > self.ready_s
            )
            for kind in kinds
        )
        return max(firsts) - self.ready_s if kinds else None


@dataclass(frozen=True, slots=True)
class _Fault:
    """How a server is killed, and started at the same place; both return when that is done."""

    kill: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]


class _Peer:
    """A process of the stand-ins, of which Drive uses one; it listens at the same ports in each of its lives."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.urls: dict[str, str] = {}
        self._environment = environment
        self._life = AsyncExitStack()
        self._service: Service | None = None

    async def start(self) -> None:
        ports = [str(urlsplit(url).port) for url in self.urls.values()] or ["0", "0"]
        command = (*_PEERS, *ports[:1])
        self._service = await self._life.enter_async_context(running(ports[1], self._environment, command=command))
        line = await self._service.logged("Listening")
        self.urls = {"pass": line["pass_url"], "ring": line["ring_url"]}

    async def kill(self) -> None:
        if self._service is not None:
            self._service.process.kill()
        await self._life.aclose()

    @classmethod
    @asynccontextmanager
    async def running(cls, environment: Mapping[str, str]) -> "AsyncIterator[_Peer]":
        peer = cls(environment)
        try:
            await peer.start()
            yield peer
        finally:
            await peer.kill()


def tables(effort: Effort) -> list[Table]:
    """Kill each server once in each round, one after the other."""
    rounds = asyncio.run(_rounds(effort))
    return [*(_table(name, [one[name] for one in rounds]) for name in rounds[0]), _by_kind(rounds)]


async def _rounds(effort: Effort) -> list[dict[str, _Seen]]:
    import aiohttp

    async with AsyncExitStack() as stack:
        within = await stack.enter_async_context(backends())
        pass_ = await stack.enter_async_context(_Peer.running(within.environment))
        ring = await stack.enter_async_context(_Peer.running(within.environment))
        variables = {"DRIVE_DATABASE_URL": f"{within.postgres.url}&synchronous_commit=on"}
        variables |= {"DRIVE_PASS_ENDPOINT": pass_.urls["pass"], "DRIVE_RING_ENDPOINT": ring.urls["ring"]}
        variables |= {"DRIVE_AUTH_CACHE_TTL_S": str(_KNOWN_FOR_S)}
        drive = await stack.enter_async_context(started("serve", within, **variables))
        wishes = _wishes(within, await small_files(within, drive, [os.urandom(_DOWNLOAD_BYTES) for _ in range(_FILES)]))
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        load = Steady(session, drive.url, wishes, _PER_S)
        await stack.enter_async_context(load.asking())
        watch = _Watch(load, drive, signed_in(within), is_quick=effort.is_quick)
        faults = {
            "PostgreSQL": _in_threads(within.postgres),
            _REDIS: _in_threads(within.valkey),
            "pass": _Fault(pass_.kill, pass_.start),
            "ring": _Fault(ring.kill, ring.start),
        }
        await watch.until_well(asyncio.get_running_loop().time())
        return [
            {name: await watch.fault(fault, effort.lasting_s(5.0, 0.5)) for name, fault in faults.items()}
            for _ in range(effort.rounds)
        ]


def _in_threads(server: EmbeddedPostgres | EmbeddedValkey) -> _Fault:
    return _Fault(lambda: asyncio.to_thread(server.kill), lambda: asyncio.to_thread(server.start))


def _wishes(within: Backends, ids: Sequence[str]) -> Iterator[Wish]:
    signed = signed_in(within)
    turns = zip(itertools.count(), itertools.cycle(ids), itertools.cycle(_TURN))
    for number, file_id, kind in turns:
        match kind:
            case "details":
                yield Wish(kind, 200, "GET", f"/api/files/{file_id}/info", signed)
            case "listing":
                yield Wish(kind, 200, "GET", "/api/files/me", signed)
            case "download":
                yield Wish(kind, 200, "GET", f"/api/files/{file_id}", signed)
            case "upload":
                body = form(f"{number}.bin", os.urandom(_UPLOAD_BYTES))
                yield Wish(kind, 200, "POST", "/api/files/upload/direct", signed | FORM_TYPE, body)
            case _:
                yield Wish(kind, 401, "GET", "/api/files/me", {"Authorization": f"Bearer unknown-{number}"})


class _Watch:
    """Breaks what Drive needs, and watches its clients."""

    def __init__(self, load: Steady, drive: Started, signed: Mapping[str, str], *, is_quick: bool) -> None:
        self._load = load
        self._drive = drive
        self._signed = signed
        self._calm_s = _QUICK_CALM_S if is_quick else _CALM_S
        self._is_quick = is_quick

    async def fault(self, fault: _Fault, down_s: float) -> _Seen:
        """Kill a server, start it again after a while, and return when all is well."""
        loop = asyncio.get_running_loop()
        first, lines = len(self._load.outcomes), len(self._drive.service.lines)
        killed_s = loop.time()
        await fault.kill()
        await asyncio.sleep(down_s)
        await fault.start()
        ready_s = loop.time()
        used_again_s = await self._redis_used_again(lines)
        await self.until_well(ready_s)
        outcomes = [one for one in self._load.outcomes[first:] if one.ended_s >= killed_s]
        return _Seen(killed_s, ready_s, outcomes, used_again_s, await self._lost(killed_s - _JUST_BEFORE_S))

    async def _lost(self, since_s: float) -> int:
        """Count the uploads that were answered since then, and of which Drive knows nothing."""
        answered = [one for one in self._load.outcomes if one.body and one.ended_s >= since_s]
        paths = [f"/api/files/{json.loads(one.body)['id']}/info" for one in answered]
        asked = [await self._load.ask(Wish(_DETAILS, 200, "GET", path, self._signed)) for path in paths]
        return sum(not one.is_right for one in asked)

    async def until_well(self, since_s: float) -> None:
        """Wait until each kind of request is answered rightly, and none other, for a while.

        Raises:
            TimeoutError: it does not come to that.

        """
        async with asyncio.timeout(_PATIENCE_S):
            while not self._is_well(since_s):  # noqa: ASYNC110 - what is waited for happens in other processes
                await asyncio.sleep(_LOOK_EVERY_S)

    def _is_well(self, since_s: float) -> bool:
        calm_since_s = asyncio.get_running_loop().time() - self._calm_s
        if calm_since_s < since_s or self._load.oldest_s < since_s:
            return False
        ended = itertools.takewhile(lambda one: one.ended_s >= calm_since_s, reversed(self._load.outcomes))
        recent = list(ended)
        return all(one.is_right for one in recent) and {one.kind for one in recent} == set(_KINDS)

    async def _redis_used_again(self, first: int) -> float | None:
        """Wait until Drive tells that it uses Redis again, if it has told that it does not."""
        lines = self._drive.service.lines
        if self._is_quick or not any(line.get("event") == "Redis unreachable" for line in lines[first:]):
            return None
        async with asyncio.timeout(_PATIENCE_S):
            while not any(line.get("event") == "Redis reachable again" for line in lines[first:]):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_EVERY_S)
        return asyncio.get_running_loop().time()


def _table(name: str, seen: Sequence[_Seen]) -> Table:
    goals = {"failed requests": Goal(0.0)} if name in _UNHARMED else {}
    counts, times_s = [one.counts() for one in seen], [one.times_s() for one in seen]
    rows = [Row("answered as ever", summary([one.as_ever(*_KINDS) for one in seen]), "%")]
    rows += [Row(what, summary([one[what] for one in counts]), "", goal=goals.get(what)) for what in counts[0]]
    for what in times_s[0]:
        timed = [time_s for one in times_s if (time_s := one[what]) is not None]
        if timed:
            rows.append(Row(what, summary(timed), "s"))
    return Table(f"{name} is killed and started again", "Until all is well again.", rows)


def _by_kind(rounds: Sequence[Mapping[str, _Seen]]) -> Table:
    rows = [
        Row(f"{name}: {kind}", summary([one[name].as_ever(kind) for one in rounds]), "%")
        for name in rounds[0]
        for kind in _KINDS
    ]
    return Table("Answered as ever meanwhile, by kind", "Of those sent between the kill and the start's end.", rows)
