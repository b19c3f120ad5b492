"""
From the start of the process to its first answer.

A process is started on a port that was free, and asked again and again, every two milliseconds, until it answers. Everything is compiled before. *Bare aiohttp application* is one route that answers JSON; Drive is asked for `/alive`. Drive checks its settings and its wiring in that time, too, in a child process. The original profile answers once everything is opened.
"""  # noqa: D212, E501 - Markdown, for docs/benchmarks.md

import asyncio
import sys
from time import perf_counter
from typing import Final

from bench.goals import goal
from bench.measure import Effort, by_name
from bench.support.services import Backends, backends, environment_of, free_port
from bench.tables import Table, compared

_BARE: Final = "bare aiohttp application"
_DRIVE: Final = "drive serve"
_ORIGINAL: Final = "drive serve, original profile"
_ASK_EVERY_S: Final = 0.002
_TIMEOUT_S: Final = 30.0


def tables(effort: Effort) -> list[Table]:
    """Start each kind of process in each round, taking turns."""
    rounds = asyncio.run(_rounds(effort))
    return [
        Table(
            "Time from start to first answer",
            f"The ratio is to: {_BARE}.",
            compared(by_name(rounds), _BARE, "ms", goals={_DRIVE: goal("start")}),
            is_pictured=True,
        )
    ]


async def _rounds(effort: Effort) -> list[dict[str, float]]:
    async with backends() as within:
        await _round(within)  # compiles what is not compiled yet
        return [await _round(within) for _ in range(effort.rounds)]


async def _round(within: Backends) -> dict[str, float]:
    return {
        _BARE: await _first_answer("bench.support.bare", "/", {}),
        _DRIVE: await _first_answer("drive", "/alive", within.environment),
        _ORIGINAL: await _first_answer("drive", "/alive", within.environment | {"DRIVE_PROFILE": "original"}),
    }


async def _first_answer(module: str, path: str, environment: dict[str, str]) -> float:
    """Return the milliseconds from the start of a process until it answered 200."""
    port = free_port()
    arguments = ["serve"] if module == "drive" else [str(port)]
    environment = environment_of(environment) | {"DRIVE_HTTP_LISTEN": f"127.0.0.1:{port}"}
    began = perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            while not await _answers(port, path):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(_ASK_EVERY_S)
        return (perf_counter() - began) * 1000
    finally:
        process.terminate()
        await process.wait()


async def _answers(port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{path} was answered {answer[:200]!r}")
    return True
