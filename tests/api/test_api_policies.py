"""What pools ask of pass: social credits for public files, experience for the first upload of a day."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs
from support.api import Api
from support.rows import Rows, add_pool
from support.waiting import eventually

from drive.billing.service import QUERIES
from drive.lazy import lifespan
from drive.peers import Fault, Peers
from drive.peers.seed import PLAIN_ID, REALM_ID, SUBSCRIBER_ID
from drive.peers.world import Record
from drive.settings import Settings
from drive.testing import channel_log
from drive.worker_container import WorkerContainer

CONTENT = b"0123456789"
CREDITS = "SocialCreditService.GetSocialCredit"
EXPERIENCE = "ExperienceService.AddRecord"
OPTIONAL = ("SocialCreditService", "ExperienceService", "PaymentService", "WalletService")

Serve = Callable[[WorkerContainer], Awaitable[Api]]
Work = Callable[[], Awaitable[None]]


async def permit(api: Api, file: Any, **body: str) -> int:
    return (await api.request("PUT", f"/api/files/{file['id']}/permission", json=body)).status


def lose_credits(peers: Peers, count: float) -> None:
    """Everybody begins with 100."""
    peers.world.credit_records.append(Record(PLAIN_ID, -count, "test", "test"))


# ── Social credits ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_public_files_take_the_credits_that_the_pool_asks_for(api: Api, rows: Rows, peers: Peers) -> None:
    pool_id = await add_pool(rows, min_social_credits=99.5)
    lose_credits(peers, 1)
    for refused in [
        await api.create(CONTENT, pool_id=pool_id),
        await api.upload_direct(CONTENT, poolId=pool_id),
    ]:
        assert (refused.status, refused.code) == (403, "FORBIDDEN")
        assert "99.5 social credits; you have 99" in refused.json["detail"]
    assert await rows.fetchval("select count(*) from upload_tasks") == 0
    assert (await api.signed_in_as("subscriber").upload(CONTENT, pool_id=pool_id))["visibility"] == "public"


async def test_exactly_enough_credits_are_enough(api: Api, rows: Rows) -> None:
    file = await api.upload(CONTENT, pool_id=await add_pool(rows, min_social_credits=100))
    assert file["visibility"] == "public"


async def test_files_that_are_not_public_take_none_until_they_are(api: Api, rows: Rows, peers: Peers) -> None:
    pool_id = await add_pool(rows, min_social_credits=100)
    lose_credits(peers, 1)
    private = await api.upload(CONTENT, pool_id=pool_id, visibility="private")
    shared = await api.upload(CONTENT, pool_id=pool_id, visibility="realm", realm_id=REALM_ID)
    assert await permit(api, shared, visibility="private") == 200
    assert peers.world.calls[CREDITS] == 0
    for file in (private, shared):
        assert await permit(api, file, visibility="public") == 403
        assert (await api.signed_in_as(None).get(f"/api/files/{file['id']}")).status == 404


async def test_a_public_file_stays_public_when_credits_are_lost(api: Api, rows: Rows, peers: Peers) -> None:
    pool_id = await add_pool(rows)
    file = await api.upload(CONTENT, pool_id=pool_id)
    await rows.execute("update pools set policy_config = $2 where id = $1", pool_id, {"min_social_credits": 100})
    lose_credits(peers, 1)
    assert await permit(api, file, visibility="public") == 200
    assert (await api.signed_in_as(None).get(f"/api/files/{file['id']}")).status == 200


async def test_pools_that_no_anonymous_reader_sees_ask_for_no_credits(api: Api, rows: Rows, peers: Peers) -> None:
    lose_credits(peers, 1)
    await api.upload(CONTENT, pool_id=await add_pool(rows, min_social_credits=100, allow_anonymous=False))
    assert peers.world.calls[CREDITS] == 0


async def test_credits_are_asked_for_once_and_remembered(api: Api, rows: Rows, peers: Peers) -> None:
    pool_id = await add_pool(rows, min_social_credits=0)
    for n in range(5):
        await api.upload(CONTENT + bytes([n]), pool_id=pool_id)
    assert peers.world.calls[CREDITS] == 1
    await api.signed_in_as("subscriber").upload(CONTENT, pool_id=pool_id)
    assert peers.world.calls[CREDITS] == 2


async def test_a_question_that_pass_missed_is_asked_again(api: Api, rows: Rows, peers: Peers) -> None:
    peers.world.faults[CREDITS] = Fault(code=grpc.StatusCode.UNAVAILABLE, times=1)
    await api.upload(CONTENT, pool_id=await add_pool(rows, min_social_credits=0))
    assert peers.world.calls[CREDITS] == 2


@pytest.mark.parametrize("code", ["UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "NOT_FOUND"])
async def test_nothing_is_published_while_pass_cannot_say(api: Api, rows: Rows, peers: Peers, code: str) -> None:
    pool_id = await add_pool(rows, min_social_credits=0)
    peers.world.faults[CREDITS] = Fault(code=grpc.StatusCode[code])
    refused = await api.create(CONTENT, pool_id=pool_id)
    assert (refused.status, refused.code) == (503, "UNAVAILABLE")
    private = await api.upload(CONTENT, pool_id=pool_id, visibility="private")
    assert await permit(api, private, visibility="public") == 503
    peers.world.faults.clear()
    assert await permit(api, private, visibility="public") == 200


async def test_credits_that_are_no_number_are_not_enough(api: Api, rows: Rows, peers: Peers) -> None:
    peers.world.credit_records.append(Record(PLAIN_ID, float("nan"), "test", "test"))
    assert (await api.create(CONTENT, pool_id=await add_pool(rows, min_social_credits=0))).status == 403


# ── Experience ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def give(settings: Settings, rows: Rows) -> Any:
    """Give a function that does all jobs that give experience, as a worker would; what is left stays for later."""
    container = WorkerContainer(settings=settings)

    async def work() -> None:
        for row in await rows.fetch("select id, payload from jobs where kind = 'give_experience' order by id"):
            await container.experience().give(row["payload"])
            await rows.execute("delete from jobs where id = $1", row["id"])

    async with lifespan(container):
        yield work


def given(peers: Peers) -> list[tuple[str, float]]:
    return [(it.account_id, it.delta) for it in peers.world.experience_records]


async def test_the_first_upload_of_a_day_gives_experience_once(api: Api, rows: Rows, peers: Peers, give: Work) -> None:
    pool_id, more = await add_pool(rows, daily_experience=5), await add_pool(rows, daily_experience=7)
    await api.upload(b"a pool that gives nothing does not use up the day")
    for n, pool in enumerate((pool_id, pool_id, more)):
        await api.upload(CONTENT + bytes([n]), pool_id=pool)
        await api.upload_direct(CONTENT + bytes([n, n]), poolId=pool)
    await api.signed_in_as("subscriber").upload_direct(CONTENT, poolId=more)
    assert peers.world.calls[EXPERIENCE] == 0
    await give()
    assert given(peers) == [(PLAIN_ID, 5), (SUBSCRIBER_ID, 7)]
    record = peers.world.experience_records[0]
    assert record.reason_type == "drive.upload"
    assert record.reason == f"First upload of {await rows.fetchval('select max(day) from experience_days')}"
    await give()
    assert peers.world.calls[EXPERIENCE] == 2


async def test_a_worker_gives_it(api: Api, rows: Rows, peers: Peers, worker: Any) -> None:
    await api.upload(CONTENT, pool_id=await add_pool(rows, daily_experience=5))
    await worker.run_once()
    assert given(peers) == [(PLAIN_ID, 5)]
    assert await rows.fetchval("select count(*) from jobs") == 0


async def test_uploads_at_once_give_experience_once(api: Api, rows: Rows, peers: Peers, give: Work) -> None:
    pool_id = await add_pool(rows, daily_experience=5)
    answers = await asyncio.gather(*(api.upload_direct(CONTENT + bytes([n]), poolId=pool_id) for n in range(20)))
    assert {it.status for it in answers} == {200}
    assert await rows.fetchval("select count(*) from jobs where kind = 'give_experience'") == 1
    await give()
    assert given(peers) == [(PLAIN_ID, 5)]


async def test_the_next_day_gives_it_again(api: Api, rows: Rows, peers: Peers, give: Work) -> None:
    pool_id = await add_pool(rows, daily_experience=5)
    await api.upload(b"yesterday", pool_id=pool_id)
    await give()
    await rows.execute("update experience_days set day = day - 1")
    await api.upload(b"today", pool_id=pool_id)
    await give()
    assert given(peers) == [(PLAIN_ID, 5), (PLAIN_ID, 5)]
    days = [row["day"] for row in await rows.fetch("select day from experience_days order by day")]
    assert days[1] - days[0] == timedelta(days=1)
    assert abs((days[1] - datetime.now(UTC).date()).days) <= 1


async def test_days_that_are_long_over_are_forgotten(api: Api, rows: Rows, give: Work) -> None:
    pool_id = await add_pool(rows, daily_experience=5)
    await rows.execute(
        "insert into experience_days select $1, (now() at time zone 'utc')::date - n, 5, now() "
        "from generate_series(1, 1000) n",
        PLAIN_ID,
    )
    await api.upload(CONTENT, pool_id=pool_id)
    await give()
    assert await rows.fetchval("select count(*) from experience_days") == 8
    plan = await rows.fetch(f"explain {QUERIES['forget_experience']}", PLAIN_ID)
    assert any("experience_days_pkey" in row[0] for row in plan)


async def test_an_upload_that_fails_gives_none(api: Api, rows: Rows, give: Work, peers: Peers) -> None:
    pool_id = await add_pool(rows, daily_experience=5)
    created = await api.create(CONTENT, pool_id=pool_id, hash="a" * 64)
    await api.send_chunks(created.json, CONTENT)
    assert (await api.complete(created.json["task_id"])).status == 400
    cancelled = await api.create(CONTENT, pool_id=pool_id)
    await api.cancel(cancelled.json["task_id"])
    await give()
    assert given(peers) == []
    assert await rows.fetchval("select count(*) from experience_days") == 0


async def test_points_wait_until_pass_is_back(api: Api, rows: Rows, peers: Peers, worker: Any) -> None:
    pool_id = await add_pool(rows, daily_experience=5)
    await api.upload(CONTENT, pool_id=pool_id)
    peers.world.faults[EXPERIENCE] = Fault(code=grpc.StatusCode.UNAVAILABLE)
    for _ in range(2):
        await worker.run_once()
        await rows.execute("update jobs set run_at = now()")
    assert given(peers) == []
    peers.world.faults.clear()
    await worker.run_once()
    assert given(peers) == [(PLAIN_ID, 5)]
    assert await rows.fetchval("select count(*) from jobs") == 0


@pytest.mark.parametrize("code", ["DEADLINE_EXCEEDED", "UNKNOWN", "INTERNAL", "NOT_FOUND"])
@pytest.mark.parametrize("is_late", [False, True])
async def test_points_are_never_given_twice_where_the_answer_is_lost(
    api: Api, rows: Rows, peers: Peers, give: Work, code: str, *, is_late: bool
) -> None:
    await api.upload(CONTENT, pool_id=await add_pool(rows, daily_experience=5))
    peers.world.faults[EXPERIENCE] = Fault(code=grpc.StatusCode[code], is_late=is_late, times=1)
    with capture_logs() as lines:
        await give()
    assert [it["reason"] for it in lines if it["event"] == "Experience unconfirmed"] == [code]
    await give()
    assert len(given(peers)) == is_late
    assert peers.world.calls[EXPERIENCE] == 1


async def test_a_worker_that_is_killed_meanwhile_gives_no_points_twice(
    api: Api, rows: Rows, peers: Peers, settings: Settings
) -> None:
    await api.upload(CONTENT, pool_id=await add_pool(rows, daily_experience=5))
    payload = await rows.fetchval("select payload from jobs where kind = 'give_experience'")
    container = WorkerContainer(settings=settings)
    async with lifespan(container):
        experience = container.experience()
        peers.world.faults[EXPERIENCE] = Fault(delay_s=60, is_late=True)
        killed = asyncio.create_task(experience.give(payload))
        await eventually(lambda: given(peers))
        killed.cancel()
        await asyncio.wait([killed])
        peers.world.faults.clear()
        with capture_logs() as lines:
            await experience.give(payload)
    assert [it["reason"] for it in lines if it["event"] == "Experience unconfirmed"] == ["asked before"]
    assert given(peers) == [(PLAIN_ID, 5)]


# ── Where nothing of it is wanted ────────────────────────────────────────────────────────────────────────────────────


async def test_none_of_it_is_asked_where_no_policy_and_no_price_is_set(
    api: Api, peers: Peers, worker: Any, settings: Settings, serve_app: Serve
) -> None:
    file = await api.upload(CONTENT)
    await permit(api, file, visibility="private")
    await permit(api, file, visibility="public")
    await api.upload_direct(CONTENT)
    for path in ("quota", "usage", "offers", "orders", "quota/records"):
        assert (await api.get(f"/api/billing/{path}")).status == 200
    assert (await api.post("/api/billing/orders", json={"quota_gib": 1})).status == 403
    await worker.run_once()
    called = {method.partition(".")[0] for method, count in peers.world.calls.items() if count}
    assert not called.intersection(OPTIONAL)
    assert {"AuthService", "PermissionService", "AccountService"} <= called
    with channel_log() as log:
        fresh = await serve_app(WorkerContainer(settings=settings))
        assert (await fresh.signed_in_as(None).get(f"/api/files/{file['id']}")).status == 200
    log.assert_nothing_opened()
