"""What holds for every call: errors that tell nothing, limits, ids, health."""

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import grpc.aio
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from rpc_support import Rpc, address_of, connected, refused, started
from structlog.testing import capture_logs
from support.rows import Rows, add_files
from support.rows import connected as database_connection

from drive.containers import Container
from drive.proto import file_pb2 as wire
from drive.settings import Settings

MIB = 1024 * 1024
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
UNREACHABLE = "postgresql://drive:the-secret@127.0.0.1:1/drive"


async def status(rpc: Rpc, service: str = "") -> int:
    return int((await rpc.health.Check(health_pb2.HealthCheckRequest(service=service))).status)


async def test_what_nobody_foresaw_is_logged_and_not_told(rpc: Rpc, rows: Rows) -> None:
    await rows.execute("alter table file_references rename to hidden")
    try:
        with capture_logs() as logs:
            call = rpc.references.GetReferences(wire.GetReferencesRequest(file_id="file-1"))
            code, message = await refused(call)
    finally:
        await rows.execute("alter table hidden rename to file_references")
    assert code is StatusCode.INTERNAL
    (request_id,) = [value for name, value in await call.trailing_metadata() or () if name == "x-request-id"]
    assert message == f"The server failed. Name the request id when you report it: {request_id!s}"
    (line,) = [line for line in logs if line["event"] == "RPC failed"]
    assert (line["log_level"], line["method"]) == ("error", "FileReferenceService.GetReferences")
    assert "file_references" in str(line["exc_info"])


async def test_an_outage_of_the_database_is_unavailable(settings: Settings) -> None:
    container = Container(settings=replace(settings, database_url=UNREACHABLE))
    with capture_logs() as logs:
        async with started(container) as (_, url), connected(url) as rpc:
            code, message = await refused(rpc.files.GetFile(wire.GetFileRequest(id="file-1")))
    assert code is StatusCode.UNAVAILABLE
    assert "secret" not in message
    (line,) = [line for line in logs if line["event"] == "RPC failed"]
    assert (line["log_level"], line["code"]) == ("warning", "UNAVAILABLE")


@pytest.mark.parametrize("sent", ["caller-chose-this-1", "too", "x" * 65, "has space in it", "a;b" * 4])
async def test_the_id_of_a_request_is_the_callers_if_it_is_usable(rpc: Rpc, sent: str) -> None:
    call = rpc.references.GetReferenceCount(
        wire.GetReferenceCountRequest(file_id="file-1"), metadata=(("x-request-id", sent),)
    )
    await call
    (given,) = [value for name, value in await call.trailing_metadata() or () if name == "x-request-id"]
    assert (given == sent) is (sent == "caller-chose-this-1")
    assert len(given) >= 16


@pytest.mark.parametrize("payload", [b"\xff", b"\x0a\x01\xff", b"\x0a\xff\xff\xff\xff\x0f"])
async def test_what_is_no_message_is_refused(rpc: Rpc, payload: bytes) -> None:
    """Also text that is no UTF-8, such as a lone surrogate."""
    code, message = await refused(rpc.method("/proto.FileService/GetFile")(payload))
    assert code is StatusCode.INVALID_ARGUMENT
    assert message.startswith("The request is not a message of this method")


async def test_a_request_of_more_than_16_mib_is_refused(rpc: Rpc) -> None:
    request = wire.GetFileBatchRequest(ids=["x" * MIB] * 17)
    assert (await refused(rpc.files.GetFileBatch(request)))[0] is StatusCode.RESOURCE_EXHAUSTED
    request = wire.GetFileBatchRequest(ids=["x" * MIB] * 15)
    assert list((await rpc.files.GetFileBatch(request)).files) == []


async def test_an_answer_of_more_than_16_mib_says_to_ask_for_less(rpc: Rpc, rows: Rows) -> None:
    await add_files(rows, 20)
    await rows.execute("update objects set file_meta = jsonb_build_object('text', repeat('x', 1024 * 1024))")
    code, message = await refused(
        rpc.files.GetFileBatch(wire.GetFileBatchRequest(ids=[f"file-{n}" for n in range(20)]))
    )
    assert code is StatusCode.OUT_OF_RANGE
    assert message.endswith("Ask for less.")
    options: Any = [("grpc.max_receive_message_length", 16 * MIB)]
    async with grpc.aio.insecure_channel(rpc.address, options) as channel:
        get: Any = channel.unary_unary("/proto.FileService/GetFileBatch")
        assert (
            len(await get(wire.GetFileBatchRequest(ids=[f"file-{n}" for n in range(16)]).SerializeToString()))
            > 14 * MIB
        )


async def test_a_method_that_does_not_exist(rpc: Rpc) -> None:
    assert (await refused(rpc.method("/proto.FileService/Nothing")(b"")))[0] is StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("service", ["", "proto.FileService", "proto.FileReferenceService"])
async def test_the_health_of_a_server_that_answers(rpc: Rpc, service: str) -> None:
    assert await status(rpc, service) == SERVING


async def test_the_health_of_what_is_not_served_is_unknown(rpc: Rpc) -> None:
    assert (await refused(status(rpc, "proto.AuthService")))[0] is StatusCode.NOT_FOUND


async def test_probes_open_no_connection_and_see_an_outage_once_there_was_one(settings: Settings) -> None:
    container = Container(settings=replace(settings, database_url=UNREACHABLE))
    async with started(container) as (_, url), connected(url) as rpc:
        assert await status(rpc) == SERVING
        assert not container.database().is_open
        await refused(rpc.files.GetFile(wire.GetFileRequest(id="file-1")))
        assert await status(rpc) == NOT_SERVING


async def test_the_health_follows_the_database(
    container: Container, database_url: str, postgres_server_url: str
) -> None:
    """Those who watch are told, too; the health comes back with the database."""
    name = urlsplit(database_url).path[1:]
    async with (
        started(container) as (_, url),
        connected(url) as rpc,
        database_connection(postgres_server_url) as admin,
    ):
        await refused(rpc.files.GetFile(wire.GetFileRequest(id="file-1")))
        watch = rpc.health.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        await admin.execute(f'alter database "{name}" allow_connections false')
        try:
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = $1 and application_name like 'drive-%'",
                name,
            )
            assert await status(rpc, "proto.FileService") == NOT_SERVING
            assert (await watch.read()).status == NOT_SERVING
        finally:
            await admin.execute(f'alter database "{name}" allow_connections true')
        assert await status(rpc) == SERVING
        assert (await watch.read()).status == SERVING


async def test_a_server_that_stops_says_so_first(container: Container) -> None:
    async with started(container) as (server, url), connected(url) as rpc:
        watch = rpc.health.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        await asyncio.gather(server.stop(), told_not_serving(watch))
        await server.stop()


async def told_not_serving(watch: Any) -> None:
    assert (await watch.read()).status == NOT_SERVING


async def test_two_servers_cannot_listen_on_one_port(container: Container, settings: Settings) -> None:
    async with started(container) as (_, url):
        other = Container(settings=replace(settings, grpc_listen=address_of(url)))
        with pytest.raises(OSError, match="Cannot listen on 127"):
            await other.rpc_server().start()
