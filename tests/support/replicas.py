"""Several `drive` processes on one database and one disk, of which one is killed now and then."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import IO, Any

from drive.cli.processes import Service, running
from drive.settings import Settings
from support.process import PATIENCE_S, environment

UP = {"serve": "Listening", "worker": "Working"}
_POLL_INTERVAL_S = 0.02


class Replica:
    """A process in one life after the other."""

    def __init__(self, kind: str, settings: Settings, said: IO[bytes]) -> None:
        self.kind = kind
        self.url = ""
        """Where it listens, while it is up."""
        self.is_up = False
        self.kills = 0
        self.log: list[dict[str, Any]] = []
        """Of all lives."""
        self._environment = environment(settings)
        self._said = said
        self._stack = AsyncExitStack()
        self._service: Service | None = None

    async def start(self) -> None:
        life = running(self.kind, self._environment, echo=self._heard, stderr=self._said)
        self._service = await self._stack.enter_async_context(life)
        line = await self._service.logged(UP[self.kind])
        self.url, self.is_up = line.get("url", ""), True

    async def kill(self) -> None:
        """End it with -9."""
        assert self._service is not None
        self.is_up = False
        self.kills += 1
        self._service.process.kill()
        await self._stack.aclose()

    async def stop(self) -> None:
        """End it as an operator does; its exit status must be 0."""
        assert self._service is not None
        self.is_up = False
        self._service.process.terminate()
        assert await asyncio.wait_for(self._service.process.wait(), PATIENCE_S) == 0
        await self._stack.aclose()

    async def close(self) -> None:
        """End it in whatever way."""
        await self._stack.aclose()

    def _heard(self, _service: Service, line: dict[str, Any]) -> None:
        self.log.append(line)


class Fleet:
    """The replicas. Clients ask any that is up."""

    def __init__(self, replicas: list[Replica], seed: int) -> None:
        self.replicas = replicas
        self.random = random.Random(seed)
        self._starting: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def running(cls, settings: Settings, *, each: int, seed: int) -> AsyncIterator["Fleet"]:
        """Run as many of each kind; none of them has anything to say on stderr."""
        with tempfile.TemporaryFile() as said:
            fleet = cls([Replica(kind, settings, said) for kind in UP for _ in range(each)], seed)
            try:
                async with asyncio.TaskGroup() as group:
                    for replica in fleet.replicas:
                        group.create_task(replica.start())
                yield fleet
            finally:
                await asyncio.gather(*fleet._starting, return_exceptions=True)
                for replica in fleet.replicas:
                    await replica.close()
            said.seek(0)
            assert said.read() == b""

    @property
    def kills(self) -> dict[str, int]:
        return {kind: sum(one.kills for one in self.replicas if one.kind == kind) for kind in UP}

    def lines(self, level: str) -> list[dict[str, Any]]:
        return [line for replica in self.replicas for line in replica.log if line.get("level") == level]

    async def url(self) -> str:
        """Return the address of one that is up, or will be."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not (urls := [one.url for one in self.replicas if one.is_up and one.url]):
            assert time.monotonic() < deadline_s, "nobody is up"
            await asyncio.sleep(_POLL_INTERVAL_S)
        return self.random.choice(urls)

    async def kill_for(self, duration_s: float, *, every_s: float) -> None:
        """Kill one that is up again and again, and start it anew; return when all are up."""
        end_s = time.monotonic() + duration_s
        while time.monotonic() + every_s < end_s:
            await asyncio.sleep(every_s)
            await self._kill_one()
        await asyncio.gather(*self._starting)

    async def _kill_one(self) -> None:
        up = [replica for replica in self.replicas if replica.is_up]
        if up:
            replica = self.random.choice(up)
            await replica.kill()
            self._starting.add(asyncio.create_task(replica.start()))

    async def stop(self) -> None:
        async with asyncio.TaskGroup() as group:
            for replica in self.replicas:
                group.create_task(replica.stop())
