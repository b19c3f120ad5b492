"""`drive demo`: it works at once, and leaves nothing behind, however it ends."""

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from support.api import Api
from support.process import DRIVE, environment, until

MOST_S = 6.0  # two seconds are promised; the rest is for a machine that does other things meanwhile
PATIENCE_S = 30.0  # less than a test may take, which would leave processes behind
MIB = 1024 * 1024
ON_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


@pytest.fixture
def base() -> Iterator[Path]:
    """Give an empty folder to run it in, with its temporary files too: what it leaves is not what others leave."""
    path = Path(tempfile.mkdtemp(prefix="d-"))  # short: unix sockets below it may have 107 characters
    path.chmod(0o777)  # PostgreSQL may be another user
    yield path
    shutil.rmtree(path, ignore_errors=True)  # after a failure its parts may still be removing it


@dataclass(slots=True)
class Demo:
    """A `drive demo` that is being run."""

    process: Process
    shown: list[str] = field(default_factory=list)

    async def greeted(self) -> str:
        """Wait until it says how it is used, and return its URL."""
        assert self.process.stdout is not None
        while line := await asyncio.wait_for(self.process.stdout.readline(), PATIENCE_S):
            self.shown.append(line.decode())
            if found := re.search(rb"Drive runs at +(http://\S+)", line):
                return found[1].decode()
        raise AssertionError(self.shown)

    async def ended(self) -> float:
        """Wait for its end, and return how many seconds that took."""
        begun_s = time.monotonic()
        rest, _ = await asyncio.wait_for(self.process.communicate(), PATIENCE_S)
        took_s = time.monotonic() - begun_s
        self.shown.append(rest.decode())
        return took_s


@asynccontextmanager
async def demo(base: Path, *arguments: str, command: tuple[str, ...] = DRIVE) -> AsyncIterator[Demo]:
    process = await asyncio.create_subprocess_exec(
        *command, "demo", *arguments,
        env=environment(TMPDIR=str(base), HOME=str(base)), cwd=base, start_new_session=True,
        stdin=PIPE, stdout=PIPE, stderr=STDOUT,
    )  # fmt: skip
    try:
        yield Demo(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def left(base: Path) -> list[str]:
    """Return the processes that were started for the folder, and the files that are in it."""
    processes = [place for place in Path("/proc").glob("[0-9]*") if str(base) in _places(place)]
    return [str(one) for one in (*processes, *base.iterdir())]


def _places(process: Path) -> str:
    try:
        texts = [(process / name).read_text(errors="replace") for name in ("cmdline", "environ")]
        return "".join(texts) + str((process / "cwd").readlink())
    except OSError:  # it ended meanwhile, or is not ours to look at
        return ""


async def upload(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        assert (await Api(session, url).upload(b"content"))["size"] == 7


async def test_smoke_does_a_whole_round_and_leaves_nothing_behind(base: Path) -> None:
    """It exits with 0, shows each step with its time, one channel each for pass and ring, and the memory of serve."""
    async with demo(base, "--smoke") as running:
        await running.ended()
        shown = "".join(running.shown)
        assert running.process.returncode == 0, shown
        assert len(re.findall(r"^ +[0-9.]+ ms  ", shown, re.MULTILINE)) == 7
        assert re.findall(r"event=Creating gRPC channel .*service=(\w+)", shown) == ["AuthService", "RingService"]
        assert re.search(r"[0-9.]+ MiB private memory of serve", shown)
        assert "Traceback" not in shown
    assert left(base) == []


async def test_ctrl_c_in_a_terminal_ends_it_within_two_seconds(base: Path) -> None:
    """The terminal sends SIGINT to all processes of the group; each part still ends in order."""
    command = (sys.executable, "-c", ON_TERMINAL, *DRIVE)
    async with demo(base, "--port", "0", command=command) as running:
        await upload(await running.greeted())
        assert running.process.stdin is not None
        running.process.stdin.write(b"\x03")
        await running.process.stdin.drain()
        assert await running.ended() < MOST_S
        shown = "".join(running.shown)
        assert running.process.returncode == 0, shown
        assert "Traceback" not in shown
        assert shown.count("Closing gRPC channel") == 2
    assert left(base) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_within_two_seconds_while_a_file_is_downloaded(
    base: Path, number: signal.Signals
) -> None:
    async with demo(base, "--port", "0") as running:
        url = await running.greeted()
        async with aiohttp.ClientSession() as session:
            file = (await Api(session, url).upload_direct(os.urandom(16 * MIB))).json
            async with session.get(f"{url}/api/files/{file['id']}") as response:
                assert response.status == 200
                os.killpg(running.process.pid, number)
                assert await running.ended() < MOST_S
        assert running.process.returncode == 0, running.shown
        assert "Traceback" not in "".join(running.shown)
    assert left(base) == []


@pytest.mark.parametrize("after_s", [0.3, 0.8, 1.2])
async def test_ctrl_c_while_it_starts_ends_it_too(base: Path, after_s: float) -> None:
    """Nothing that was started by then is forgotten."""
    async with demo(base, "--port", "0") as running:
        await asyncio.sleep(after_s)
        os.killpg(running.process.pid, signal.SIGINT)
        await running.ended()
        assert running.process.returncode in {0, 130, -signal.SIGINT}, running.shown
    await until(lambda: left(base) == [], f"all is gone: {left(base)}")


async def test_killed_it_leaves_nothing_behind(base: Path) -> None:
    """After kill -9 each part ends by itself, and the folder with them."""
    async with demo(base, "--port", "0") as running:
        await upload(await running.greeted())
        running.process.kill()
        await running.ended()
        await until(lambda: left(base) == [], f"all is gone: {left(base)}")
        assert "Traceback" not in "".join(running.shown)


async def test_a_reader_that_leaves_does_not_stop_it(base: Path) -> None:
    """`drive demo | head`: what is no longer read is lost, and the service goes on until it is told to end."""
    command = ("/bin/sh", "-c", 'exec "$@" | head -n 5', "sh", *DRIVE)
    async with demo(base, "--port", "0", command=command) as running:
        await upload(await running.greeted())
        os.killpg(running.process.pid, signal.SIGINT)
        await running.ended()
    await until(lambda: left(base) == [], f"all is gone: {left(base)}")
