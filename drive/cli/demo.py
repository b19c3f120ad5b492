"""`drive demo`: everything on this machine, with nothing installed."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from drive import logs
from drive.cli.errors import CommandError
from drive.cli.processes import Service, running
from drive.cli.signals import until_stopped
from drive.db.migrate import migrate
from drive.embedded import EmbeddedPostgres, EmbeddedServerError, EmbeddedValkey
from drive.peers import TOKENS, Peers, serve_page, serve_peers


def demo(*, port: int, smoke: bool) -> int:
    """Run the demo until Ctrl-C; or, with `smoke`, one round through it. Returns 0, or 1 where the round failed."""
    logs.configure(level="warning")
    port = 0 if smoke else port
    _check_port(port)
    try:
        with _embedded() as environment:
            status = asyncio.run(until_stopped(_demo(environment, port, smoke=smoke)))
    except EmbeddedServerError as error:
        raise CommandError(str(error)) from error
    return status if status is not None else 130 if smoke else 0


def _check_port(port: int) -> None:
    """Find out before all the rest is started whether the port is free."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        message = f"Cannot listen on port {port}: {error.strerror}. Stop what does, or choose another with --port."
        raise CommandError(message) from error


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
    logs.write_line("Starting PostgreSQL and Valkey …")
    with EmbeddedPostgres() as postgres, EmbeddedValkey() as valkey:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DRIVE_")}
        yield inherited | {
            "DRIVE_DATABASE_URL": postgres.url,
            "DRIVE_REDIS_URL": valkey.url,
            "DRIVE_STORAGE_PATH": str(valkey.folder / "storage"),  # which is removed even if we are killed
            "DRIVE_LOG_FORMAT": "json",
        }


async def _demo(environment: dict[str, str], port: int, *, smoke: bool) -> int:
    async with _everything(environment, port, echo=not smoke) as parts:
        if smoke:
            from drive.cli.smoke import smoke_test

            return await smoke_test(parts)
        _greet(parts)
        try:
            await asyncio.Event().wait()  # until Ctrl-C
        finally:
            logs.write_line("\nStopping …")
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
    logs.write_line(f"{service.name:>6} │ {line.get('event')}  {fields}")


def _greet(parts: Demo) -> None:
    token = TOKENS["plain"]
    logs.write_line(f"""
Drive runs at   {parts.url}
Sign in with    Authorization: Bearer {token}
pass and ring   {parts.page_url}  (accounts, tokens, and every packet that was pushed)

  curl -sF file=@README.md -H 'Authorization: Bearer {token}' {parts.url}/api/files/upload/direct
  curl -s -H 'Authorization: Bearer {token}' {parts.url}/api/files/me
  curl -s -H 'Authorization: Bearer {token}' {parts.url}/api/billing/usage
  curl -s {parts.url}/health

Watch for "Creating gRPC channel": none yet, one for each of pass and ring once you have uploaded. Ctrl-C ends it all.
""")
