"""What the tests of the API look at beside its answers."""

from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest
import pytest_asyncio
from support import moto
from support.moto import S3
from support.rows import POOL_ID, Rows, connected
from support.storage import InBucket, InFolders, Stored

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
    "test_api_downloads",
    "test_api_tus",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what concerns the bytes of files on a bucket, too."""
    test = metafunc.definition
    if metafunc.module.__name__ in ON_EACH_STORE and "settings" in metafunc.fixturenames:
        local_only = test.get_closest_marker("local_store")
        metafunc.parametrize("default_store", ["local"] if local_only else ["local", "s3"], indirect=True)
    elif test.get_closest_marker("each_store"):
        metafunc.parametrize("default_store", ["local", "s3"], indirect=True)


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
async def database_url(database_url: str, default_store: S3 | None) -> str:
    """Give a database as the migrations leave it, but for where the default pool stores."""
    if default_store is not None:
        bucket = await default_store.new_bucket()
        config = {"kind": "s3", "endpoint": default_store.endpoint, "bucket": bucket, "enable_signed": True}
        async with connected(database_url) as rows:
            await rows.execute(
                "update pools set storage_config = $1, storage_secrets = $2",
                config,
                {"secret_id": "key", "secret_key": "the-secret"},
            )
    return database_url


@pytest_asyncio.fixture
async def stored(settings: Settings, rows: Rows, default_store: S3 | None) -> Stored:
    """Look into the default pool's store."""
    if default_store is None:
        return InFolders(settings)
    bucket = await rows.fetchval("select storage_config ->> 'bucket' from pools where id = $1", POOL_ID)
    return InBucket(f"http://{default_store.endpoint}/{bucket}")


@pytest_asyncio.fixture
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    """Give a worker, with connections of its own, as another process would have."""
    container = WorkerContainer(settings=settings)
    async with lifespan(container):
        yield container.worker()
