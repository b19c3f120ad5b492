"""Quota: reserved, given back, never exceeded."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from support.api import Answer, Api
from support.rows import Rows, add_pool, expire, reserved_bytes, used_bytes

from drive.containers import Container
from drive.jobs.worker import Worker
from drive.peers.seed import PLAIN_ID
from drive.settings import Settings

MIB = 1024 * 1024
MOST = b"x" * (3 * MIB // 4)

Serve = Callable[[Container], Awaitable[Api]]


@pytest_asyncio.fixture
async def small(settings: Settings, serve_app: Serve) -> Api:
    """Give an API whose plain account has one mebibyte."""
    return await serve_app(Container(settings=replace(settings, quota_base_mib=1)))


def is_refused(answer: Answer) -> bool:
    return (answer.status, answer.code) == (403, "QUOTA_EXCEEDED")


async def test_of_many_uploads_at_once_exactly_those_that_fit_succeed(
    settings: Settings, serve_app: Serve, rows: Rows
) -> None:
    replicas = [await serve_app(Container(settings=replace(settings, quota_base_mib=1))) for _ in range(2)]
    for _ in range(5):
        answers = await asyncio.gather(*(replicas[n % 2].create(MOST, hash=f"{n}") for n in range(8)))
        assert sorted(it.status for it in answers) == [200] + [403] * 7
        assert sum(map(is_refused, answers)) == 7
        assert await reserved_bytes(rows) == len(MOST)
        await replicas[0].cancel(next(it.json["task_id"] for it in answers if it.status == 200))


async def test_two_direct_uploads_at_once_cannot_both_take_the_last(small: Api, rows: Rows) -> None:
    answers = await asyncio.gather(small.upload_direct(MOST, "a"), small.upload_direct(MOST, "b"))
    assert sorted(it.status for it in answers) == [200, 403]
    assert await used_bytes(rows) == len(MOST)


@pytest.mark.parametrize(("size", "fits"), [(MIB, True), (MIB + 1, False)])
async def test_the_quota_can_be_used_up_to_the_last_byte(small: Api, size: int, fits: bool) -> None:
    answer = await small.create(b"x" * size)
    assert is_refused(answer) != fits
    if not fits:
        assert answer.json["message"] == "1.0 MiB are wanted, 1.0 of 1 MiB are free."


async def in_progress(_api: Api, _task: Any, _rows: Rows, _worker: Worker) -> bool:
    return False


async def half_sent(api: Api, task: Any, _rows: Rows, _worker: Worker) -> bool:
    await api.send_chunk(task["task_id"], 0, MOST[: task["chunk_size"]])
    return False


async def completed(api: Api, task: Any, _rows: Rows, _worker: Worker) -> bool:
    await api.send_chunks(task, MOST)
    assert (await api.complete(task["task_id"])).status == 200
    return False


async def cancelled(api: Api, task: Any, _rows: Rows, _worker: Worker) -> bool:
    assert (await api.cancel(task["task_id"])).status == 200
    return True


async def failed(api: Api, task: Any, _rows: Rows, _worker: Worker) -> bool:
    await api.send_chunks(task, MOST.replace(b"x", b"y"))
    assert (await api.complete(task["task_id"])).status == 400
    return True


async def expired(_api: Api, task: Any, rows: Rows, worker: Worker) -> bool:
    await expire(rows, task["task_id"])
    await worker.run_once()
    return True


async def deleted(api: Api, task: Any, _rows: Rows, _worker: Worker) -> bool:
    await api.send_chunks(task, MOST)
    file = (await api.complete(task["task_id"])).json
    assert (await api.delete(f"/api/files/{file['id']}")).status == 200
    return True


@pytest.mark.parametrize("end", [in_progress, half_sent, completed, cancelled, failed, expired, deleted])
async def test_what_an_upload_holds_is_given_back_when_nothing_comes_of_it(
    small: Api, rows: Rows, worker: Worker, end: Callable[[Api, Any, Rows, Worker], Awaitable[bool]]
) -> None:
    task = (await small.create(MOST, chunk_size=MIB // 2)).json
    is_given_back = await end(small, task, rows, worker)
    assert is_refused(await small.create(MOST, hash="other")) != is_given_back


async def test_other_accounts_have_quotas_of_their_own(small: Api) -> None:
    await small.create(MOST)
    assert (await small.signed_in_as("subscriber").create(MOST)).status == 200


async def test_a_pool_can_count_bytes_at_another_rate(small: Api, rows: Rows) -> None:
    twice = await add_pool(rows, cost_multiplier=2.0)
    free = await add_pool(rows, cost_multiplier=0.0)
    assert is_refused(await small.create(MOST, pool_id=twice))
    assert (await small.create(b"x" * 5 * MIB, pool_id=free)).status == 200
    assert (await small.create(MOST[: MIB // 2], pool_id=twice)).status == 200
    assert is_refused(await small.create(b"x"))


async def test_records_add_to_the_quota_until_they_expire(small: Api, rows: Rows) -> None:
    add = (
        "insert into quota_records (account_id, name, quota_mib, expired_at) values ($1, 'r', 1, now() + $2::interval)"
    )
    await rows.execute(add.replace("$2::interval", "'1 day'"), PLAIN_ID)
    await rows.execute(add.replace("$2::interval", "'-1 day'"), PLAIN_ID)
    quota = await small.get("/api/billing/quota")
    assert quota.json == {"based_quota": 1, "extra_quota": 1, "total_quota": 2}
    assert (await small.create(b"x" * 2 * MIB)).status == 200
    assert is_refused(await small.create(b"x"))


async def test_what_there_is_already_takes_nothing(small: Api) -> None:
    """The account has the content: nothing is stored, so that it does not matter how little is left."""
    file = await small.upload(MOST)
    again = await small.create(MOST)
    assert (again.status, again.json["file_exists"], again.json["file"]["id"]) == (200, True, file["id"])


async def test_usage_tells_pool_by_pool(api: Api, rows: Rows) -> None:
    other = await add_pool(rows, name="Twice", cost_multiplier=2.0)
    await rows.execute("update pools set created_at = created_at + interval '1 day' where id = $1", other)
    await add_pool(rows, name="Hidden", is_hidden=True)
    for size in (MIB, 2 * MIB):
        await api.upload(b"x" * size)
    await api.upload(b"x" * MIB, pool_id=other)
    usage = (await api.get("/api/billing/usage")).json
    pools = [{name: pool[name] for name in pool if name != "pool_id"} for pool in usage.pop("pool_usages")]
    assert pools == [
        {"pool_name": "Local", "usage_bytes": 3 * MIB, "cost": 3.0, "file_count": 2},
        {"pool_name": "Twice", "usage_bytes": MIB, "cost": 2.0, "file_count": 1},
    ]
    assert usage == {"total_usage_bytes": 4 * MIB, "total_file_count": 3, "total_quota": 1024, "used_quota": 5.0}


@pytest.mark.parametrize(("account", "based_quota"), [("plain", 1024), ("subscriber", 10_240)])
async def test_the_quota_is_that_of_the_subscription(api: Api, account: str, based_quota: int) -> None:
    quota = (await api.signed_in_as(account).get("/api/billing/quota")).json
    assert quota == {"based_quota": based_quota, "extra_quota": 0, "total_quota": based_quota}
