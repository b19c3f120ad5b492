"""Calls that race with each other, end early, or come while the server stops."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from rpc_support import FOREVER_S, Rpc, connected, refused, started
from support.rows import Rows, add_files, wrong_counts
from support.rows import connected as database_connection
from support.waiting import eventually

from drive.containers import Container
from drive.proto import file_pb2 as wire

LOCKED = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
ROUNDS = 40
KINDS = ["create", "replace", "delete", "expire", "delete the file"]


@pytest_asyncio.fixture(autouse=True)
async def files(rows: Rows) -> None:
    """Add file-1 to file-20."""
    await add_files(rows, 20)


@asynccontextmanager
async def locked_files(database_url: str) -> AsyncIterator[None]:
    """Keep every statement about files waiting."""
    async with database_connection(database_url) as locking, locking.transaction():
        await locking.execute("lock table files, file_references")
        yield


async def waiting(rows: Rows, count: int) -> None:
    """Return once so many statements wait for a lock."""

    async def so_many() -> bool:
        return bool(await rows.fetchval(LOCKED) == count)

    await eventually(so_many)


async def statuses(*calls: Awaitable[Any]) -> list[StatusCode]:
    """Return how calls end that are made at once."""

    async def status(call: Awaitable[Any]) -> StatusCode:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return error.code()
        return StatusCode.OK

    return await asyncio.gather(*map(status, calls))


async def test_a_resource_has_the_files_of_one_of_two_updates_at_once(rpc: Rpc, rows: Rows) -> None:
    def update(*file_ids: str) -> Awaitable[wire.UpdateResourceFilesResponse]:
        request = wire.UpdateResourceFilesRequest(resource_id="post:1", usage="post", file_ids=file_ids)
        return rpc.references.UpdateResourceFiles(request)

    one, other = ["file-1", "file-2", "file-3"], ["file-3", "file-4", "file-5"]
    for _ in range(ROUNDS):
        await rows.execute("delete from file_references")
        assert await statuses(update(*one), update(*other)) == [StatusCode.OK] * 2
        found = await rows.fetch("select file_id from file_references order by file_id")
        assert [row["file_id"] for row in found] in (one, other)


async def test_no_reference_outlives_its_file(rpc: Rpc, rows: Rows) -> None:
    """Whoever is first: the reference is refused, or it goes with the file."""
    calls: list[Awaitable[Any]]
    for number in range(1, 21):
        file_id = f"file-{number}"
        create = wire.CreateReferenceRequest(file_id=file_id, usage="post", resource_id="post:1")
        update = wire.UpdateResourceFilesRequest(file_ids=[file_id], usage="other", resource_id="post:1")
        batch = wire.CreateReferenceBatchRequest(files_id=[file_id], usage="post", resource_id="post:2")
        calls = [
            rpc.references.CreateReference(create),
            rpc.references.UpdateResourceFiles(update),
            rpc.references.CreateReferenceBatch(batch),
            rpc.files.DeleteFile(wire.DeleteFileRequest(id=file_id)),
        ]
        random.shuffle(calls)
        assert set(await statuses(*calls)) <= {StatusCode.OK, StatusCode.NOT_FOUND}
    assert await rows.fetchval("select count(*) from file_references") == 0
    assert await rows.fetchval("select count(*) from files where deleted_at is null") == 0
    assert await wrong_counts(rows) == []


async def test_a_reference_waits_for_the_deletion_of_its_file(rpc: Rpc, rows: Rows, database_url: str) -> None:
    """The deletion is under way, not yet committed: the reference is refused once it is."""
    async with database_connection(database_url) as deleting:
        transaction = deleting.transaction()
        await transaction.start()
        await deleting.execute("update files set deleted_at = now() where id = 'file-1'")
        create = wire.CreateReferenceRequest(file_id="file-1", usage="post", resource_id="post:1")
        creating = asyncio.create_task(refused(rpc.references.CreateReference(create)))
        await waiting(rows, 1)
        await transaction.commit()
    assert (await creating)[0] is StatusCode.NOT_FOUND
    assert await rows.fetchval("select count(*) from file_references") == 0


@pytest.mark.parametrize(
    "kinds",
    [
        ["create"],
        ["create", "replace"],
        ["create", "delete"],
        ["replace", "delete"],
        ["expire", "delete", "create"],
        KINDS,
    ],
    ids=" ".join,
)
async def test_calls_over_the_same_rows_never_wait_for_each_other_in_a_circle(
    rpc: Rpc, rows: Rows, kinds: list[str]
) -> None:
    """In whatever order they name files and resources: a circle would end as INTERNAL."""
    chance = random.Random(7)
    references = rpc.references
    ids, resources = [f"file-{number}" for number in range(1, 21)], ["post:1", "post:2"]

    def call() -> Awaitable[Any]:
        use: dict[str, Any] = {"usage": "post", "resource_id": chance.choice(resources)}
        some, one, in_any_order = chance.sample(ids, 15), chance.choice(ids), chance.sample(resources, 2)
        kind = chance.choice(kinds)
        if kind == "create":
            return references.CreateReferenceBatch(wire.CreateReferenceBatchRequest(files_id=some, **use))
        if kind == "replace":
            return references.UpdateResourceFiles(wire.UpdateResourceFilesRequest(file_ids=some, **use))
        if kind == "delete":
            request = wire.DeleteResourceReferencesBatchRequest(resource_ids=in_any_order)
            return references.DeleteResourceReferencesBatch(request)
        if kind == "expire":
            moment = Timestamp(seconds=4 * 10**9)
            return references.SetFileReferencesExpiration(
                wire.SetFileReferencesExpirationRequest(file_id=one, expired_at=moment)
            )
        return rpc.files.DeleteFile(wire.DeleteFileRequest(id=one))

    for _ in range(ROUNDS):
        assert set(await statuses(*(call() for _ in range(15)))) <= {StatusCode.OK, StatusCode.NOT_FOUND}
    orphans = "select count(*) from file_references r join files f on f.id = r.file_id where f.deleted_at is not null"
    assert await rows.fetchval(orphans) == 0


async def test_who_adds_waits_for_who_replaces(rpc: Rpc, rows: Rows, database_url: str) -> None:
    """One has the reference that the other needs, and needs the one that the other would have made meanwhile."""
    use: dict[str, Any] = {"usage": "post", "resource_id": "post:1"}
    await rpc.references.CreateReference(wire.CreateReferenceRequest(file_id="file-9", **use))
    async with database_connection(database_url) as locking, locking.transaction():
        await locking.execute("select from file_references for update")
        update = rpc.references.UpdateResourceFiles(wire.UpdateResourceFilesRequest(file_ids=["file-1"], **use))
        await waiting(rows, 1)
        batch = wire.CreateReferenceBatchRequest(files_id=["file-1", "file-9"], **use)
        create = rpc.references.CreateReferenceBatch(batch)
        await waiting(rows, 2)
    assert await statuses(update, create) == [StatusCode.OK] * 2
    found = await rows.fetch("select file_id from file_references order by file_id")
    assert [row["file_id"] for row in found] == ["file-1", "file-9"]


async def test_a_call_that_is_cancelled_or_out_of_time_leaves_nothing_waiting(
    rpc: Rpc, rows: Rows, database_url: str
) -> None:
    await rpc.files.GetFile(wire.GetFileRequest(id="file-1"))
    async with locked_files(database_url):
        code, _ = await refused(rpc.files.GetFile(wire.GetFileRequest(id="file-1"), timeout=0.2))
        assert code is StatusCode.DEADLINE_EXCEEDED
        await waiting(rows, 0)
        create = wire.CreateReferenceRequest(file_id="file-1", usage="post", resource_id="post:1")
        call = rpc.references.CreateReference(create)
        await waiting(rows, 1)
        call.cancel()
        await waiting(rows, 0)
        with pytest.raises(asyncio.CancelledError):
            await call
    assert await rows.fetchval("select count(*) from file_references") == 0
    assert (await rpc.files.GetFile(wire.GetFileRequest(id="file-1"))).id == "file-1"


async def test_calls_beyond_the_most_are_refused_and_their_places_are_given_back(
    container: Container, rows: Rows, database_url: str
) -> None:
    async with started(container, most_calls=2) as (_, url), connected(url) as rpc:
        request = wire.GetFileRequest(id="file-1")
        await rpc.files.GetFile(request)
        for _ in range(2):
            async with locked_files(database_url):
                calls = [asyncio.create_task(rpc_call(rpc, request)) for _ in range(2)]
                await waiting(rows, 2)
                code, message = await refused(rpc.files.GetFile(request))
                assert code is StatusCode.RESOURCE_EXHAUSTED
                assert "Try again" in message
            assert [file.id for file in await asyncio.gather(*calls)] == ["file-1"] * 2


async def rpc_call(rpc: Rpc, request: wire.GetFileRequest) -> wire.CloudFile:
    return await rpc.files.GetFile(request, timeout=FOREVER_S)


async def test_a_server_that_stops_lets_a_call_end(container: Container, rows: Rows, database_url: str) -> None:
    async with started(container) as (server, url), connected(url) as rpc:
        await rpc.files.GetFile(wire.GetFileRequest(id="file-1"))
        async with locked_files(database_url):
            call = asyncio.create_task(rpc_call(rpc, wire.GetFileRequest(id="file-1")))
            await waiting(rows, 1)
            stopping = asyncio.create_task(server.stop())
            await rpc.channel.channel_ready()
        assert (await call).id == "file-1"
        await stopping


async def test_a_server_that_stops_cuts_a_call_that_does_not_end(
    container: Container, rows: Rows, database_url: str
) -> None:
    async with started(container) as (server, url), connected(url) as rpc:
        await rpc.files.GetFile(wire.GetFileRequest(id="file-1"))
        async with locked_files(database_url):
            call = asyncio.create_task(refused(rpc_call(rpc, wire.GetFileRequest(id="file-1"))))
            await waiting(rows, 1)
            await server.stop()
            assert (await call)[0] in {StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.UNKNOWN}
            await waiting(rows, 0)
        assert (await refused(rpc.files.GetFile(wire.GetFileRequest(id="file-1"))))[0] is StatusCode.UNAVAILABLE
