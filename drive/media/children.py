"""Programs that read what strangers have sent."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("limited.py")
_FILE_MAX_BYTES = 1024 * 1024 * 1024
_OUTPUT_MAX_BYTES = 1024 * 1024
_ERROR_MAX_BYTES = 1024
_INHERITED = ("PATH", "LD_LIBRARY_PATH")
"""Of the environment, which has the worker's secrets, a child gets no more."""


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What a child may use up."""

    memory_mib: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child has ended."""

    status: int
    """Its exit status; negative is the signal that ended it."""
    is_late: bool
    """Whether it had to be stopped, for its time was over."""
    output: bytes
    error: str
    """The end of what it said on stderr, of printable characters."""

    @property
    def was_ended(self) -> bool:
        """Whether it did not end by itself."""
        return self.is_late or self.status < 0

    def __str__(self) -> str:
        """Say how it ended, for the operator."""
        if self.is_late:
            return "took too long"
        how = f"was ended by {signal.Signals(-self.status).name}" if self.status < 0 else f"failed with {self.status}"
        return f"{how}: {self.error}" if self.error else how


async def run_limited(program: Sequence[str], folder: Path, limits: ChildLimits) -> Ended:
    """Run a program in a folder, under limits; what it says goes to files there, at most as long as any file.

    Neither it nor what it has started outlives this call, or this process.
    """
    out, err = folder / "stdout", folder / "stderr"
    cpu_s = max(1, round(limits.timeout_s))
    numbers = (limits.memory_mib * 1024 * 1024, cpu_s, _FILE_MAX_BYTES, os.getpid())
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(_LAUNCHER), *map(str, numbers), *program,
            stdin=asyncio.subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=folder,
            env={name: os.environ[name] for name in _INHERITED if name in os.environ},
            start_new_session=True,
        )  # fmt: skip
    is_late = False
    try:
        async with asyncio.timeout(limits.timeout_s):
            await process.wait()
    except TimeoutError:
        is_late = True
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        status = await process.wait()
    return Ended(status, is_late, _head(out), _printable(_tail(err)))


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_OUTPUT_MAX_BYTES)


def _tail(file: Path) -> bytes:
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - _ERROR_MAX_BYTES))
        return opened.read()


def _printable(said: bytes) -> str:
    text = said.decode(errors="replace").strip()
    return "".join(one if one.isprintable() else " " for one in text)
