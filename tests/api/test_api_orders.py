"""Orders for extra quota: paid once, and there once, whatever fails in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import grpc
import msgspec
import pytest
from structlog.testing import capture_logs
from support.api import Answer, Api
from support.queries import counting
from support.rows import Rows
from support.waiting import eventually

from drive.billing import orders as orders_module
from drive.billing.service import QUERIES
from drive.containers import Container
from drive.errors import Code, DriveError
from drive.lazy import lifespan
from drive.peers import Fault, Peers
from drive.peers.seed import PLAIN_ID, SUBSCRIBER_ID
from drive.peers.world import Account
from drive.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from drive.billing.orders import Orders

CHARGE = "PaymentService.CreateTransactionWithAccount"
PLACE = "PaymentService.CreateOrder"
WITHDRAW = "PaymentService.CancelOrder"
WALLET = "WalletService.GetWallet"
UNPAID, PAID, CANCELLED = 1, 2, 4  # as pass numbers them

Serve = Callable[[Container], Awaitable[Api]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, quota_price_per_gib="0.10")


@pytest.fixture
async def jobs(settings: Settings) -> "AsyncIterator[Orders]":
    """Give what does the jobs, with connections of its own, as another process would have."""
    container = Container(settings=settings)
    async with lifespan(container):
        yield container.orders()


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "_FIRST_PAUSE_S", 0.0)


async def order(api: Api, gib: int = 3) -> Any:
    answer = await api.post("/api/billing/orders", json={"quota_gib": gib})
    assert answer.status == 200, answer
    return answer.json["order"]


def ids(order: Any) -> tuple[UUID, UUID]:
    return UUID(order["account_id"]), UUID(order["id"])


async def pay(api: Api, order: Any) -> Answer:
    return await api.post(f"/api/billing/orders/{order['id']}/pay")


async def status(api: Api, order: Any) -> str:
    answer = await api.get(f"/api/billing/orders/{order['id']}")
    assert answer.status == 200, answer
    return str(answer.json["status"])


async def settle(api: Api, order: Any, *, is_paid: bool) -> Answer:
    return await api.post(f"/api/billing/orders/{order['id']}/settle", json={"is_paid": is_paid})


async def extra_quota(api: Api) -> int:
    return int((await api.get("/api/billing/quota")).json["extra_quota"])


def spent(peers: Peers, account_id: str = PLAIN_ID) -> Decimal:
    """Return what the account, which began with 100, has paid."""
    return 100 - peers.world.ledger.wallet_of(account_id).balance("points")


def fail(peers: Peers, method: str, code: str, *, is_late: bool = False, times: int | None = None) -> None:
    peers.world.faults[method] = Fault(code=grpc.StatusCode[code], is_late=is_late, times=times)


async def expire(rows: Rows, order: Any) -> None:
    await rows.execute("update quota_orders set expired_at = now() - interval '1 s' where id = $1", order["id"])


async def records(rows: Rows) -> list[tuple[str, int]]:
    found = await rows.fetch("select order_id, quota_mib from quota_records")
    return [(str(row["order_id"]), row["quota_mib"]) for row in found]


async def waiting_jobs(rows: Rows, kind: str) -> list[Any]:
    found = await rows.fetch("select payload, run_at > now() as is_later from jobs where kind = $1 order by id", kind)
    return [row["payload"] | {"is_later": row["is_later"]} for row in found]


# ── Ordering ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_price_stands_beside_the_balance(api: Api) -> None:
    answer = await api.get("/api/billing/offers")
    assert answer.json == {
        "offers": [{"quota_mib": 1024, "amount": "0.10", "currency": "points", "most_gib": 1024}],
        "balance": "100",
    }
    created = await api.post("/api/billing/orders", json={"quota_gib": 3})
    assert created.json["balance"] == "100"
    made = created.json["order"]
    assert made.keys() == {
        "id",
        "account_id",
        "status",
        "quota_mib",
        "amount",
        "currency",
        "expired_at",
        "paid_at",
        "created_at",
        "updated_at",
    }
    assert (made["status"], made["quota_mib"], made["amount"]) == ("unpaid", 3072, "0.30")
    assert await extra_quota(api) == 0


async def test_pass_is_told_what_is_ordered(api: Api, peers: Peers) -> None:
    made = await order(api)
    (placed,) = peers.world.ledger.orders.values()
    assert (placed.terms.currency, placed.terms.amount) == ("points", Decimal("0.30"))
    assert (placed.terms.app_identifier, placed.terms.product_identifier) == ("drive", "drive.quota")
    assert msgspec.json.decode(placed.terms.meta or b"") == {"order_id": made["id"], "account_id": PLAIN_ID}
    assert placed.terms.remarks == f"3 GiB of quota, order {made['id']}"
    lifetime = placed.expired_at - datetime.fromisoformat(made["expired_at"])
    assert abs(lifetime) < timedelta(minutes=1)
    assert placed.id not in str(made)


async def test_an_account_without_a_wallet_is_shown_none_and_cannot_pay(api: Api, peers: Peers) -> None:
    peers.world.add(Account("new"), "new-token")
    new = Api(api.session, api.url, "new-token")
    assert (await new.get("/api/billing/offers")).json["balance"] is None
    created = (await new.post("/api/billing/orders", json={"quota_gib": 1})).json
    assert created["balance"] is None
    refused = await pay(new, created["order"])
    assert (refused.status, refused.code) == (409, "CONFLICT")
    assert await status(new, created["order"]) == "unpaid"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"quota_gib": 0}',
        b'{"quota_gib": -1}',
        b'{"quota_gib": 1025}',
        b'{"quota_gib": 1000000000}',
        b'{"quota_gib": 1e100}',
        b'{"quota_gib": 99999999999999999999999}',
        b'{"quota_gib": 1.5}',
        b'{"quota_gib": "1"}',
        b'{"quota_gib": true}',
        b'{"quota_gib": null}',
    ],
)
async def test_silly_orders_are_refused(api: Api, peers: Peers, body: bytes) -> None:
    answer = await api.post("/api/billing/orders", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert not peers.world.ledger.orders


@pytest.mark.parametrize("gib", [1, 1024])
async def test_the_least_and_the_most_are_sold(api: Api, gib: int) -> None:
    made = await order(api, gib)
    assert (made["quota_mib"], Decimal(made["amount"])) == (gib * 1024, gib * Decimal("0.10"))


async def test_nothing_is_sold_without_a_price(settings: Settings, serve_app: Serve, peers: Peers) -> None:
    before = await serve_app(Container(settings=settings))
    made = await order(before)
    asked = peers.world.calls.copy()
    api = await serve_app(Container(settings=replace(settings, quota_price_per_gib="")))
    assert (await api.get("/api/billing/offers")).json == {"offers": [], "balance": None}
    refused = await api.post("/api/billing/orders", json={"quota_gib": 1})
    assert (refused.status, refused.json["detail"]) == (403, "No extra quota is sold here.")
    assert (await pay(api, made)).status == 403
    assert (await api.get("/api/billing/orders")).json == [made]
    assert (await api.delete(f"/api/billing/orders/{made['id']}")).json["status"] == "cancelled"
    for method in (CHARGE, PLACE, WALLET):
        assert peers.world.calls[method] == asked[method]


async def test_orders_that_wait_to_be_paid_are_few(api: Api, rows: Rows, peers: Peers) -> None:
    answers = await asyncio.gather(*(api.post("/api/billing/orders", json={"quota_gib": 1}) for _ in range(25)))
    made = [it.json["order"] for it in answers if it.status == 200]
    assert len(made) == 10
    assert {it.code for it in answers if it.status != 200} == {"CONFLICT"}
    assert await rows.fetchval("select count(*) from quota_orders") == 10
    placed = peers.world.calls[PLACE]
    assert (await api.post("/api/billing/orders", json={"quota_gib": 1})).status == 409
    assert peers.world.calls[PLACE] == placed
    await api.delete(f"/api/billing/orders/{made[0]['id']}")
    await order(api)
    assert (await api.post("/api/billing/orders", json={"quota_gib": 1})).status == 409
    await expire(rows, made[1])
    await order(api)
    await api.signed_in_as("subscriber").post("/api/billing/orders", json={"quota_gib": 1})


async def test_orders_are_listed_page_by_page_newest_first(api: Api, rows: Rows) -> None:
    assert (await api.get("/api/billing/orders")).json == []
    made = [await order(api, n + 1) for n in range(5)]
    await expire(rows, made[0])
    await order(api.signed_in_as("subscriber"))
    pages = [await api.get(f"/api/billing/orders?offset={offset}&take=2") for offset in (0, 2, 4, 6)]
    assert {it.headers["X-Total"] for it in pages} == {"5"}
    listed = [it for page in pages for it in page.json]
    assert [it["id"] for it in listed] == [it["id"] for it in reversed(made)]
    assert [it["status"] for it in listed] == ["unpaid"] * 4 + ["expired"]
    for query in ("take=0", "take=101", "offset=-1", "take=x"):
        assert (await api.get(f"/api/billing/orders?{query}")).status == 400


async def test_orders_are_the_account_s_own(api: Api) -> None:
    made = await order(api)
    other = api.signed_in_as("subscriber")
    path = f"/api/billing/orders/{made['id']}"
    for answer in [await other.get(path), await other.delete(path), await other.post(f"{path}/pay")]:
        assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert (await other.get("/api/billing/orders")).json == []
    assert (await api.signed_in_as(None).get(path)).status == 401
    assert (await api.get(f"/api/billing/orders/{uuid4()}")).status == 404
    assert (await api.get("/api/billing/orders/none")).status == 404
    assert (await api.get(path)).json == made


@pytest.mark.parametrize("method", [WALLET, PLACE])
@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL"])
async def test_nothing_is_ordered_while_pass_is_down(
    api: Api, rows: Rows, peers: Peers, method: str, code: str
) -> None:
    fail(peers, method, code)
    refused = await api.post("/api/billing/orders", json={"quota_gib": 1})
    assert (refused.status, refused.code) == (503, "UNAVAILABLE")
    assert await rows.fetchval("select count(*) from quota_orders") == 0
    peers.world.faults.clear()
    await order(api)


async def test_a_question_that_pass_missed_is_asked_again(api: Api, peers: Peers) -> None:
    """Looking into the wallet changes nothing."""
    fail(peers, WALLET, "UNAVAILABLE", times=1)
    assert (await api.get("/api/billing/offers")).json["balance"] == "100"
    assert peers.world.calls[WALLET] == 2


# ── Paying ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_paid_order_is_quota(api: Api, rows: Rows, peers: Peers, jobs: "Orders") -> None:
    made = await order(api)
    paid = await pay(api, made)
    assert paid.status == 200, paid
    assert paid.json["status"] == "paid"
    assert paid.json["paid_at"] is not None
    assert await status(api, made) == "paid"
    assert await extra_quota(api) == 3072
    assert spent(peers) == Decimal("0.30")
    (moved,) = peers.world.ledger.transactions.values()
    assert (moved.payee_wallet_id, moved.remarks) == (None, f"3 GiB of quota, order {made['id']}")
    assert await rows.fetchval("select transaction_id from quota_orders") == moved.id
    (record,) = (await api.get("/api/billing/quota/records")).json
    assert (record["name"], record["description"], record["quota"]) == ("Order", made["id"], 3072)
    assert record["expired_at"] is None

    (job,) = await waiting_jobs(rows, "withdraw_order")
    await jobs.withdraw(job)
    await jobs.withdraw(job)  # pass declines, and there is nothing left to do
    (placed,) = peers.world.ledger.orders.values()
    assert placed.status == CANCELLED


async def test_paying_again_charges_nothing(api: Api, rows: Rows, peers: Peers) -> None:
    made = await order(api)
    first = await pay(api, made)
    for _ in range(3):
        assert (await pay(api, made)).json == first.json
    assert peers.world.calls[CHARGE] == 1
    assert await records(rows) == [(made["id"], 3072)]


async def test_twenty_payments_at_once_charge_once(api: Api, rows: Rows, peers: Peers) -> None:
    made = await order(api)
    peers.world.faults[CHARGE] = Fault(delay_s=0.2)
    answers = await asyncio.gather(*(pay(api, made) for _ in range(20)))
    assert [it.json["status"] for it in answers if it.status == 200] == ["paid"]
    others = [it for it in answers if it.status != 200]
    assert {(it.status, it.code, it.headers["Retry-After"]) for it in others} == {(409, "CONFLICT", "2")}
    assert peers.world.calls[CHARGE] == 1
    assert spent(peers) == Decimal("0.30")
    assert await records(rows) == [(made["id"], 3072)]


async def test_orders_of_one_wallet_paid_at_once_take_no_more_than_it_holds(
    api: Api, rows: Rows, peers: Peers, settings: Settings, serve_app: Serve
) -> None:
    api = await serve_app(Container(settings=replace(settings, quota_price_per_gib="30")))
    made = [await order(api, 1) for _ in range(8)]
    answers = await asyncio.gather(*(pay(api, it) for it in made))
    assert sorted(it.status for it in answers) == [200] * 3 + [409] * 5
    assert spent(peers) == 90
    assert len(await records(rows)) == 3
    assert await extra_quota(api) == 3 * 1024
    assert sorted([await status(api, it) for it in made]) == ["paid"] * 3 + ["unpaid"] * 5


async def test_a_wallet_with_too_little_is_not_charged(
    peers: Peers, settings: Settings, serve_app: Serve, rows: Rows
) -> None:
    api = await serve_app(Container(settings=replace(settings, quota_price_per_gib="100.00000001")))
    made = await order(api, 1)
    refused = await pay(api, made)
    assert (refused.status, refused.code) == (409, "CONFLICT")
    assert refused.json["detail"] == "This order is 100.00000001 points; your wallet holds 100."
    assert peers.world.calls[CHARGE] == 0
    assert await status(api, made) == "unpaid"
    peers.world.ledger.wallet_of(PLAIN_ID).pocket("points").amount += Decimal("0.00000001")
    assert (await pay(api, made)).status == 200
    assert spent(peers) == 100
    assert len(await records(rows)) == 1


async def test_another_currency_is_another_pocket(peers: Peers, settings: Settings, serve_app: Serve) -> None:
    api = await serve_app(Container(settings=replace(settings, quota_currency="shells")))
    made = await order(api, 1)
    assert (await api.get("/api/billing/offers")).json["balance"] == "0"
    assert (await pay(api, made)).status == 409
    peers.world.ledger.wallet_of(PLAIN_ID).pocket("shells").amount += 1
    assert (await pay(api, made)).status == 200
    assert (await api.get("/api/billing/offers")).json["balance"] == "0.90"


async def test_an_order_keeps_its_price(settings: Settings, serve_app: Serve, api: Api, peers: Peers) -> None:
    made = await order(api)
    dearer = await serve_app(Container(settings=replace(settings, quota_price_per_gib="9", quota_currency="golds")))
    assert (await pay(dearer, made)).json["amount"] == "0.30"
    assert spent(peers) == Decimal("0.30")


@pytest.mark.parametrize(
    "code", ["FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "UNIMPLEMENTED"]
)
async def test_a_payment_that_pass_refuses_can_be_tried_again(
    api: Api, rows: Rows, peers: Peers, jobs: "Orders", code: str
) -> None:
    made = await order(api)
    fail(peers, CHARGE, code)
    refused = await pay(api, made)
    assert (refused.status, refused.code) == (409, "CONFLICT")
    assert "nothing was taken" in refused.json["detail"]
    assert await status(api, made) == "unpaid"
    (job,) = await waiting_jobs(rows, "doubt_payment")
    await jobs.doubt(job)
    assert await status(api, made) == "unpaid"
    peers.world.faults.clear()
    assert (await pay(api, made)).status == 200
    assert await extra_quota(api) == 3072


async def test_nothing_is_charged_while_pass_is_down(api: Api, peers: Peers, rows: Rows) -> None:
    made = await order(api)
    await peers.pass_peer.stop()
    refused = await pay(api, made)
    assert (refused.status, refused.code) == (503, "UNAVAILABLE")
    assert int(refused.headers["Retry-After"]) > 0
    assert await status(api, made) == "unpaid"
    assert await waiting_jobs(rows, "doubt_payment") == []
    await peers.pass_peer.start()

    async def is_paid() -> bool:
        return (await pay(api, made)).status == 200

    await eventually(is_paid)  # gRPC connects again after a pause
    assert peers.world.calls[CHARGE] == 1


# ── Where nobody knows ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", ["DEADLINE_EXCEEDED", "UNAVAILABLE", "UNKNOWN", "INTERNAL", "CANCELLED"])
@pytest.mark.parametrize("is_late", [False, True])
async def test_a_payment_without_an_answer_is_kept_for_an_operator(
    api: Api, rows: Rows, peers: Peers, jobs: "Orders", code: str, *, is_late: bool
) -> None:
    made = await order(api)
    fail(peers, CHARGE, code, is_late=is_late)
    with capture_logs() as lines:
        unclear = await pay(api, made)
    assert (unclear.status, unclear.code) == (503, "UNAVAILABLE")
    assert "unconfirmed" in unclear.json["detail"]
    assert {
        "event": "Payment unconfirmed",
        "log_level": "error",
        "order_id": made["id"],
        "account_id": PLAIN_ID,
        "amount": "0.30",
        "currency": "points",
    } in [{k: v for k, v in it.items() if k != "request_id"} for it in lines]
    peers.world.faults.clear()
    for job in await waiting_jobs(rows, "doubt_payment"):
        await jobs.doubt(job)
    assert await status(api, made) == "unconfirmed"
    for again in [await pay(api, made), await api.delete(f"/api/billing/orders/{made['id']}")]:
        assert (again.status, again.code) == (409, "CONFLICT")
    assert peers.world.calls[CHARGE] == 1
    assert await extra_quota(api) == 0

    was_paid = spent(peers) > 0
    assert was_paid is is_late
    admin = api.signed_in_as("admin")
    answers = await asyncio.gather(*(settle(admin, made, is_paid=was_paid) for _ in range(10)))
    assert {it.status for it in answers} == {200}
    assert (await settle(admin, made, is_paid=not was_paid)).status == 409
    assert await extra_quota(api) == (3072 if was_paid else 0)
    if not was_paid:
        assert (await pay(api, made)).status == 200
    assert spent(peers) == Decimal("0.30")
    assert await records(rows) == [(made["id"], 3072)]


async def test_a_call_beyond_its_deadline_is_not_sent_again(
    settings: Settings, serve_app: Serve, peers: Peers, rows: Rows
) -> None:
    api = await serve_app(Container(settings=replace(settings, grpc_deadline_s=0.5)))
    made = await order(api)
    peers.world.faults[CHARGE] = Fault(delay_s=30, is_late=True)
    assert (await pay(api, made)).status == 503
    assert await status(api, made) == "unconfirmed"
    assert peers.world.calls[CHARGE] == 1
    assert await records(rows) == []


async def test_a_crash_between_payment_and_record_is_found_by_the_job(
    api: Api, rows: Rows, peers: Peers, jobs: "Orders", settings: Settings
) -> None:
    made = await order(api)
    dying = Container(settings=settings)
    peers.world.faults[CHARGE] = Fault(delay_s=60, is_late=True)
    async with lifespan(dying):
        paying = asyncio.create_task(dying.orders().pay(*ids(made)))
        await eventually(lambda: spent(peers) > 0)
        (charging,) = dying.orders()._charging
        charging.cancel()
        await asyncio.wait([paying, charging])
    assert await status(api, made) == "paying"
    assert (await pay(api, made)).status == 409
    (job,) = await waiting_jobs(rows, "doubt_payment")
    assert job["is_later"]
    with capture_logs() as lines:
        await jobs.doubt(job)
        await jobs.doubt(job)
    assert [it["order_id"] for it in lines if it["event"] == "Payment unconfirmed"] == [made["id"]]
    assert (await pay(api, made)).status == 409
    assert peers.world.calls[CHARGE] == 1
    assert (await settle(api.signed_in_as("admin"), made, is_paid=True)).json["status"] == "paid"
    assert await records(rows) == [(made["id"], 3072)]


async def test_a_client_that_goes_away_has_paid_all_the_same(
    api: Api, peers: Peers, rows: Rows, jobs: "Orders"
) -> None:
    made = await order(api)
    peers.world.faults[CHARGE] = Fault(delay_s=0.3)
    leaving = asyncio.create_task(jobs.pay(*ids(made)))
    await eventually(lambda: peers.world.calls[CHARGE])
    leaving.cancel()
    await asyncio.wait([leaving])
    assert leaving.cancelled()

    async def is_paid() -> bool:
        return await status(api, made) == "paid"

    await eventually(is_paid)
    assert await records(rows) == [(made["id"], 3072)]
    await eventually(lambda: not jobs._charging)


async def test_a_request_that_comes_back_late_knows_better_than_the_job(
    api: Api, peers: Peers, rows: Rows, jobs: "Orders"
) -> None:
    made = await order(api)
    peers.world.faults[CHARGE] = Fault(delay_s=0.5)
    paying = asyncio.create_task(pay(api, made))
    await eventually(lambda: peers.world.calls[CHARGE])
    (job,) = await waiting_jobs(rows, "doubt_payment")
    await jobs.doubt(job)
    assert await status(api, made) == "unconfirmed"
    assert (await paying).json["status"] == "paid"
    await jobs.doubt(job)
    assert await records(rows) == [(made["id"], 3072)]


@pytest.mark.usefixtures("_no_pauses")
async def test_a_database_that_is_gone_for_a_moment_loses_no_payment(
    settings: Settings, serve_app: Serve, peers: Peers, rows: Rows
) -> None:
    container = Container(settings=settings)
    database = counting(container)
    api = await serve_app(container)
    made = await order(api)
    fetchrow, failures = database.fetchrow, 3

    async def flaky(query: str, *args: Any) -> Any:
        nonlocal failures
        if query == QUERIES["end_payment"] and failures:
            failures -= 1
            raise DriveError(Code.UNAVAILABLE, "The database cannot be reached.")
        return await fetchrow(query, *args)

    object.__setattr__(container.orders(), "_database", _With(database, flaky))
    assert (await pay(api, made)).json["status"] == "paid"
    assert failures == 0
    assert peers.world.calls[CHARGE] == 1
    assert await records(rows) == [(made["id"], 3072)]

    again, failures = await order(api), 1000
    with capture_logs() as lines:
        assert (await pay(api, again)).status == 503
    (line,) = [it for it in lines if it["event"] == "Payment not recorded"]
    assert line["order_id"] == again["id"]
    assert line["transaction_id"] in peers.world.ledger.transactions
    assert await status(api, again) == "paying"


class _With:
    """A database one of whose methods is another."""

    def __init__(self, database: Any, fetchrow: Any) -> None:
        self._database, self.fetchrow = database, fetchrow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


async def test_only_an_operator_settles(api: Api, peers: Peers) -> None:
    made = await order(api)
    fail(peers, CHARGE, "DEADLINE_EXCEEDED")
    await pay(api, made)
    subscriber = api.signed_in_as("subscriber")
    for other in (api, subscriber):
        assert (await settle(other, made, is_paid=True)).status == 403
    assert await extra_quota(api) == 0
    peers.world.grant(SUBSCRIBER_ID, "billing.orders.settle")
    settled = await settle(subscriber, made, is_paid=True)
    assert (settled.status, settled.json["account_id"]) == (200, PLAIN_ID)
    await eventually(lambda: [it for it in peers.world.action_logs if it.action == "billing.settle"])
    entry = peers.world.action_logs[-1]
    assert (entry.account_id, entry.meta) == (SUBSCRIBER_ID, {"order_id": made["id"], "is_paid": True})
    admin = api.signed_in_as("admin")
    assert (await admin.post(f"/api/billing/orders/{uuid4()}/settle", json={"is_paid": True})).status == 404
    wrong: list[Any] = [{}, {"is_paid": None}, {"is_paid": "yes"}, []]
    for body in wrong:
        assert (await admin.post(f"/api/billing/orders/{made['id']}/settle", json=body)).status == 400


async def test_orders_that_are_certain_are_not_settled_otherwise(api: Api) -> None:
    admin = api.signed_in_as("admin")
    paid, unpaid, cancelled = [await order(api, n) for n in (1, 2, 3)]
    await pay(api, paid)
    await api.delete(f"/api/billing/orders/{cancelled['id']}")
    assert (await settle(admin, paid, is_paid=False)).status == 409
    assert (await settle(admin, unpaid, is_paid=True)).status == 409
    assert (await settle(admin, cancelled, is_paid=True)).status == 409
    assert await extra_quota(api) == 1024


# ── Ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_expired_order_is_not_paid(api: Api, rows: Rows, peers: Peers) -> None:
    made = await order(api)
    await expire(rows, made)
    assert await status(api, made) == "expired"
    for answer in [await pay(api, made), await api.delete(f"/api/billing/orders/{made['id']}")]:
        assert (answer.status, answer.code) == (409, "CONFLICT")
        assert answer.json["detail"] == "This order is expired. Create a new one."
    assert peers.world.calls[CHARGE] == 0
    assert await extra_quota(api) == 0


async def test_a_cancelled_order_is_withdrawn_also_where_pass_is_down(
    api: Api, rows: Rows, peers: Peers, jobs: "Orders"
) -> None:
    made = await order(api)
    fail(peers, WITHDRAW, "UNAVAILABLE")
    for _ in range(2):
        assert (await api.delete(f"/api/billing/orders/{made['id']}")).json["status"] == "cancelled"
    assert (await pay(api, made)).status == 409
    (job,) = await waiting_jobs(rows, "withdraw_order")
    with pytest.raises(DriveError) as caught:
        await jobs.withdraw(job)
    assert caught.value.code is Code.UNAVAILABLE
    (placed,) = peers.world.ledger.orders.values()
    assert placed.status == UNPAID
    peers.world.faults.clear()
    await jobs.withdraw(job)
    assert placed.status == CANCELLED
    assert spent(peers) == 0


async def test_paying_and_cancelling_at_once_is_one_of_them(api: Api, peers: Peers, rows: Rows) -> None:
    for n in range(10):
        made = await order(api, n + 1)
        paid, cancelled = await asyncio.gather(pay(api, made), api.delete(f"/api/billing/orders/{made['id']}"))
        assert sorted([paid.status, cancelled.status]) == [200, 409]
        assert await status(api, made) == ("paid" if paid.status == 200 else "cancelled")
    assert spent(peers) == sum((Decimal(mib) for _, mib in await records(rows)), Decimal(0)) / 10240


async def test_the_worker_does_the_jobs(api: Api, rows: Rows, peers: Peers, worker: Any) -> None:
    paid, cancelled = await order(api), await order(api)
    await pay(api, paid)
    await api.delete(f"/api/billing/orders/{cancelled['id']}")
    await rows.execute("update jobs set run_at = now()")
    await worker.run_once()
    assert await rows.fetchval("select count(*) from jobs") == 0
    assert {it.status for it in peers.world.ledger.orders.values()} == {CANCELLED}


# ── What it costs ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_orders_ask_the_database_this_often(settings: Settings, serve_app: Serve) -> None:
    container = Container(settings=settings)
    database = counting(container)
    api = await serve_app(container)
    made = await order(api)
    path = f"/api/billing/orders/{made['id']}"
    requests: list[tuple[int, Callable[[], Awaitable[Any]]]] = [
        (0, lambda: api.get("/api/billing/offers")),
        (5, lambda: order(api)),  # how many wait; begin, lock, insert, commit
        (1, lambda: api.get("/api/billing/orders")),
        (1, lambda: api.get(path)),
        (3, lambda: pay(api, made)),  # the order; it is being paid; it is paid
        (1, lambda: pay(api, made)),
        (2, lambda: api.delete(path)),
    ]
    for most, request in requests:
        with database.counted() as statements:
            await request()
        assert len(statements) == most, statements


@pytest.mark.own_database
async def test_each_query_runs_on_an_index(rows: Rows) -> None:
    await rows.execute(
        """
        insert into quota_orders (id, account_id, quota_mib, amount, currency, payment_order_id, expired_at, status)
        select gen_random_uuid(), case when n % 20 = 0 then $1::uuid else gen_random_uuid() end, 1, 1, 'points', 'x',
            now() + make_interval(secs => n), case when n % 40 = 0 then 'unpaid' else 'paid' end
        from generate_series(1, 20000) n
        """,
        PLAIN_ID,
    )
    await rows.execute("analyze quota_orders")
    one = await rows.fetchval("select id from quota_orders limit 1")

    async def plan(query: str, *args: Any) -> str:
        return "\n".join(row[0] for row in await rows.fetch(f"explain (analyze) {query}", *args))

    plans = {
        "listed": await plan(QUERIES["orders"], PLAIN_ID, 0, 20),
        "unpaid": await plan(QUERIES["unpaid_orders"], PLAIN_ID),
        "one": await plan(QUERIES["order"], one, PLAIN_ID),
        "begin": await plan(QUERIES["begin_payment"], one, PLAIN_ID, 60),
        "end": await plan(QUERIES["end_payment"], one, "t", ["paying"]),
        "doubt": await plan(QUERIES["doubt_payment"], one),
    }
    for name, found in plans.items():
        assert "Seq Scan on quota_orders" not in found, f"{name}\n{found}"


@pytest.mark.parametrize(
    "price", ["0", "0.00", "-1", "+1", "1e3", "1.", ".5", "NaN", "1,5", "1 ", "٣", "1.2.3", "9" * 10]
)
def test_a_price_is_a_plain_decimal_number(price: str) -> None:
    with pytest.raises(SettingsError, match="DRIVE_QUOTA_PRICE_PER_GIB"):
        load({"DRIVE_QUOTA_PRICE_PER_GIB": price})


@pytest.mark.parametrize("price", ["", "1", "0.5", "999999999.99999999", "0.00000001"])
def test_a_price_is_taken_as_it_is(price: str) -> None:
    assert load({"DRIVE_QUOTA_PRICE_PER_GIB": price}).quota_price_per_gib == price


def test_a_currency_has_a_name() -> None:
    with pytest.raises(SettingsError, match="DRIVE_QUOTA_CURRENCY"):
        load({"DRIVE_QUOTA_CURRENCY": ""})
