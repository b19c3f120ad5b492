from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import StringValue
from grpc import StatusCode
from peers_support import NOBODY_ID, Live, live_peers, refused

from drive.peers import Account
from drive.peers.seed import ADMIN_ID, PLAIN_ID
from drive.proto import wallet_pb2 as wire


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    async with live_peers() as live:
        yield live


async def balances(live: Live, account_id: str) -> dict[str, str]:
    wallet = await live.wallets.GetWallet(wire.GetWalletRequest(account_id=account_id))
    return {pocket.currency: pocket.amount for pocket in wallet.pockets}


async def wallet_id(live: Live, account_id: str) -> str:
    return (await live.wallets.GetWallet(wire.GetWalletRequest(account_id=account_id))).id


async def test_the_accounts_have_money(live: Live) -> None:
    assert await balances(live, PLAIN_ID) == {"points": "100", "golds": "100"}


async def test_a_new_account_gets_one_wallet(live: Live) -> None:
    new = live.world.add(Account("new"), "new-token")
    with refused(StatusCode.NOT_FOUND):
        await live.wallets.GetWallet(wire.GetWalletRequest(account_id=new.id))
    created = await live.wallets.CreateWallet(wire.CreateWalletRequest(account_id=new.id))
    assert created.account_id == new.id
    with refused(StatusCode.FAILED_PRECONDITION):
        await live.wallets.CreateWallet(wire.CreateWalletRequest(account_id=new.id))


async def test_a_pocket_starts_once(live: Live) -> None:
    request = wire.GetOrCreateWalletPocketRequest(
        wallet_id=await wallet_id(live, PLAIN_ID), currency="shells", initial_amount="2.50"
    )
    first = await live.wallets.GetOrCreateWalletPocket(request)
    request.initial_amount = "9"
    again = await live.wallets.GetOrCreateWalletPocket(request)
    assert (first.amount, again.amount, again.id) == ("2.50", "2.50", first.id)


async def test_an_order_is_placed_paid_and_refunded(live: Live) -> None:
    payee, payer = await wallet_id(live, ADMIN_ID), await wallet_id(live, PLAIN_ID)
    order = await live.payments.CreateOrder(
        wire.CreateOrderRequest(payee_wallet_id=payee, currency="points", amount="12.50", remarks="Quota", meta=b"{}")
    )
    assert (order.status, order.amount, order.remarks.value) == (wire.ORDER_STATUS_UNPAID, "12.50", "Quota")
    assert order.payee_wallet_id.value == payee
    assert not order.HasField("transaction")

    live.world.ledger.pay(order.id, payer)
    assert await balances(live, PLAIN_ID) == {"points": "87.50", "golds": "100"}
    with refused(StatusCode.FAILED_PRECONDITION):
        await live.payments.CancelOrder(wire.CancelOrderRequest(order_id=order.id))

    refund = await live.payments.RefundOrder(wire.RefundOrderRequest(order_id=order.id))
    assert refund.refund_transaction.payee_wallet_id.value == payer
    assert refund.order.transaction.payee_wallet_id.value == payee
    assert (await balances(live, PLAIN_ID))["points"] == "100.00"
    with refused(StatusCode.FAILED_PRECONDITION):
        await live.payments.RefundOrder(wire.RefundOrderRequest(order_id=order.id))


async def test_an_unpaid_order_is_cancelled_once(live: Live) -> None:
    order = await live.payments.CreateOrder(wire.CreateOrderRequest(currency="points", amount="1"))
    cancelled = await live.payments.CancelOrder(wire.CancelOrderRequest(order_id=order.id))
    assert cancelled.status == wire.ORDER_STATUS_CANCELLED
    with refused(StatusCode.FAILED_PRECONDITION):
        await live.payments.CancelOrder(wire.CancelOrderRequest(order_id=order.id))


async def test_an_order_expires(live: Live) -> None:
    request = wire.CreateOrderRequest(currency="points", amount="1", expiration=Duration(seconds=60))
    order = await live.payments.CreateOrder(request)
    until_then = order.expired_at.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(seconds=50) < until_then <= timedelta(seconds=60)
    live.world.ledger.orders[order.id].expired_at -= timedelta(seconds=61)
    with refused(StatusCode.FAILED_PRECONDITION):
        await live.payments.CancelOrder(wire.CancelOrderRequest(order_id=order.id))
    assert live.world.ledger.orders[order.id].status == wire.ORDER_STATUS_EXPIRED


async def test_only_a_reusable_order_is_the_same_again(live: Live) -> None:
    request = wire.CreateOrderRequest(currency="points", amount="1", product_identifier="quota")
    first, second = [await live.payments.CreateOrder(request) for _ in range(2)]
    request.reuseable = True
    third = await live.payments.CreateOrder(request)
    request.amount = "2"
    other = await live.payments.CreateOrder(request)
    assert first.id != second.id
    assert third.id == first.id
    assert other.id not in {first.id, second.id}


