"""What other services ask for must open nothing to the public."""

from collections.abc import Awaitable, Callable

import pytest
from rpc_support import Rpc
from support.api import Api
from support.rows import Rows, add_files

from drive.containers import Container
from drive.peers.seed import PLAIN_ID
from drive.proto import file_pb2 as wire
from drive.settings import Settings


async def read_over_grpc(rpc: Rpc) -> None:
    """Read file-1 in every way in which another service can."""
    await rpc.files.GetFile(wire.GetFileRequest(id="file-1"))
    await rpc.files.GetFileBatch(wire.GetFileBatchRequest(ids=["file-1"]))
    await rpc.files.LoadFromReference(wire.LoadFromReferenceRequest(reference_ids=["file-1"]))
    await rpc.references.CreateReference(wire.CreateReferenceRequest(file_id="file-1", usage="u", resource_id="r"))
    await rpc.references.GetResourceFiles(wire.GetResourceFilesRequest(resource_id="r"))
    await rpc.files.PurgeCache(wire.PurgeCacheRequest(file_id="file-1"))


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """Give settings with a cache, which is where the harm was done."""
    return Settings(database_url=database_url, redis_url=redis_url)


async def test_reading_over_grpc_opens_no_bundle_to_those_without_its_passcode(
    rpc: Rpc, rows: Rows, settings: Settings, serve_app: Callable[[Container], Awaitable[Api]]
) -> None:
    await add_files(rows, 1)
    bundle_id = await rows.fetchval(
        "insert into bundles (slug, name, account_id, passcode_hash) values ('s', 'n', $1, 'scrypt$2$8$1$AA==$AA==') "
        "returning id",
        PLAIN_ID,
    )
    await rows.execute("update files set bundle_id = $1", bundle_id)
    nobody = (await serve_app(Container(settings=settings))).signed_in_as(None)
    paths = ["/api/files/file-1", "/api/files/file-1/info", "/api/files/file-1/references", f"/api/bundles/{bundle_id}"]
    for _ in range(2):
        answers = [await nobody.get(path) for path in paths]
        assert [(it.status, it.code) for it in answers] == [(403, "FORBIDDEN")] * len(paths)
        await read_over_grpc(rpc)
