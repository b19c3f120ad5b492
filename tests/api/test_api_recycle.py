"""The recycle bin: what is in it, who sees it, who empties it."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest
from support.api import Api
from support.rows import Rows, add_files, add_pool, used_bytes, wrong_counts
from support.storage import objects
from support.waiting import eventually

from drive.containers import Container
from drive.files.service import DELETION_PAGE, deletion
from drive.jobs.worker import Worker
from drive.peers import Fault, Peers
from drive.peers.seed import ADMIN_ID, PLAIN_ID, SUBSCRIBER_ID
from drive.settings import Settings

CONTENT = b"0123456789"
MIB = 1024 * 1024

Serve = Callable[[Container], Awaitable[Api]]


async def recycled(api: Api, content: bytes = CONTENT, **params: str) -> str:
    """Upload a file, put it into the recycle bin, and return its id."""
    file_id: str = (await api.upload_direct(content, **params)).json["id"]
    assert (await api.post(f"/api/files/{file_id}/recycle")).status == 200
    return file_id


@pytest.mark.each_store
async def test_a_file_in_the_bin_is_seen_by_its_owner_alone(api: Api) -> None:
    path = f"/api/files/{await recycled(api)}"
    other = api.signed_in_as("subscriber")
    assert (await api.get(path)).body == CONTENT
    assert (await other.get(path)).status == (await other.get(f"{path}/info")).status == 404
    assert (await api.get("/api/files/me")).headers["X-Total"] == "0"
    assert (await api.get("/api/files/me?recycled=true")).headers["X-Total"] == "1"

    restored = await api.delete(f"{path}/recycle")
    assert (restored.status, restored.json["is_marked_recycle"]) == (200, False)
    assert (await other.get(path)).body == CONTENT
    assert (await api.get("/api/files/me")).headers["X-Total"] == "1"


async def test_recycling_and_restoring_may_be_repeated(api: Api, rows: Rows) -> None:
    path = f"/api/files/{(await api.upload_direct(CONTENT)).json['id']}/recycle"
    for method, is_recycled in (("POST", True), ("POST", True), ("DELETE", False), ("DELETE", False)):
        answer = await api.request(method, path)
        assert (answer.status, answer.json["is_marked_recycle"]) == (200, is_recycled)
    assert await used_bytes(rows) == len(CONTENT)


async def test_the_bin_holds_its_quota_until_it_is_emptied(settings: Settings, serve_app: Serve) -> None:
    """Otherwise whoever recycles and restores stores without limit."""
    api = await serve_app(Container(settings=replace(settings, quota_base_mib=1)))
    content = b"x" * (3 * MIB // 4)
    await recycled(api, content)
    assert (await api.create(content, hash="other")).code == "QUOTA_EXCEEDED"
    usage = (await api.get("/api/billing/usage")).json
    assert (usage["total_usage_bytes"], usage["total_file_count"], usage["used_quota"]) == (0, 0, 0.75)
    assert (await api.delete("/api/files/me/recycle")).json == {"count": 1}
    assert (await api.get("/api/billing/usage")).json["used_quota"] == 0
    assert (await api.create(content, hash="other")).status == 200


async def test_emptying_ones_bin_deletes_what_is_in_it_and_nothing_else(
    api: Api, rows: Rows, settings: Settings, worker: Worker
) -> None:
    subscriber = api.signed_in_as("subscriber")
    kept = (await api.upload_direct(CONTENT)).json["id"]
    theirs = await recycled(subscriber)
    gone = [await recycled(api), await recycled(api, b"other")]
    assert (await api.delete("/api/files/me/recycle")).json == {"count": 2}
    assert (await api.delete("/api/files/me/recycle")).json == {"count": 0}
    await worker.run_once()
    for file_id in gone:
        assert (await api.get(f"/api/files/{file_id}/info")).status == 404
        assert (await api.delete(f"/api/files/{file_id}/recycle")).status == 404
    assert (await api.get(f"/api/files/{kept}")).body == CONTENT
    assert (await subscriber.get(f"/api/files/{theirs}")).body == CONTENT
    assert len(objects(settings)) == 2
    assert await wrong_counts(rows) == []


async def test_a_bin_of_many_pages_is_emptied_in_one_request(api: Api, rows: Rows) -> None:
    count = 2 * DELETION_PAGE
    await add_files(rows, count)
    await rows.execute("update files set is_marked_recycle = true")
    assert (await api.delete("/api/files/me/recycle")).json == {"count": count}
    assert await rows.fetchval("select count(*) from objects") == 0
    assert await rows.fetchval("select count(*) from jobs where kind = 'delete_object'") == count


async def test_all_who_empty_and_restore_at_once_lose_and_double_nothing(
    api: Api, rows: Rows, settings: Settings, worker: Worker
) -> None:
    """Each file is either purged by one of them or restored."""
    admin = api.signed_in_as("admin")
    other_pool = await add_pool(rows, account_id=PLAIN_ID)
    for n in range(4):
        ids = [
            await recycled(api, CONTENT + bytes([n, m // 2]), **({"poolId": other_pool} if m % 2 else {}))
            for m in range(8)
        ]
        purges = [
            api.delete("/api/files/me/recycle"),
            api.delete("/api/files/me/recycle"),
            admin.delete("/api/files/recycle"),
            api.delete(f"/api/pools/{other_pool}/recycle"),
            api.post("/api/files/batches/delete", json={"file_ids": ids[:2]}),
        ]
        answers = await asyncio.gather(*(api.delete(f"/api/files/{it}/recycle") for it in ids), *purges)
        restored = {it for it, answer in zip(ids, answers, strict=False) if answer.status == 200}
        deleted = sum(it.json["count"] for it in answers[len(ids) :])
        left = {it["id"] for it in (await api.get("/api/files/me?take=100")).json}
        assert left <= restored
        assert deleted == len(ids) - len(left)
        assert await wrong_counts(rows) == []
        for file_id in left:
            assert (await api.get(f"/api/files/{file_id}")).status == 200
        await api.post("/api/files/batches/delete", json={"file_ids": list(left)})
    await worker.run_once()
    assert objects(settings) == set()
    assert await used_bytes(rows) == 0


async def test_emptying_all_bins_takes_the_permission(api: Api, peers: Peers) -> None:
    for account in ("plain", "subscriber"):
        await recycled(api.signed_in_as(account))
    refused = await api.delete("/api/files/recycle")
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    assert (await api.signed_in_as(None).delete("/api/files/recycle")).status == 401
    peers.world.grant(SUBSCRIBER_ID, "files.delete.recycle")
    assert (await api.signed_in_as("subscriber").delete("/api/files/recycle")).json == {"count": 2}
    assert (await api.signed_in_as("admin").delete("/api/files/recycle")).json == {"count": 0}


async def test_where_pass_cannot_say_who_may_empty_all_bins_nobody_does(api: Api, peers: Peers) -> None:
    file_id = await recycled(api)
    peers.world.faults["PermissionService.HasPermission"] = Fault(code=grpc.StatusCode.INTERNAL)
    answer = await api.delete("/api/files/recycle")
    assert (answer.status, answer.code, "Retry-After" in answer.headers) == (503, "UNAVAILABLE", True)
    assert (await api.get(f"/api/files/{file_id}")).status == 200


async def test_a_pools_bin_is_emptied_by_its_owner(api: Api, rows: Rows) -> None:
    subscriber, admin = api.signed_in_as("subscriber"), api.signed_in_as("admin")
    pool_id = await add_pool(rows, account_id=PLAIN_ID)
    path = f"/api/pools/{pool_id}/recycle"
    theirs, elsewhere = await recycled(subscriber, poolId=pool_id), await recycled(subscriber)
    refused = await subscriber.delete(path)
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    assert (await api.signed_in_as(None).delete(path)).status == 401
    assert (await api.delete(path)).json == {"count": 1}
    assert (await subscriber.get(f"/api/files/{theirs}")).status == 404
    assert (await subscriber.get(f"/api/files/{elsewhere}")).body == CONTENT
    await recycled(subscriber, poolId=pool_id)
    assert (
        await admin.delete(path.upper().replace("/API/POOLS", "/api/pools").replace("RECYCLE", "recycle"))
    ).json == {"count": 1}


async def test_a_pool_that_is_not_there_for_somebody_has_no_bin(api: Api, rows: Rows) -> None:
    private = await add_pool(rows, account_id=ADMIN_ID, public_usable=False)
    deleted = await add_pool(rows, account_id=PLAIN_ID)
    await rows.execute("update pools set deleted_at = now() where id = $1", deleted)
    for pool_id in (private, deleted, "99999999-9999-9999-9999-999999999999", "pool", "a%00b", "0" * 32):
        answer = await api.delete(f"/api/pools/{pool_id}/recycle")
        assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert (await api.signed_in_as("admin").delete(f"/api/pools/{private}/recycle")).json == {"count": 0}


async def test_who_empties_a_bin_is_in_the_audit_trail(api: Api, rows: Rows, peers: Peers) -> None:
    pool_id = await add_pool(rows, account_id=PLAIN_ID)
    await api.delete("/api/files/me/recycle")
    await api.delete(f"/api/pools/{pool_id}/recycle")
    await api.delete("/api/files/recycle")
    await recycled(api)
    await api.signed_in_as("admin").delete("/api/files/recycle")
    await eventually(lambda: len(peers.world.action_logs) == 3)
    entries: list[Any] = [(it.account_id, it.action, it.meta) for it in peers.world.action_logs]
    assert entries == [
        (PLAIN_ID, "files.purge", {"scope": "own", "count": 0}),
        (PLAIN_ID, "files.purge", {"scope": "pool", "pool_id": pool_id, "count": 0}),
        (ADMIN_ID, "files.purge", {"scope": "all", "count": 1}),
    ]


@pytest.mark.parametrize(
    ("which", "args", "index"),
    [
        ("recycled of account", [PLAIN_ID], "files_recycled_of_account"),
        ("recycled of pool", ["00000000-0000-0000-0000-000000000001"], "files_recycled"),
        ("recycled", [], "files_recycled"),
    ],
)
@pytest.mark.own_database
async def test_a_page_is_found_by_its_index(rows: Rows, which: str, args: list[str], index: str) -> None:
    await add_files(rows, 10_000)
    await rows.execute("update files set account_id = gen_random_uuid() where size_bytes % 50 <> 0")
    await rows.execute("update files set is_marked_recycle = true where size_bytes % 10 = 0")
    for table in ("files", "objects"):
        await rows.execute(f"analyze {table}")
    plan = "\n".join(row[0] for row in await rows.fetch(f"explain {deletion(which)}", *args))
    assert re.search(rf"\b{index}\b", plan)
    assert "Seq Scan" not in plan.partition("CTE gone")[0]