@pytest.mark.parametrize("amount", ["", "-1", "1e3", "NaN", "٣", "1.123456789", "9" * 16, "1 "])
async def test_an_amount_is_a_plain_decimal_number(live: Live, amount: str) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        await live.payments.CreateOrder(wire.CreateOrderRequest(currency="points", amount=amount))


async def test_a_transfer_moves_money(live: Live) -> None:
    request = wire.TransferRequest(
        payer_account_id=PLAIN_ID, payee_account_id=ADMIN_ID, currency="points", amount="0.01"
    )
    transaction = await live.payments.Transfer(request)
    assert transaction.type == wire.TRANSACTION_TYPE_TRANSFER
    assert (await balances(live, PLAIN_ID))["points"] == "99.99"
    assert (await balances(live, ADMIN_ID))["points"] == "10000.01"


async def test_the_system_pays_and_is_paid(live: Live) -> None:
    give = wire.CreateTransactionRequest(
        payee_wallet_id=StringValue(value=await wallet_id(live, PLAIN_ID)),
        currency="points",
        amount="5",
        type=wire.TRANSACTION_TYPE_SYSTEM,
        remarks=StringValue(value="Gift"),
    )
    given = await live.payments.CreateTransaction(give)
    assert not given.HasField("payer_wallet_id")
    assert (given.remarks.value, given.type) == ("Gift", wire.TRANSACTION_TYPE_SYSTEM)
    take = wire.CreateTransactionWithAccountRequest(
        payer_account_id=StringValue(value=PLAIN_ID), currency="points", amount="105"
    )
    taken = await live.payments.CreateTransactionWithAccount(take)
    assert not taken.HasField("payee_wallet_id")
    assert (await balances(live, PLAIN_ID))["points"] == "0"


async def test_nobody_pays_more_than_they_have(live: Live) -> None:
    request = wire.TransferRequest(
        payer_account_id=PLAIN_ID, payee_account_id=ADMIN_ID, currency="points", amount="100.01"
    )
    with refused(StatusCode.FAILED_PRECONDITION):
        await live.payments.Transfer(request)
    assert (await balances(live, PLAIN_ID))["points"] == "100"
    assert (await balances(live, ADMIN_ID))["points"] == "10000"


@pytest.mark.parametrize(
    ("payee", "currency", "amount", "code"),
    [
        (PLAIN_ID, "points", "1", StatusCode.INVALID_ARGUMENT),
        (ADMIN_ID, "", "1", StatusCode.INVALID_ARGUMENT),
        (ADMIN_ID, "points", "0", StatusCode.INVALID_ARGUMENT),
        ("admin", "points", "1", StatusCode.INVALID_ARGUMENT),
        (NOBODY_ID, "points", "1", StatusCode.NOT_FOUND),
    ],
)
async def test_transfers_that_make_no_sense(
    live: Live, payee: str, currency: str, amount: str, code: StatusCode
) -> None:
    request = wire.TransferRequest(payer_account_id=PLAIN_ID, payee_account_id=payee, currency=currency, amount=amount)
    with refused(code):
        await live.payments.Transfer(request)


@pytest.mark.parametrize(("order_id", "code"), [("1", StatusCode.INVALID_ARGUMENT), (NOBODY_ID, StatusCode.NOT_FOUND)])
async def test_orders_that_are_not_there(live: Live, order_id: str, code: StatusCode) -> None:
    with refused(code):
        await live.payments.CancelOrder(wire.CancelOrderRequest(order_id=order_id))
    with refused(code):
        await live.payments.RefundOrder(wire.RefundOrderRequest(order_id=order_id))


@pytest.mark.parametrize("seconds", [-1, 0, 10**11])
async def test_an_order_lives_for_a_sensible_time(live: Live, seconds: int) -> None:
    request = wire.CreateOrderRequest(currency="points", amount="1", expiration=Duration(seconds=seconds))
    with refused(StatusCode.INVALID_ARGUMENT):
        await live.payments.CreateOrder(request)


async def test_funds_are_answered_as_a_test_put_them(live: Live) -> None:
    with refused(StatusCode.NOT_FOUND):
        await live.payments.GetWalletFund(wire.GetWalletFundRequest(fund_id=NOBODY_ID))
    live.world.ledger.funds[NOBODY_ID] = wire.WalletFund(id=NOBODY_ID, total_amount="10")
    fund = await live.payments.GetWalletFund(wire.GetWalletFundRequest(fund_id=NOBODY_ID))
    assert fund.total_amount == "10"
