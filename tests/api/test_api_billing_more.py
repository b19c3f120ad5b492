"""Quota records, and usage of one pool."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.api import Api
from support.queries import counting
from support.rows import POOL_ID, Rows, add_pool

from drive.containers import Container
from drive.peers.seed import ADMIN_ID, PLAIN_ID, SUBSCRIBER_ID
from drive.settings import Settings

RECORDS = "/api/billing/quota/records"
MIB = 1024 * 1024

Serve = Callable[[Container], Awaitable[Api]]


async def add_records(rows: Rows, count: int, *, account_id: str = PLAIN_ID, days_left: int | None = None) -> None:
    await rows.execute(
        "insert into quota_records (account_id, name, quota_mib, expired_at, created_at) "
        "select $1, 'record ' || n, n, $3, '2026-01-01'::timestamptz + make_interval(days => n / 2) "
        "from generate_series(1, $2::int) n",
        account_id,
        count,
        None if days_left is None else datetime.now(UTC) + timedelta(days=days_left),
    )


def names(answer: Any) -> list[str]:
    return [it["name"] for it in answer.json]


async def test_records_are_listed_newest_first_page_by_page(api: Api, rows: Rows) -> None:
    await add_records(rows, 7)
    await add_records(rows, 3, account_id=SUBSCRIBER_ID)
    await rows.execute("update quota_records set deleted_at = now() where name = 'record 7'")
    whole = await api.get(RECORDS)
    assert (whole.status, whole.headers["X-Total"], len(whole.json)) == (200, "6", 6)
    assert [it["created_at"] for it in whole.json] == sorted((it["created_at"] for it in whole.json), reverse=True)
    pages = [await api.get(f"{RECORDS}?offset={n}&take=1") for n in range(6)]
    assert [name for page in pages for name in names(page)] == names(whole)
    beyond = await api.get(f"{RECORDS}?offset=10")
    assert (beyond.json, beyond.headers["X-Total"]) == ([], "6")
    assert whole.json[0].keys() == {
        "id",
        "account_id",
        "name",
        "description",
        "quota",
        "expired_at",
        "created_at",
        "updated_at",
        "deleted_at",
    }
    assert (whole.json[0]["account_id"], whole.json[0]["quota"]) == (PLAIN_ID, 6)


async def test_expired_records_are_listed_where_they_are_asked_for(api: Api, rows: Rows) -> None:
    await add_records(rows, 2, days_left=-1)
    await add_records(rows, 1, days_left=1)
    for query, count in (("", 1), ("?expired=false", 1), ("?expired=true", 3)):
        answer = await api.get(RECORDS + query)
        assert (answer.headers["X-Total"], len(answer.json)) == (str(count), count)
    assert (await api.get("/api/billing/quota")).json["extra_quota"] == 1


@pytest.mark.parametrize("query", ["take=101", "take=0", "offset=-1", "expired=2", "take=x"])
async def test_a_wrong_parameter_is_refused(api: Api, query: str) -> None:
    answer = await api.get(f"{RECORDS}?{query}")
    assert (answer.status, list(answer.json["errors"])) == (400, [query.partition("=")[0]])


async def test_usage_of_one_pool_is_its_part_of_the_whole(api: Api, rows: Rows) -> None:
    double = await add_pool(rows, cost_multiplier=2.0)
    await api.upload(b"x" * MIB, pool_id=double)
    await api.upload(b"yy")
    whole = {it["pool_id"]: it for it in (await api.get("/api/billing/usage")).json["pool_usages"]}
    for pool_id in (double, POOL_ID):
        assert (await api.get(f"/api/billing/usage/{pool_id}")).json == whole[pool_id]
    assert whole[double] == {
        "pool_id": double,
        "pool_name": "Other",
        "usage_bytes": MIB,
        "cost": 2.0,
        "file_count": 1,
    }


async def test_a_pool_that_is_not_there_for_the_account_has_no_usage(api: Api, rows: Rows) -> None:
    private = await add_pool(rows, account_id=ADMIN_ID, public_usable=False)
    hidden = await add_pool(rows, is_hidden=True)
    for pool_id in (private, hidden, "99999999-9999-9999-9999-999999999999", "pool", "%00"):
        answer = await api.get(f"/api/billing/usage/{pool_id}")
        assert (answer.status, answer.code) == (404, "NOT_FOUND")
    file = (await api.upload_direct(b"x", poolId=hidden)).json
    assert (await api.get(f"/api/billing/usage/{hidden}")).json["file_count"] == 1
    await api.post(f"/api/files/{file['id']}/recycle")
    usage = (await api.get(f"/api/billing/usage/{hidden}")).json
    assert (usage["file_count"], usage["usage_bytes"], usage["cost"]) == (0, 0, 1 / MIB)


async def test_nobody_sees_anything_without_signing_in(api: Api) -> None:
    for path in (RECORDS, f"/api/billing/usage/{POOL_ID}"):
        assert (await api.signed_in_as(None).get(path)).status == 401


async def test_each_asks_the_database_once(settings: Settings, serve_app: Serve, rows: Rows) -> None:
    container = Container(settings=settings)
    database = counting(container)
    api = await serve_app(container)
    await add_records(rows, 100)
    await api.get("/api/files/me")
    for path in (RECORDS, f"{RECORDS}?take=100&expired=true", f"/api/billing/usage/{POOL_ID}"):
        with database.counted() as statements:
            assert (await api.get(path)).status == 200
        assert len(statements) == 1
