"""`drive` processes beside this one."""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from drive.cli.errors import CommandError

_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 1.7
_LINE_MAX_BYTES = 1024 * 1024
_DRIVE = (sys.executable, "-m", "drive")
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Service:
    """A `drive` process, and what it has logged."""

    process: asyncio.subprocess.Process
    name: str
    lines: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def logged(self, event: str) -> dict[str, Any]:
        """Wait for a log line, and return it.

        Raises:
            CommandError: the process has ended, or did not log it in time.

        """
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                while True:
                    for line in self.lines:
                        if line.get("event") == event:
                            return line
                    if self.process.returncode is not None:
                        break
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            pass
        raise CommandError(f"drive {self.name} did not log {event!r}; it logged {self.lines[-5:]}")


@asynccontextmanager
async def running(
    name: str,
    environment: Mapping[str, str],
    *,
    echo: Callable[[Service, dict[str, Any]], None] | None = None,
    command: Sequence[str] = _DRIVE,
    stderr: IO[bytes] | None = None,
) -> AsyncIterator[Service]:
    """Run `drive NAME` beside us until the block ends, or until we are killed.

    It has a session of its own, so that Ctrl-C reaches it from us and not from the terminal.

    Args:
        name: serve or worker.
        environment: all of its environment.
        echo: called with each line that it logs.
        command: what comes before the name.
        stderr: where its stderr goes, if not to ours.

    """
    process = await asyncio.create_subprocess_exec(
        *command, name,
        env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=stderr,
        start_new_session=True, preexec_fn=_ending_with_parent(), limit=_LINE_MAX_BYTES,
    )  # fmt: skip
    service = Service(process, name)
    reading = asyncio.create_task(_read_log(service, echo))
    try:
        yield service
    finally:
        await _stop(process)
        await reading


def _ending_with_parent() -> Callable[[], None] | None:
    """Return what a child does first, so that Linux ends it when this process is gone; None on other systems."""
    if sys.platform != "linux":
        return None
    return partial(_end_with, os.getpid(), ctypes.CDLL(None))  # loaded before the fork: the child must do little


def _end_with(parent: int, libc: ctypes.CDLL) -> None:
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was gone before we could ask
        os.kill(os.getpid(), signal.SIGTERM)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _read_log(service: Service, echo: Callable[[Service, dict[str, Any]], None] | None) -> None:
    stdout = service.process.stdout
    assert stdout is not None  # noqa: S101 - a pipe was asked for
    async for line in stdout:
        try:
            service.lines.append(json.loads(line))
        except ValueError:
            service.lines.append({"event": line.decode(errors="replace").strip()})
        service.changed.set()
        if echo is not None:
            echo(service, service.lines[-1])
    await service.process.wait()
    service.changed.set()
