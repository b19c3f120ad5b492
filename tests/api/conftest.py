"""What the tests of the API look at beside its answers."""

from collections.abc import AsyncIterator, Iterator
from typing import cast
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio
from support import moto
from support.moto import S3
from support.rows import Rows, connected, empty

from drive.jobs.worker import Worker
from drive.lazy import lifespan
from drive.settings import Settings
from drive.worker_container import WorkerContainer

ON_EACH_STORE = {
    "test_api_chunks",
    "test_api_complete",
    "test_api_create",
    "test_api_cut_off",
    "test_api_direct",
    "test_api_tus",
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_database_url(postgres_server_url: str, template_database_url: str) -> AsyncIterator[str]:
    """Give a migrated database for all tests of the API: emptying one takes a tenth of what making one does."""
    name = f"drive_test_{uuid4().hex}"
    async with connected(postgres_server_url) as rows:
        await rows.execute(f'create database "{name}" template "{urlsplit(template_database_url).path[1:]}"')
        try:
            yield urlsplit(postgres_server_url)._replace(path=f"/{name}").geturl()
        finally:
            await rows.execute(f'drop database "{name}" with (force)')


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what concerns the bytes of uploads on a bucket, too."""
    if metafunc.module.__name__ in ON_EACH_STORE and "settings" in metafunc.fixturenames:
        local_only = metafunc.definition.get_closest_marker("local_store")
        metafunc.parametrize("default_store", ["local"] if local_only else ["local", "s3"], indirect=True)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """Give an S3-compatible server."""
    with moto.running() as server:
        yield server


@pytest.fixture
def default_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> S3 | None:
    """Say where the default pool stores: on this server, or on the disk."""
    if getattr(request, "param", "local") == "local":
        return None
    monkeypatch.setattr("drive.storage.s3.S3Store.least_chunk_bytes", 1)  # so that tests need not send 5 MiB
    monkeypatch.setattr("support.api.Api.follows", True)
    return cast("S3", request.getfixturevalue("s3"))


@pytest_asyncio.fixture
async def database_url(shared_database_url: str, default_store: S3 | None) -> AsyncIterator[str]:
    """Give a database as the migrations leave it, but for where the default pool stores."""
    async with connected(shared_database_url) as rows:
        before = await rows.fetchrow("select storage_config, storage_secrets, policy_config from pools")
        if default_store is not None:
            bucket = await default_store.new_bucket()
            await rows.execute(
                "update pools set storage_config = $1, storage_secrets = $2",
                {"kind": "s3", "endpoint": default_store.endpoint, "bucket": bucket, "enable_signed": True},
                {"secret_id": "key", "secret_key": "the-secret"},
            )
        yield shared_database_url
        await empty(rows)
        await rows.execute("update pools set storage_config = $1, storage_secrets = $2, policy_config = $3", *before)


@pytest_asyncio.fixture
async def rows(database_url: str) -> AsyncIterator[Rows]:
    """Give a connection to the test's database."""
    async with connected(database_url) as connection:
        yield connection


@pytest_asyncio.fixture
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    """Give a worker, with connections of its own, as another process would have."""
    container = WorkerContainer(settings=settings)
    async with lifespan(container):
        yield container.worker()
