"""Extra quota for money."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

import structlog

from drive.billing.interfaces import MOST_GIB, CreatedOrder, Offer, Offers, OrderStatus, QuotaOrder
from drive.billing.service import QUERIES
from drive.clients.accounts import Account, AccountsClient
from drive.clients.errors import RefusedError, UnconfirmedError
from drive.clients.payments import PaymentsClient
from drive.clients.wallets import WalletsClient
from drive.db.database import Database
from drive.errors import Code, DriveError, not_found

log = structlog.get_logger()

T = TypeVar("T")

PERMISSION = "billing.orders.settle"

_PRODUCT = "drive.quota"
_MIB_PER_GIB = 1024
_MOST_UNPAID = 10
_RETRY_AFTER_S = 2
_DOUBT_AFTER_S = 60.0  # beyond the deadline of the call to pass: for the request to write down what came of it
_WRITE_ATTEMPTS = 6  # over some 30 s
_FIRST_PAUSE_S = 1.0
_AWAITING = ["paying", "unconfirmed"]  # a request that knows more than the job that doubted it is right


class Orders:
    """Sells quota, which is there once the account's wallet has paid.

    Pass cannot be asked whether it took a payment, nor knows a second attempt for what it is. So the order's row says
    what may have been asked, before it is: an order is charged by whoever turns it from unpaid to paying, and by nobody
    again until pass has refused. Where the answer is lost it stays unconfirmed until somebody who can look into pass
    settles it.
    """

    def __init__(
        self,
        *,
        database: Database,
        accounts: AccountsClient,
        payments: PaymentsClient,
        wallets: WalletsClient,
        price_per_gib: str,
        currency: str,
        lifetime_s: int,
        deadline_s: float,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._payments = payments
        self._wallets = wallets
        self._price_per_gib = Decimal(price_per_gib) if price_per_gib else None
        self._currency = currency
        self._lifetime_s = lifetime_s
        self._doubt_after_s = deadline_s + _DOUBT_AFTER_S
        self._charging: set[asyncio.Task[QuotaOrder]] = set()

    async def offers(self, account_id: UUID) -> Offers:
        """Return what is sold; nothing where the settings give no price.

        Raises:
            DriveError: UNAVAILABLE, when pass cannot say what the account has.

        """
        if self._price_per_gib is None:
            return Offers(offers=[], balance=None)
        offer = Offer(
            quota_mib=_MIB_PER_GIB, amount=f"{self._price_per_gib:f}", currency=self._currency, most_gib=MOST_GIB
        )
        return Offers(offers=[offer], balance=_text(await self._wallets.balance(account_id, self._currency)))

    async def create(self, account_id: UUID, quota_gib: int) -> CreatedOrder:
        """Order quota, at today's price.

        Raises:
            DriveError: FORBIDDEN, where none is sold; CONFLICT, where too many orders wait to be paid; UNAVAILABLE.

        """
        amount = self._price() * quota_gib
        if await self._database.fetchval(QUERIES["unpaid_orders"], account_id) >= _MOST_UNPAID:
            raise _too_many()
        balance = await self._wallets.balance(account_id, self._currency)
        order_id = uuid4()
        payment_order_id = await self._payments.place(
            _PRODUCT,
            amount,
            self._currency,
            lifetime_s=self._lifetime_s,
            remarks=_remarks(order_id, quota_gib * _MIB_PER_GIB),
            meta={"order_id": str(order_id), "account_id": str(account_id)},
        )
        values = (quota_gib * _MIB_PER_GIB, amount, self._currency, payment_order_id, self._lifetime_s, _MOST_UNPAID)
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["lock_orders"], account_id)
            row = await connection.fetchrow(QUERIES["add_order"], order_id, account_id, *values)
        if row is None:
            raise _too_many()
        return CreatedOrder(order=QuotaOrder.from_row(row), balance=_text(balance))

    async def mine(self, account_id: UUID, *, offset: int, take: int) -> tuple[list[QuotaOrder], int]:
        """Return a page of the account's orders, newest first, and how many there are in all."""
        rows = await self._database.fetch(QUERIES["orders"], account_id, offset, take)
        return [QuotaOrder.from_row(row) for row in rows if row["id"] is not None], rows[0]["total"]

    async def get(self, account_id: UUID, order_id: UUID) -> QuotaOrder:
        """Return an order of the account.

        Raises:
            DriveError: NOT_FOUND; another account's order is as good as absent.

        """
        return await self._get(order_id, account_id)

    async def cancel(self, account_id: UUID, order_id: UUID) -> QuotaOrder:
        """Give up an order that is not paid; doing so again changes nothing.

        Raises:
            DriveError: NOT_FOUND; CONFLICT.

        """
        row = await self._database.fetchrow(QUERIES["cancel_order"], order_id, account_id)
        if row is not None:
            return QuotaOrder.from_row(row)
        order = await self._get(order_id, account_id)
        if order.status is not OrderStatus.CANCELLED:
            raise _not_open(order.status)
        return order

    async def pay(self, account_id: UUID, order_id: UUID) -> QuotaOrder:
        """Pay an order from the account's wallet; one that is paid already is returned as it is.

        A request that goes away meanwhile does not stop the payment.

        Raises:
            DriveError: FORBIDDEN, where none is sold; NOT_FOUND; CONFLICT, where the order can no longer be paid, is
                being paid, or the wallet has too little; UNAVAILABLE, where pass cannot be asked (nothing was taken) or
                did not answer (the order is unconfirmed then).

        """
        self._price()
        order = await self._get(order_id, account_id)
        if order.status is OrderStatus.UNPAID:
            await self._check_wallet(order)
            if await self._database.fetchval(QUERIES["begin_payment"], order_id, account_id, self._doubt_after_s):
                return await self._charged(order)
            order = await self._get(order_id, account_id)
        if order.status is not OrderStatus.PAID:
            raise _not_open(order.status)
        return order

    async def settle(self, account: Account, order_id: UUID, *, is_paid: bool) -> QuotaOrder:
        """Write down what became of an unconfirmed payment; saying the same again changes nothing.

        Raises:
            DriveError: FORBIDDEN, for all but superusers and those with the permission; NOT_FOUND; CONFLICT, where the
                order is not unconfirmed; UNAVAILABLE, where pass cannot say who may.

        """
        if not account.is_superuser and not await self._accounts.has_permission(account.id, PERMISSION):
            raise DriveError(Code.FORBIDDEN, f"This takes the permission {PERMISSION!r}.")
        args = ("end_payment", order_id, None) if is_paid else ("undo_payment", order_id)
        row = await self._database.fetchrow(QUERIES[args[0]], *args[1:], ["unconfirmed"])
        if row is not None:
            return QuotaOrder.from_row(row)
        order = await self._get(order_id, None)
        if (order.status is OrderStatus.PAID) is not is_paid or order.status is OrderStatus.PAYING:
            raise DriveError(Code.CONFLICT, f"This order is {order.status.value}; only an unconfirmed one is settled.")
        return order

    async def doubt(self, payload: dict[str, Any]) -> None:
        """Do the job `doubt_payment`: a payment whose request never came back has an unknown end."""
        row = await self._database.fetchrow(QUERIES["doubt_payment"], UUID(payload["order_id"]))
        if row is not None:
            _log_unconfirmed(row["id"], row["account_id"], f"{row['amount']:f}", row["currency"])

    async def withdraw(self, payload: dict[str, Any]) -> None:
        """Do the job `withdraw_order`: nobody shall pay in pass what is paid or cancelled here."""
        if not await self._payments.withdraw(payload["payment_order_id"]):
            log.info("Order closed already", payment_order_id=payload["payment_order_id"])

    def _price(self) -> Decimal:
        if self._price_per_gib is None:
            raise DriveError(Code.FORBIDDEN, "No extra quota is sold here.")
        return self._price_per_gib

    async def _get(self, order_id: UUID, account_id: UUID | None) -> QuotaOrder:
        row = await self._database.fetchrow(QUERIES["order"], order_id, account_id)
        if row is None:
            raise not_found("Order")
        return QuotaOrder.from_row(row)

    async def _check_wallet(self, order: QuotaOrder) -> None:
        """Refuse what pass would refuse, and find out whether it answers before anything depends on it."""
        balance = await self._wallets.balance(order.account_id, order.currency)
        if balance is None:
            raise DriveError(Code.CONFLICT, "You have no wallet to pay from.")
        if balance < Decimal(order.amount):
            message = f"This order is {order.amount} {order.currency}; your wallet holds {balance:f}."
            raise DriveError(Code.CONFLICT, message)

    async def _charged(self, order: QuotaOrder) -> QuotaOrder:
        """Charge in a task of its own, which goes on where the request is cancelled."""
        task = asyncio.create_task(self._charge(order), name=f"charge order {order.id}")
        self._charging.add(task)
        task.add_done_callback(self._charging.discard)
        return await asyncio.shield(task)

    async def _charge(self, order: QuotaOrder) -> QuotaOrder:
        remarks = _remarks(order.id, order.quota_mib)
        try:
            transaction_id = await self._payments.charge(
                order.account_id, Decimal(order.amount), order.currency, remarks=remarks
            )
        except RefusedError as error:
            await _insisting(lambda: self._database.fetchrow(QUERIES["undo_payment"], order.id, _AWAITING))
            message = "Pass refused the payment, and nothing was taken. Look at your wallet, and try again."
            raise DriveError(Code.CONFLICT, message) from error
        except UnconfirmedError as error:
            await self.doubt({"order_id": str(order.id)})
            raise _unconfirmed() from error
        try:
            row = await _insisting(
                lambda: self._database.fetchrow(QUERIES["end_payment"], order.id, transaction_id, _AWAITING)
            )
        except DriveError:
            log.error("Payment not recorded", order_id=str(order.id), transaction_id=transaction_id)  # noqa: TRY400 - known
            raise
        return QuotaOrder.from_row(row) if row is not None else await self._get(order.id, order.account_id)


