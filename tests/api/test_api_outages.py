"""What the service depends on is slow, fails or is gone, and comes back."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import grpc
import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from structlog.typing import EventDict
from support.api import Answer, Api
from support.rows import Rows, add_pool
from support.waiting import eventually

from drive.containers import Container
from drive.db.migrate import migrate
from drive.embedded import EmbeddedPostgres, EmbeddedValkey
from drive.peers import Fault, Peers
from drive.settings import Settings

CONTENT = b"0123456789"
DEADLINE_S = 0.3
QUOTA = "/api/billing/quota"
METHODS = ["AuthService.Authenticate", "PermissionService.HasPermission", "AccountService.GetAccount"]

Serve = Callable[[Container], Awaitable[Api]]


def is_unavailable(answer: Answer) -> bool:
    """Tell whether the client is asked to come back."""
    return answer.status == 503 and answer.code == "UNAVAILABLE" and int(answer.headers["Retry-After"]) > 0


@pytest_asyncio.fixture
async def hurried(settings: Settings, serve_app: Serve) -> Api:
    """Give an API that waits for pass only briefly, and asks it each time."""
    return await serve_app(Container(settings=replace(settings, grpc_deadline_s=DEADLINE_S, auth_cache_ttl_s=0)))


@pytest.mark.parametrize("method", METHODS)
async def test_pass_is_not_waited_for_longer_than_the_deadline(hurried: Api, peers: Peers, method: str) -> None:
    assert (await hurried.get("/api/pools")).status == 200  # gRPC is imported, the channel open
    peers.world.faults[method] = Fault(delay_s=60.0)
    begun_s = time.monotonic()
    answer = await hurried.create(CONTENT)
    took_s = time.monotonic() - begun_s
    assert is_unavailable(answer), answer
    assert DEADLINE_S * 0.9 < took_s < DEADLINE_S + 2.0
    assert "pass" in answer.json["message"]

    peers.world.faults.clear()
    assert (await hurried.create(CONTENT)).status == 200


@pytest.mark.parametrize("method", METHODS)
async def test_whatever_pass_fails_with_nobody_is_told_that_his_token_is_wrong(
    hurried: Api, peers: Peers, subtests: pytest.Subtests, method: str
) -> None:
    await hurried.get("/api/pools")
    for code in grpc.StatusCode:
        if code is grpc.StatusCode.OK:
            continue
        with subtests.test(code.name):
            peers.world.faults[method] = Fault(code=code, details="a secret of pass")
            answer = await hurried.create(CONTENT)
            assert is_unavailable(answer), answer
            assert b"secret" not in answer.body


async def test_without_pass_public_files_are_served_and_all_else_waits_for_it(
    hurried: Api, rows: Rows, peers: Peers
) -> None:
    private = await add_pool(rows, allow_anonymous=False)
    public_file, private_file = await hurried.upload(CONTENT), await hurried.upload(CONTENT, pool_id=private)
    await peers.pass_peer.stop()
    for _ in range(3):
        assert is_unavailable(await hurried.get(QUOTA))
        assert is_unavailable(await hurried.create(CONTENT))
        assert is_unavailable(await hurried.get(f"/api/files/{private_file['id']}"))
        for reader in (hurried, hurried.signed_in_as(None)):
            assert (await reader.get(f"/api/files/{public_file['id']}")).body == CONTENT
    assert (await hurried.signed_in_as(None).get(f"/api/files/{private_file['id']}")).status == 401

    await peers.pass_peer.start()
    await eventually(lambda: answers(hurried, QUOTA))
    assert (await hurried.get(f"/api/files/{private_file['id']}")).body == CONTENT


async def answers(api: Api, path: str) -> bool:
    answer = await api.get(path)
    assert answer.status == 200 or is_unavailable(answer), answer
    return answer.status == 200


async def test_who_was_seen_lately_can_still_read_and_finish(api: Api, peers: Peers) -> None:
    """Pass is not asked about a token, or about an upload that it has admitted, again and again."""
    task = (await api.create(CONTENT, chunk_size=4)).json
    await peers.pass_peer.stop()
    await api.send_chunks(task, CONTENT)
    file = (await api.complete(task["task_id"])).json
    assert (await api.delete(f"/api/files/{file['id']}")).status == 200


async def test_without_ring_uploads_succeed_and_packets_are_dropped(api: Api, peers: Peers) -> None:
    await peers.ring_peer.stop()
    with capture_logs() as lines:
        file = await api.upload(CONTENT)
        assert (await api.get(f"/api/files/{file['id']}")).body == CONTENT
        await eventually(lambda: len(dropped(lines)) >= 3)
    assert [line["packet"] for line in dropped(lines)] == ["task.created", "upload.completed", "task.completed"]
    assert {line["reason"] for line in dropped(lines)} == {"AioRpcError"}


def dropped(lines: list[EventDict]) -> list[EventDict]:
    return [line for line in lines if line["event"] == "Packet dropped"]


async def test_a_slow_ring_holds_nobody_up(settings: Settings, serve_app: Serve, peers: Peers) -> None:
    api = await serve_app(Container(settings=replace(settings, grpc_deadline_s=DEADLINE_S)))
    peers.world.faults["RingService.PushWebSocketPacket"] = Fault(delay_s=60.0)
    with capture_logs() as lines:
        begun_s = time.monotonic()
        for n in range(5):
            await api.upload(CONTENT + bytes([n]))
        assert time.monotonic() - begun_s < 8 * DEADLINE_S  # there were ten packets
        await eventually(lambda: len(dropped(lines)) >= 2)


async def whole_round(api: Api, content: bytes) -> None:
    file = await api.upload(content, chunk_size=4)
    assert (await api.get(f"/api/files/{file['id']}")).body == content
    assert (await api.get("/api/files/me")).status == 200
    assert (await api.get(QUOTA)).status == 200
    assert (await api.delete(f"/api/files/{file['id']}")).status == 200


@pytest.mark.parametrize("url", ["", "unix:///nowhere/redis.sock", "redis://127.0.0.1:1/0"])
async def test_without_redis_nothing_fails(settings: Settings, serve_app: Serve, url: str) -> None:
    api = await serve_app(Container(settings=replace(settings, redis_url=url)))
    await whole_round(api, CONTENT)
    health = await api.get("/health")
    assert (health.status, health.json["parts"]["redis"]) == (200, "unreachable" if url else "not opened")


async def test_redis_may_go_and_come_back(settings: Settings, serve_app: Serve) -> None:
    with EmbeddedValkey() as valkey:
        api = await serve_app(Container(settings=replace(settings, redis_url=valkey.url)))
        await whole_round(api, b"before")
        await asyncio.to_thread(valkey.kill)
        await whole_round(api, b"meanwhile")
        assert (await api.get("/health")).json["status"] == "degraded"
        await asyncio.to_thread(valkey.start)
        await whole_round(api, b"after")
        assert (await api.get("/health")).json["status"] == "healthy"


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """Give a server that may be stopped."""
    with EmbeddedPostgres() as server:
        asyncio.run(migrate(server.url))
        yield server


async def test_the_database_may_be_down_at_the_start_and_later(
    settings: Settings, serve_app: Serve, own_postgres: EmbeddedPostgres
) -> None:
    """The service starts, says what it lacks, and works as soon as the database does."""
    await asyncio.to_thread(own_postgres.stop)
    api = await serve_app(
        Container(settings=replace(settings, database_url=own_postgres.url, database_connect_timeout_s=1.0))
    )
    await it_waits(api)
    await asyncio.to_thread(own_postgres.start)
    await it_works(api, b"first")

    task_id = (await api.create(CONTENT, chunk_size=4)).json["task_id"]
    assert (await api.send_chunk(task_id, 0, b"0123")).status == 200
    await asyncio.to_thread(own_postgres.stop)
    for refused in [
        await api.send_chunk(task_id, 1, b"4567"),
        await api.upload_direct(b"x"),
        await api.resume(task_id),
    ]:
        assert is_unavailable(refused), refused
    await it_waits(api)

    await asyncio.to_thread(own_postgres.start)
    await it_works(api, b"second")
    await api.send_chunk(task_id, 1, b"4567")
    await api.send_chunk(task_id, 2, b"89")
    file = (await api.complete(task_id)).json
    assert (await api.get(f"/api/files/{file['id']}")).body == CONTENT


async def it_waits(api: Api) -> None:
    assert (await api.get("/alive")).status == 200
    for path in ("/api/pools", "/api/files/me", "/api/files/AAAA", "/api/files/AAAA/info"):
        assert is_unavailable(await api.get(path))
    assert is_unavailable(await api.create(b"x"))
    health = await api.get("/health")
    assert (health.status, health.json["status"]) == (503, "unhealthy")
    assert health.json["parts"]["database"] == "unreachable"
    assert int(health.headers["Retry-After"]) > 0


async def it_works(api: Api, content: bytes) -> None:
    await eventually(lambda: answers(api, "/api/pools"))
    assert (await api.get("/health")).json["status"] == "healthy"
    await whole_round(api, content)
