"""What the tests of events stand on."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from events_support import NATS_SERVER, NatsServer, connected_to
from nats.js import JetStreamContext

from drive.lazy import lifespan
from drive.settings import Settings
from drive.worker_container import WorkerContainer


@pytest_asyncio.fixture
async def stopped_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Give a NATS server that does not run yet; once it does, it outlives whoever is connected to it."""
    if NATS_SERVER is None:
        pytest.skip("There is no nats-server on PATH or in /usr/sbin: apt-get install nats-server")
    server = NatsServer(tmp_path / "jetstream")
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def server(stopped_server: NatsServer) -> NatsServer:
    """Give a NATS server."""
    await stopped_server.start()
    return stopped_server


@pytest_asyncio.fixture
async def jetstream(server: NatsServer) -> AsyncIterator[JetStreamContext]:
    """Give JetStream by a connection that is none of Drive's."""
    async with connected_to(server) as context:
        yield context


@pytest.fixture
def nats_settings(settings: Settings, stopped_server: NatsServer) -> Settings:
    """Give settings that lead to this test's own servers, NATS included."""
    return replace(settings, nats_url=stopped_server.url, worker_poll_interval_s=0.05)


@pytest_asyncio.fixture
async def container(nats_settings: Settings) -> AsyncIterator[WorkerContainer]:
    """Give a container as a worker has it."""
    async with lifespan(WorkerContainer(settings=nats_settings)) as opened:
        yield opened


@pytest_asyncio.fixture
async def container_without_nats(settings: Settings) -> AsyncIterator[WorkerContainer]:
    """Give a container as a worker has it where no events are configured."""
    async with lifespan(WorkerContainer(settings=settings)) as opened:
        yield opened
