"""Drive and all that it needs, on this machine: each a process of its own."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Any, Final
from urllib.parse import urlsplit

from bench.measure import ROOT, child_environment
from drive.cli.processes import Service, running
from drive.embedded import EmbeddedPostgres, EmbeddedValkey

_PYTHON: Final = (sys.executable, "-m")


@dataclass(frozen=True, slots=True)
class Backends:
    """What Drive needs. `environment` leads to all of it."""

    environment: dict[str, str]
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    peers: Service
    pass_url: str
    ring_url: str
    page_url: str
    token: str
    """Of the account `plain`."""

    @property
    def pass_port(self) -> int:
        """Where pass listens."""
        return urlsplit(self.pass_url).port or 0

    @property
    def ring_port(self) -> int:
        """Where ring listens."""
        return urlsplit(self.ring_url).port or 0


@dataclass(frozen=True, slots=True)
class Started:
    """A process that answers HTTP, unless it is a worker, or works."""

    service: Service
    url: str

    @property
    def pid(self) -> int:
        """Its process."""
        return self.service.process.pid

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 0


@asynccontextmanager
async def backends(**variables: str) -> AsyncIterator[Backends]:
    """Start PostgreSQL, Valkey and the stand-ins, with the schema in place.

    Args:
        variables: further environment of all processes.

    """
    with EmbeddedPostgres() as postgres, EmbeddedValkey() as valkey:
        environment = environment_of({}) | {
            "DRIVE_HTTP_LISTEN": "127.0.0.1:0",
            "DRIVE_DATABASE_URL": postgres.url,
            "DRIVE_REDIS_URL": valkey.url,
            "DRIVE_STORAGE_PATH": str(valkey.folder / "storage"),  # which is removed even if we are killed
            "DRIVE_LOG_FORMAT": "json",
            "DRIVE_QUOTA_BASE_MIB": str(1024 * 1024),
            **variables,
        }
        await _migrate(environment)
        async with running("bench.support.peers", environment, command=_PYTHON) as peers:
            line = await peers.logged("Listening")
            urls = {"DRIVE_PASS_ENDPOINT": line["pass_url"], "DRIVE_RING_ENDPOINT": line["ring_url"]}
            yield Backends(
                environment | urls, postgres, valkey, peers,
                line["pass_url"], line["ring_url"], line["page_url"], line["tokens"]["plain"],
            )  # fmt: skip


@asynccontextmanager
async def started(name: str, within: Backends, **variables: str) -> AsyncIterator[Started]:
    """Run `drive serve` or `drive worker` until the block ends."""
    async with running(name, within.environment | variables) as service:
        line = await service.logged("Listening" if name == "serve" else "Working")
        yield Started(service, line.get("url", ""))


@asynccontextmanager
async def started_and_logged(name: str, within: Backends, log: IO[str]) -> AsyncIterator[Started]:
    """Do as `started` does, and write to a file what it logs."""

    def write(_service: Service, line: dict[str, Any]) -> None:
        log.write(f"{json.dumps(line)}\n")

    async with running(name, within.environment, echo=write) as service:
        line = await service.logged("Listening" if name == "serve" else "Working")
        yield Started(service, line.get("url", ""))


@asynccontextmanager
async def bare_app(**variables: str) -> AsyncIterator[Started]:
    """Run the bare aiohttp application until the block ends."""
    async with running("bench.support.bare", environment_of(variables), command=_PYTHON) as service:
        line = await service.logged("Listening")
        yield Started(service, line["url"])


def environment_of(variables: dict[str, str]) -> dict[str, str]:
    """Return the environment of processes that run Drive with these variables, and none of `DRIVE_*` besides."""
    inherited = {name: value for name, value in child_environment().items() if not name.startswith("DRIVE_")}
    return inherited | {"PYTHONPATH": str(ROOT)} | variables


def free_port() -> int:
    """Choose a port for a server that must be told one, as it does not say which it has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def _migrate(environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *_PYTHON, "drive", "migrate", env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"drive migrate failed:\n{said.decode()}")
