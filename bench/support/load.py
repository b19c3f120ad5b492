"""Many clients that ask again and again, by wrk, which takes a hundredth of the processor that a service does."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WRK_MISSING: Final = "" if shutil.which("wrk") else "wrk is not installed; on Debian: apt-get install wrk"
"""Why there can be no load here; empty where there can."""

_LOOK_EVERY_S: Final = 0.05
_PAGE_MIB: Final = 4096 / 1024**2
_UNITS_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
# Each request another path, in turn; with a body where there is one.
_SCRIPT: Final = """
local function lines(path)
  local all = {}
  for line in io.lines(path) do all[#all + 1] = line end
  return all
end
local paths, place = lines("%(folder)s/paths"), 0
local file = io.open("%(folder)s/body", "rb")
local body = file and file:read("*a")
request = function()
  place = place %% #paths + 1
  return wrk.format("%(method)s", paths[place], nil, body)
end
"""


@dataclass(frozen=True, slots=True)
class Requests:
    """What the clients send: the paths in turn, each with the same headers and body."""

    paths: Sequence[str]
    method: str = "GET"
    headers: Mapping[str, str] | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """How it went."""

    per_s: float
    p50_ms: float
    p99_ms: float
    most_rss_mib: float
    """The most memory that the server was seen to have."""


async def load(url: str, pid: int, requests: Requests, *, clients: int, seconds: float) -> Loaded:
    """Have so many clients ask for so long, each as soon as it is answered.

    Raises:
        RuntimeError: an answer was an error, or wrk failed.

    """
    with tempfile.TemporaryDirectory() as folder:
        script = _written(Path(folder), requests)
        headers = [part for name, value in (requests.headers or {}).items() for part in ("-H", f"{name}: {value}")]
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:.0f}s", "--latency", "--timeout", "30s", *headers]
        async with watching_rss(pid) as seen_mib:
            process = await asyncio.create_subprocess_exec(
                *command, "-s", script, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            said = (await process.communicate())[0].decode()
    if process.returncode != 0 or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"wrk was not answered as it should be:\n{said}")
    per_s = float(_found(r"Requests/sec:\s+([\d.]+)", said)[1])
    return Loaded(per_s, _latency_ms("50", said), _latency_ms("99", said), max(seen_mib))


def _written(folder: Path, requests: Requests) -> Path:
    (folder / "paths").write_text("\n".join(requests.paths), "utf-8")
    if requests.body is not None:
        (folder / "body").write_bytes(requests.body)
    script = folder / "requests.lua"
    script.write_text(_SCRIPT % {"folder": folder, "method": requests.method}, "utf-8")
    return script


@asynccontextmanager
async def watching_rss(pid: int) -> AsyncIterator[list[float]]:
    """Look at a process's memory, now and then, while the block runs."""
    seen = [rss_mib(pid)]

    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            seen.append(rss_mib(pid))

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()
        await asyncio.wait([looking])


def rss_mib(pid: int) -> float:
    """Read how much memory a process has, which costs next to nothing."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE_MIB


def _latency_ms(percent: str, said: str) -> float:
    found = _found(rf"\s{percent}%\s+([\d.]+)(us|ms|s|m)\b", said)
    return float(found[1]) * _UNITS_MS[found[2]]


def _found(pattern: str, said: str) -> re.Match[str]:
    found = re.search(pattern, said)
    if found is None:
        raise RuntimeError(f"wrk said what was not understood:\n{said}")
    return found