async def _insisting(write: Callable[[], Awaitable[T]]) -> T:
    """Write what only this process knows, also where the database is gone for a moment. It may be written twice."""
    for attempt in range(_WRITE_ATTEMPTS - 1):
        try:
            return await write()
        except DriveError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
            await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
    return await write()


def _not_open(status: OrderStatus) -> DriveError:
    if status is OrderStatus.PAYING:
        return DriveError(Code.CONFLICT, "This order is being paid right now.", retry_after_s=_RETRY_AFTER_S)
    if status is OrderStatus.UNCONFIRMED:
        return DriveError(Code.CONFLICT, _UNCONFIRMED)
    return DriveError(Code.CONFLICT, f"This order is {status.value}. Create a new one.")


_UNCONFIRMED = (
    "Pass did not say whether it took the payment. The order is unconfirmed: it is not charged again, and an operator "
    "settles it."
)


def _unconfirmed() -> DriveError:
    return DriveError(Code.UNAVAILABLE, _UNCONFIRMED)


def _too_many() -> DriveError:
    return DriveError(Code.CONFLICT, f"{_MOST_UNPAID} orders wait to be paid. Pay or cancel one first.")


def _log_unconfirmed(order_id: UUID, account_id: UUID, amount: str, currency: str) -> None:
    log.error(
        "Payment unconfirmed", order_id=str(order_id), account_id=str(account_id), amount=amount, currency=currency
    )


def _remarks(order_id: UUID, quota_mib: int) -> str:
    """Return what an operator finds the order by among the transactions in pass."""
    return f"{quota_mib // _MIB_PER_GIB} GiB of quota, order {order_id}"


def _text(balance: Decimal | None) -> str | None:
    return None if balance is None else f"{balance:f}"
