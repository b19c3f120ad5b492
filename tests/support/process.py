"""`drive` as processes of its own, the way an operator runs it."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any

import aiohttp

from drive.cli.processes import Service, running
from drive.settings import Settings, variable
from support.api import Api

PATIENCE_S = 30.0  # less than a test may take, which would leave processes behind
DRIVE = (sys.executable, "-m", "drive")


def environment(settings: Settings | None = None, **variables: str) -> dict[str, str]:
    """Return this process's environment; of `DRIVE_*` it has these variables, and what the settings have changed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DRIVE_")}
    changed = {} if settings is None else _changed(settings)
    return inherited | changed | variables


def _changed(settings: Settings) -> dict[str, str]:
    defaults = Settings()
    names = [one.name for one in fields(Settings)]
    return {variable(n): str(getattr(settings, n)) for n in names if getattr(settings, n) != getattr(defaults, n)}


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str


async def drive(*arguments: str, env: dict[str, str] | None = None) -> Finished:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *DRIVE,
        *arguments,
        env=environment() if env is None else env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Finished(process.returncode, stdout.decode(), stderr.decode())


class Serve:
    """A running `drive serve`, and a client of it."""

    def __init__(self, service: Service, session: aiohttp.ClientSession, url: str) -> None:
        self.service = service
        self.api = Api(session, url)
        self.url = url

    @property
    def pid(self) -> int:
        return self.service.process.pid

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of an event up to now."""
        return [line for line in self.service.lines if line.get("event") == event]

    async def kill(self) -> None:
        """End it with -9."""
        self.service.process.kill()
        await self.service.process.wait()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """End it with a signal, and return how many seconds that took; its exit status must be 0."""
        begun_s = time.monotonic()
        self.service.process.send_signal(number)
        status = await asyncio.wait_for(self.service.process.wait(), PATIENCE_S)
        took_s = time.monotonic() - begun_s
        assert status == 0
        return took_s


@asynccontextmanager
async def serving(settings: Settings, *, command: Sequence[str] = DRIVE, **variables: str) -> AsyncIterator[Serve]:
    """Run `drive serve` with these settings, whose port should be 0. It has nothing to say on stderr."""
    with tempfile.TemporaryFile() as stderr:
        try:
            async with (
                running("serve", environment(settings, **variables), command=command, stderr=stderr) as service,
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            ):
                listening = await service.logged("Listening")
                yield Serve(service, session, listening["url"])
        finally:
            stderr.seek(0)
            said = stderr.read().decode()
            assert said == "", said


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Wait for a condition."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not so within {timeout_s} s: {what}") from None
