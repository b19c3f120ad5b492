"""Content that an account has twice is stored once, and goes with its last file."""

import asyncio
import random
from typing import Any

import pytest
from support.api import Api
from support.rows import POOL_ID, Rows, add_pool, used_bytes, wrong_counts
from support.storage import Stored, objects

from drive.jobs.worker import Worker
from drive.settings import Settings

CONTENT = b"the same bytes"


async def two_files(api: Api, content: bytes = CONTENT) -> list[Any]:
    """Upload the same content twice, without saying so."""
    return [(await api.upload_direct(content, name)).json for name in ("one", "two")]


@pytest.mark.each_store
async def test_content_is_stored_once_and_goes_with_the_last_file(
    api: Api, rows: Rows, stored: Stored, worker: Worker
) -> None:
    one, two = await two_files(api)
    assert one["storage_id"] == two["storage_id"]
    assert one["id"] != two["id"]
    assert await rows.fetchval("select reference_count from objects") == 2
    assert await used_bytes(rows) == 2 * len(CONTENT)
    await worker.run_once()
    assert stored.objects() == {one["storage_id"]}

    await api.delete(f"/api/files/{one['id']}")
    await worker.run_once()
    assert (await api.get(f"/api/files/{two['id']}")).body == CONTENT
    assert await rows.fetchval("select reference_count from objects") == 1

    await api.delete(f"/api/files/{two['id']}")
    assert await rows.fetchval("select count(*) from objects") == 0
    assert stored.objects() == {one["storage_id"]}
    await worker.run_once()
    assert stored.objects() == set()
    assert await used_bytes(rows) == 0


async def test_content_that_is_announced_by_its_hash_need_not_be_sent(api: Api, rows: Rows) -> None:
    """The account had it already, as the server's own hash proves; the file that it has is the answer."""
    file = await api.upload(CONTENT, file_name="one")
    created = await api.create(CONTENT, file_name="two", path="/folder")
    assert created.json == {
        "file_exists": True,
        "file": file,
        "task_id": None,
        "chunk_size": None,
        "chunks_count": None,
    }
    assert await rows.fetchval("select path from file_indexes where file_id = $1", file["id"]) == "/folder/"
    assert await rows.fetchval("select count(*) from files") == 1


@pytest.mark.parametrize(
    "change", ["another size", "another pool", "deleted", "recycled", "expired", "declared, never sent"]
)
async def test_content_must_be_sent_where_it_is_not_the_same(api: Api, rows: Rows, change: str) -> None:
    fields: dict[str, Any] = {}
    if change == "declared, never sent":
        await api.create(CONTENT)
    else:
        file = await api.upload(CONTENT)
    if change == "another size":
        fields = {"file_size": len(CONTENT) + 1}
    elif change == "another pool":
        fields = {"pool_id": await add_pool(rows)}
    elif change == "deleted":
        await api.delete(f"/api/files/{file['id']}")
    elif change == "recycled":
        await rows.execute("update files set is_marked_recycle = true")
    elif change == "expired":
        await rows.execute("update files set expired_at = now()")
    assert (await api.create(CONTENT, **fields)).json["file_exists"] is False


async def test_content_is_never_shared_between_accounts_or_pools(api: Api, rows: Rows, settings: Settings) -> None:
    """Not even to tell that somebody has it."""
    subscriber = api.signed_in_as("subscriber")
    mine = await api.upload(CONTENT)
    assert (await subscriber.create(CONTENT)).json["file_exists"] is False
    theirs = await subscriber.upload(CONTENT)
    elsewhere = await api.upload(CONTENT, pool_id=await add_pool(rows))
    assert len({file["storage_id"] for file in (mine, theirs, elsewhere)}) == 3
    assert objects(settings) == {file["storage_id"] for file in (mine, theirs, elsewhere)}

    await api.delete(f"/api/files/{mine['id']}")
    assert (await subscriber.get(f"/api/files/{theirs['id']}")).body == CONTENT


@pytest.mark.each_store
async def test_deleting_both_files_of_an_object_at_once_leaves_nothing(
    api: Api, rows: Rows, stored: Stored, worker: Worker
) -> None:
    for n in range(25):
        one, two = await two_files(api, CONTENT + bytes([n]))
        answers = await asyncio.gather(*(api.delete(f"/api/files/{file['id']}") for file in (one, two)))
        assert [it.status for it in answers] == [200, 200]
    assert await rows.fetchval("select count(*) from objects") == 0
    assert await used_bytes(rows) == 0
    assert (await api.get("/api/files/me")).headers["X-Total"] == "0"
    await worker.run_once()
    assert stored.objects() == set()


async def test_deleting_a_file_twice_at_once_deletes_it_once(api: Api, rows: Rows) -> None:
    for n in range(10):
        one, two = await two_files(api, CONTENT + bytes([n]))
        answers = await asyncio.gather(*(api.delete(f"/api/files/{one['id']}") for _ in range(4)))
        assert sorted(it.status for it in answers) == [200, 404, 404, 404]
        assert (await api.get(f"/api/files/{two['id']}")).body == CONTENT + bytes([n])
    assert await wrong_counts(rows) == []


@pytest.mark.each_store
async def test_uploads_and_deletions_of_one_content_at_once_keep_the_count_right(
    api: Api, rows: Rows, stored: Stored, worker: Worker
) -> None:
    """Whoever is last: what is listed can be read, and what nobody has is gone."""
    choice = random.Random(6)
    live = {file["id"] for file in await two_files(api)}

    async def upload() -> None:
        answer = await api.upload_direct(CONTENT)
        assert answer.status == 200, answer
        live.add(answer.json["id"])

    async def delete(file_id: str) -> None:
        assert (await api.delete(f"/api/files/{file_id}")).status == 200

    for _ in range(15):
        deleted = set(choice.sample(sorted(live), k=choice.randint(0, len(live))))
        live -= deleted
        work = [*(upload() for _ in range(choice.randint(0, 3))), *map(delete, deleted), worker.run_once()]
        choice.shuffle(work)
        await asyncio.gather(*work)
        assert await wrong_counts(rows) == []
        for file_id in live:
            assert (await api.get(f"/api/files/{file_id}")).body == CONTENT
    await worker.run_once()
    assert stored.objects() == {row["id"] for row in await rows.fetch("select id from objects")}
    assert await used_bytes(rows) == len(CONTENT) * len(live)


@pytest.mark.each_store
async def test_a_deletion_that_finds_no_bytes_still_deletes(
    api: Api, rows: Rows, stored: Stored, worker: Worker
) -> None:
    file = await api.upload(CONTENT)
    stored.remove(file["storage_id"])
    assert (await api.delete(f"/api/files/{file['id']}")).status == 200
    await worker.run_once()
    assert await rows.fetchval("select count(*) from jobs") == 0
    assert file["pool_id"] == POOL_ID
