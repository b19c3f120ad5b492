"""`drive demo`: everything on this machine, with nothing installed."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drive import logs
from drive.cli.processes import Service, running
from drive.cli.serve import stop_signal
from drive.db.migrate import migrate
from drive.embedded import EmbeddedPostgres, EmbeddedValkey
from drive.peers import TOKENS, Peers, serve_page, serve_peers


def demo(*, port: int, smoke: bool) -> int:
    """Run the demo until Ctrl-C; or, with `smoke`, one round through it. Returns 0, or 1 where the round failed."""
    logs.configure(level="warning")
    with _embedded() as environment:
        return asyncio.run(_demo(environment, 0 if smoke else port, smoke=smoke))


@dataclass(frozen=True, slots=True)
class Demo:
    """What runs, for those who use it."""

    url: str
    page_url: str
    serve: Service
    peers: Peers


@contextmanager
def _embedded() -> Iterator[dict[str, str]]:
    """Start PostgreSQL and Valkey, and give the environment that leads the services to them."""
    _say("Starting PostgreSQL and Valkey …")
    with ExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres())
        valkey = stack.enter_context(EmbeddedValkey())
        storage = Path(tempfile.mkdtemp(prefix="drive-demo-"))
        stack.callback(shutil.rmtree, storage, ignore_errors=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DRIVE_")}
        yield inherited | {
            "DRIVE_DATABASE_URL": postgres.url,
            "DRIVE_REDIS_URL": valkey.url,
            "DRIVE_STORAGE_PATH": str(storage),
            "DRIVE_LOG_FORMAT": "json",
        }


async def _demo(environment: dict[str, str], port: int, *, smoke: bool) -> int:
    stop = stop_signal()
    async with _everything(environment, port, echo=not smoke) as parts:
        if smoke:
            from drive.cli.smoke import smoke_test

            round_trip = asyncio.create_task(smoke_test(parts))
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait([round_trip, stopped], return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            return await round_trip if round_trip.done() else 130
        _greet(parts)
        await stop.wait()
        _say("\nStopping …")
    return 0


@asynccontextmanager
async def _everything(environment: dict[str, str], port: int, *, echo: bool) -> AsyncIterator[Demo]:
    """Start the peers, the service and the worker; stop them at the end."""
    async with AsyncExitStack() as stack:
        await migrate(environment["DRIVE_DATABASE_URL"])
        peers = await stack.enter_async_context(serve_peers())
        page_url = await stack.enter_async_context(serve_page(peers.world))
        environment = environment | {
            "DRIVE_PASS_ENDPOINT": peers.pass_url,
            "DRIVE_RING_ENDPOINT": peers.ring_url,
            "DRIVE_HTTP_LISTEN": f"127.0.0.1:{port}",
        }
        serve, worker = await asyncio.gather(
            stack.enter_async_context(running("serve", environment, echo=_echo if echo else None)),
            stack.enter_async_context(running("worker", environment, echo=_echo if echo else None)),
        )
        listening = await serve.logged("Listening")
        await worker.logged("Working")
        yield Demo(url=listening["url"], page_url=page_url, serve=serve, peers=peers)


def _echo(service: Service, line: dict[str, Any]) -> None:
    fields = " ".join(f"{key}={value}" for key, value in line.items() if key not in {"event", "level", "timestamp"})
    _say(f"{service.name:>6} │ {line.get('event')}  {fields}")


def _greet(parts: Demo) -> None:
    token = TOKENS["plain"]
    _say(f"""
Drive runs at   {parts.url}
Sign in with    Authorization: Bearer {token}
pass and ring   {parts.page_url}  (accounts, tokens, and every packet that was pushed)

  curl -sF file=@README.md -H 'Authorization: Bearer {token}' {parts.url}/api/files/upload/direct
  curl -s -H 'Authorization: Bearer {token}' {parts.url}/api/files/me
  curl -s -H 'Authorization: Bearer {token}' {parts.url}/api/billing/usage
  curl -s {parts.url}/health

Watch for "Creating gRPC channel": none yet, one for each of pass and ring once you have uploaded. Ctrl-C ends it all.
""")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is the terminal
