"""What went wrong in the service that this one re-implements, where no other test is named after it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc
import msgspec
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs
from support.api import Answer, Api
from support.rows import POOL_ID, TABLES, Rows, add_pool, staged_as
from support.storage import Stored, object_file, staged
from support.waiting import eventually

from drive.bundles import passcodes
from drive.containers import Container
from drive.jobs.worker import Worker
from drive.media.interfaces import VARIANTS
from drive.peers import Fault, Peers
from drive.peers.seed import PLAIN_ID, SUBSCRIBER_ID
from drive.settings import Settings

CONTENT = b"0123456789ab"
HALF_MIB = 512 * 1024
PASSWORD = "hunter2-of-the-client"

Serve = Callable[[Container], Awaitable[Api]]


async def folder_entry(rows: Rows, account_id: str, file_id: str) -> str:
    """Put a file into a folder of an account, whoever owns it, as no request can."""
    insert = "insert into file_indexes (account_id, path, file_id) values ($1, '/', $2) returning id::text"
    return str(await rows.fetchval(insert, account_id, file_id))


async def status_of(request: Awaitable[Answer]) -> int:
    return (await request).status


# ── Whose it is ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_removing_an_entry_never_deletes_the_file_of_another(api: Api, rows: Rows) -> None:
    theirs = await api.signed_in_as("subscriber").upload(CONTENT)
    entry = await folder_entry(rows, PLAIN_ID, theirs["id"])
    removed = await api.delete(f"/api/index/remove/{entry}?deleteFile=true")
    assert (removed.status, removed.json["file_data_deleted"]) == (200, False)
    await folder_entry(rows, PLAIN_ID, theirs["id"])
    cleared = await api.delete("/api/index/clear-path?deleteFiles=true")
    assert (cleared.json["removed_count"], cleared.json["files_deleted"]) == (1, 0)
    assert (await api.signed_in_as("subscriber").get(f"/api/files/{theirs['id']}")).body == CONTENT


async def test_uploads_of_equal_name_and_size_are_not_taken_for_each_other(api: Api, peers: Peers) -> None:
    accounts = {PLAIN_ID: api, SUBSCRIBER_ID: api.signed_in_as("subscriber")}
    tasks = {owner: (await own.create(CONTENT, hash="unknown")).json for owner, own in accounts.items()}
    for owner in reversed(tasks):  # the later one is done first
        await accounts[owner].send_chunks(tasks[owner], CONTENT)
        assert (await accounts[owner].complete(tasks[owner]["task_id"])).json["account_id"] == owner
    await eventually(lambda: len(peers.world.packets) == 6)
    told = {(it.user_id, it.type, msgspec.json.decode(it.data)["task_id"]) for it in peers.world.packets}
    kinds = ("task.created", "upload.completed", "task.completed")
    assert told == {(owner, kind, task["task_id"]) for owner, task in tasks.items() for kind in kinds}


async def test_an_id_never_leads_to_another_entry_of_the_cache(api: Api, redis_url: str) -> None:
    keys = [f"tier:{PLAIN_ID}", f"file:{PLAIN_ID}", "pool:1", "1"]
    async with Redis.from_url(redis_url) as redis:
        for key in keys:
            for name in (key, f"drive:{key}", f"file:{key}", f"drive:file:{key}"):
                await redis.set(name, b'{"id": "1", "name": "smuggled"}')
    for key in keys:
        for answer in (await api.get(f"/api/files/{key}/info"), await api.progress(key), await api.get(f"/api/{key}")):
            assert (answer.status, answer.code) == (404, "NOT_FOUND")
            assert b"smuggled" not in answer.body


@pytest.mark.parametrize(
    ("header", "claim"), [("X-Forwarded-For", "10.0.0.{}"), ("X-Real-IP", "10.0.0.{}"), ("Forwarded", "for=10.0.0.{}")]
)
async def test_an_address_that_a_client_claims_is_not_believed(
    api: Api, peers: Peers, monkeypatch: pytest.MonkeyPatch, header: str, claim: str
) -> None:
    monkeypatch.setattr(passcodes, "_COST", 2)
    monkeypatch.setattr(passcodes, "_PARALLELISM", 1)
    bundle = (await api.post("/api/bundles", json={"passcode": "right"})).json
    statuses = [
        await status_of(
            api.signed_in_as(None).get(
                f"/api/bundles/{bundle['id']}", headers={header: claim.format(n), "X-Passcode": f"wrong {n}"}
            )
        )
        for n in range(11)
    ]
    assert statuses == [403] * 10 + [429]
    await api.delete("/api/files/me/recycle", headers={header: claim.format(1)})
    await eventually(lambda: peers.world.action_logs)
    assert {it.ip_address for it in peers.world.action_logs} == {"127.0.0.1"}


async def test_the_keys_of_a_bucket_are_told_to_nobody(api: Api, rows: Rows) -> None:
    pool_id = await add_pool(rows, account_id=PLAIN_ID)
    keys = {"secret_id": "the-key-id", "secret_key": "the-key-itself"}
    await rows.execute(
        "update pools set storage_secrets = $2, storage_config = storage_config || $3 where id = $1",
        pool_id,
        keys,
        {"kind": "local", "bucket": "shown"} | keys,  # some of it where it does not belong
    )
    bundle = (await api.post("/api/bundles", json={})).json
    file = await api.upload(CONTENT, pool_id=pool_id, path="/", bundle_id=bundle["id"])
    task_id = await rows.fetchval("select id from upload_tasks")
    paths = [f"/api/files/{file['id']}/info", "/api/files/me", f"/api/bundles/{bundle['id']}", "/api/pools"]
    paths += ["/api/index/browse", "/api/index/all", "/api/index/search?query=file", "/api/billing/usage"]
    paths += ["/api/files/upload/tasks", f"/api/files/upload/tasks/{task_id}/details"]
    readers = [api, api.signed_in_as("subscriber"), api.signed_in_as("admin"), api.signed_in_as(None)]
    answers = [await reader.get(path) for path in paths for reader in readers]
    assert any(b'"bucket":"shown"' in it.body for it in answers)
    assert not [it for it in answers if b"the-key" in it.body or b"secret_" in it.body]


# ── What must not be kept, and what must ─────────────────────────────────────────────────────────────────────────────


async def test_no_encryption_password_is_taken_or_kept(api: Api, rows: Rows, peers: Peers, redis_url: str) -> None:
    with capture_logs() as lines:
        refused = await api.create(CONTENT, encrypt_password=PASSWORD)
        await api.upload(b"a last one, whose packets come after any other")
        await eventually(lambda: "task.completed" in {it.type for it in peers.world.packets})
    assert (refused.status, list(refused.json["errors"])) == (400, ["encrypt_password"])
    kept = [str(row) for table in TABLES for row in await rows.fetch(f"select t::text from {table} t")]
    async with Redis.from_url(redis_url) as redis:
        kept += [str(await redis.get(key)) for key in await redis.keys()]
    kept += [str(it.data) for it in peers.world.packets] + [str(line) for line in lines] + [str(refused)]
    assert not [text for text in kept if PASSWORD in text]


@pytest.mark.each_store
async def test_every_file_names_its_object_as_soon_as_it_is_there(api: Api, rows: Rows, stored: Stored) -> None:
    files = [await api.upload(CONTENT), (await api.upload_direct(CONTENT)).json, await api.upload(b"in /a", path="/a")]
    named = {row["id"]: row["object_id"] for row in await rows.fetch("select id, object_id from files")}
    assert named == {file["id"]: file["storage_id"] for file in files}
    assert set(named.values()) <= stored.objects()


async def test_bytes_stay_where_their_deletion_cannot_be_committed(
    settings: Settings, serve_app: Serve, rows: Rows
) -> None:
    api = await serve_app(Container(settings=replace(settings, database_query_timeout_s=0.3)))
    file = await api.upload(CONTENT)
    async with rows.transaction():
        await rows.execute("lock table jobs in exclusive mode")
        for method, path in (("DELETE", f"/api/files/{file['id']}"), ("POST", "/api/files/batches/delete")):
            assert (await api.request(method, path, json={"file_ids": [file["id"]]})).status == 503
    assert (await api.get(f"/api/files/{file['id']}")).body == CONTENT
    assert (await api.get("/api/files/me")).headers["X-Total"] == "1"


@pytest.mark.each_store
async def test_what_was_made_of_a_file_is_deleted_with_it(api: Api, rows: Rows, stored: Stored, worker: Worker) -> None:
    file = await api.upload(CONTENT)
    made = [f"{file['storage_id']}.{name}" for name in VARIANTS]
    for name in made:
        stored.put(name, b"made")
    await api.delete(f"/api/files/{file['id']}")
    assert stored.objects() == {file["storage_id"], *made}
    await worker.run_once()
    assert stored.objects() == set()
    assert await rows.fetchval("select count(*) from jobs") == 0


async def test_completing_moves_the_bytes_and_copies_none(api: Api, rows: Rows, settings: Settings) -> None:
    task = (await api.create(CONTENT, chunk_size=4)).json
    await api.send_chunks(task, CONTENT)
    assert len(staged(settings)) == 1
    before = (settings.storage_path / "staging" / await staged_as(rows, task["task_id"])).stat()
    file = (await api.complete(task["task_id"])).json
    after = object_file(settings, file["storage_id"]).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert staged(settings) == set()


# ── When it ends ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.each_store
async def test_a_file_does_not_expire_with_its_upload(api: Api, rows: Rows, worker: Worker) -> None:
    task = (await api.create(CONTENT)).json
    await api.send_chunks(task, CONTENT)
    file = (await api.complete(task["task_id"])).json
    assert file["expired_at"] is None
    await rows.execute("update upload_tasks set expires_at = now() - interval '1 day'")
    await worker.run_once()
    assert (await api.signed_in_as(None).get(f"/api/files/{file['id']}")).body == CONTENT


@pytest.mark.parametrize(
    ("kept", "wanted_h", "expected_h"),
    [(None, 2, 2), ("1:00:00", 2, 1), ("10:00:00", 2, 2), ("10:00:00", None, 10), (None, None, None)],
)
async def test_an_expiry_is_never_in_the_past_nor_beyond_what_the_pool_keeps(
    api: Api, rows: Rows, kept: str | None, wanted_h: int | None, expected_h: int | None
) -> None:
    await rows.execute("update pools set storage_config = storage_config || $1", {"expiration": kept})
    try:
        wanted = wanted_h and await rows.fetchval("select (now() + make_interval(hours => $1))", wanted_h)
        file = await api.upload(CONTENT, **({"expired_at": wanted.isoformat()} if wanted else {}))
    finally:
        await rows.execute("update pools set storage_config = storage_config - 'expiration'")
    left = "select round(extract(epoch from expired_at - now()) / 3600)::int from files where id = $1"
    assert await rows.fetchval(left, file["id"]) == expected_h


async def test_a_file_with_another_end_is_not_the_same(api: Api) -> None:
    """Else what was to stay would be gone with it, or what was to go would stay."""
    lasting = await api.upload(CONTENT)
    one, other = "2099-01-01T00:00:00Z", "2099-01-02T00:00:00Z"
    assert (await api.create(CONTENT, expired_at=one)).json["file_exists"] is False
    ending = await api.upload(CONTENT, expired_at=one)
    assert (await api.create(CONTENT, expired_at=other)).json["file_exists"] is False
    assert (await api.create(CONTENT, expired_at=one)).json["file"]["id"] == ending["id"]
    await api.delete(f"/api/files/{lasting['id']}")
    assert (await api.create(CONTENT)).json["file_exists"] is False


# ── Numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_chunks_that_come_at_once_are_all_counted(settings: Settings, serve_app: Serve) -> None:
    replicas = [await serve_app(Container(settings=settings)) for _ in range(2)]
    content = bytes(range(40))
    task_id = (await replicas[0].create(content, chunk_size=1)).json["task_id"]
    answers = await asyncio.gather(
        *(replicas[n % 2].send_chunk(task_id, n, content[n : n + 1]) for n in range(39)),
    )
    assert {it.status for it in answers} == {200}
    for replica in replicas:
        resumed = (await replica.resume(task_id)).json
        assert resumed["uploaded_chunks"] == list(range(39))
        assert (resumed["chunks_uploaded"], resumed["progress"]) == (39, 97.5)
    assert (await replicas[1].send_chunk(task_id, 0, b"x")).json == {"message": "Chunk already uploaded"}


async def test_progress_has_one_scale_wherever_it_is_told(settings: Settings, serve_app: Serve, peers: Peers) -> None:
    api = await serve_app(Container(settings=replace(settings, progress_min_bytes=1)))
    task_id = (await api.create(CONTENT, chunk_size=3)).json["task_id"]
    await api.send_chunk(task_id, 0, CONTENT[:3])
    tasks = "/api/files/upload/tasks"
    stats = (await api.get("/api/files/upload/stats")).json
    await eventually(lambda: "upload.progress" in {it.type for it in peers.world.packets})
    packets: list[Any] = [msgspec.json.decode(it.data) for it in peers.world.packets if it.type == "upload.progress"]
    told = {
        "progress": (await api.progress(task_id)).json["progress"],
        "resume": (await api.resume(task_id)).json["progress"],
        "tasks": (await api.get(tasks)).json[0]["progress"],
        "recent": (await api.get(f"{tasks}/recent")).json[0]["progress"],
        "details": (await api.get(f"{tasks}/{task_id}/details")).json["task"]["progress"],
        "stats": stats["average_progress"],
        "activity": stats["recent_activity"][0]["progress"],
        "packet": packets[0]["progress"],
    }
    assert told == dict.fromkeys(told, 25.0)


async def test_usage_and_quota_are_true_from_the_next_request_on(api: Api, rows: Rows) -> None:
    async def told() -> tuple[float, int, int]:
        usage = (await api.get("/api/billing/usage")).json
        pool = (await api.get(f"/api/billing/usage/{POOL_ID}")).json
        quota = (await api.get("/api/billing/quota")).json
        assert usage["total_quota"] == quota["total_quota"]
        assert (usage["total_usage_bytes"], usage["total_file_count"]) == (pool["usage_bytes"], pool["file_count"])
        return usage["used_quota"], usage["total_file_count"], quota["extra_quota"]

    assert await told() == (0, 0, 0)
    file = await api.upload(b"x" * HALF_MIB)
    assert await told() == (0.5, 1, 0)
    await rows.execute("insert into quota_records (account_id, name, quota_mib) values ($1, 'r', 7)", PLAIN_ID)
    assert await told() == (0.5, 1, 7)
    await api.delete(f"/api/files/{file['id']}")
    assert await told() == (0, 0, 7)


# ── What the answer is ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_a_client_may_do_wrong_is_no_failure_of_the_server(api: Api, rows: Rows) -> None:
    subscriber = api.signed_in_as("subscriber")
    file = await api.upload(CONTENT)
    path = f"/api/files/{file['id']}"
    await subscriber.post("/api/bundles", json={"slug": "taken"})
    pool_id = await add_pool(rows, account_id=SUBSCRIBER_ID)
    told = {
        "no thumbnail": await status_of(api.get(f"{path}?thumbnail=true")),
        "slug taken": await status_of(subscriber.post("/api/bundles", json={"slug": "taken"})),
        "long name": await status_of(api.request("PATCH", f"{path}/name", json="n" * 1025)),
        "negative offset": await status_of(api.get("/api/files/me?offset=-1")),
        "huge page": await status_of(api.get("/api/files/me?take=101")),
        "same entry": [
            await status_of(api.post("/api/index/create", json={"file_id": file["id"], "path": path}))
            for path in ("/a/", "a")
        ],
        "pool of another": await status_of(api.delete(f"/api/pools/{pool_id}/recycle")),
    }
    assert told == {
        "no thumbnail": 404,
        "slug taken": 409,
        "long name": 400,
        "negative offset": 400,
        "huge page": 400,
        "same entry": [200, 400],
        "pool of another": 403,
    }


@pytest.mark.parametrize("down", ["PermissionService.HasPermission", "AccountService.GetAccount"])
async def test_an_outage_of_pass_is_told_as_such(api: Api, peers: Peers, down: str) -> None:
    peers.world.faults[down] = Fault(code=grpc.StatusCode.UNAVAILABLE)
    answers = [await api.create(CONTENT)]
    if down.startswith("Account"):
        answers += [await api.get(f"/api/billing/{what}") for what in ("quota", "usage")]
    assert {(it.status, it.code, "Retry-After" in it.headers) for it in answers} == {(503, "UNAVAILABLE", True)}
