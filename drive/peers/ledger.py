"""Wallets, orders and the money that moves between them. Nothing here knows of gRPC."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from drive.errors import Code, DriveError, invalid, not_found
from drive.peers.basics import fresh_id, now
from drive.proto import wallet_pb2 as wire

ORDER_LIFETIME = timedelta(days=1)
AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,8})?")
"""What is taken for an amount: few enough digits that sums of them stay exact in the default decimal context."""


def amount_in(name: str, text: str) -> Decimal:
    """Read a decimal string that is not negative, or refuse the field of this name."""
    if not AMOUNT.fullmatch(text):
        raise invalid(name, f"'{text}' is not a decimal number such as 12.50")
    return Decimal(text)


def _require_currency(currency: str) -> None:
    if not currency:
        raise invalid("currency", "must be given")


@dataclass(slots=True)
class Pocket:
    """What a wallet holds in one currency."""

    currency: str
    amount: Decimal = Decimal(0)
    id: str = field(default_factory=fresh_id)


@dataclass(slots=True)
class Wallet:
    """An account's money; `pockets` is by currency."""

    account_id: str
    id: str = field(default_factory=fresh_id)
    pockets: dict[str, Pocket] = field(default_factory=dict)

    def balance(self, currency: str) -> Decimal:
        """Return what is there in a currency."""
        pocket = self.pockets.get(currency)
        return pocket.amount if pocket else Decimal(0)

    def pocket(self, currency: str, initial: Decimal = Decimal(0)) -> Pocket:
        """Return the pocket of a currency, made with the initial amount if it is new."""
        _require_currency(currency)
        return self.pockets.setdefault(currency, Pocket(currency, initial))


@dataclass(frozen=True, slots=True)
class Transaction:
    """Money that moved. Where one side is missing, it is the system."""

    payer_wallet_id: str | None
    payee_wallet_id: str | None
    currency: str
    amount: Decimal
    type: "wire.TransactionType.ValueType"
    remarks: str | None = None
    id: str = field(default_factory=fresh_id)
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What an order is about. Where the payee is missing, it is the system."""

    currency: str
    amount: Decimal
    payee_wallet_id: str | None = None
    app_identifier: str | None = None
    product_identifier: str | None = None
    meta: bytes | None = None
    remarks: str | None = None


@dataclass(slots=True)
class Order:
    """Something to be paid before it expires."""

    terms: OrderTerms
    expired_at: datetime
    status: "wire.OrderStatus.ValueType" = wire.ORDER_STATUS_UNPAID
    transaction: Transaction | None = None
    id: str = field(default_factory=fresh_id)


@dataclass(slots=True)
class Ledger:
    """All wallets, orders and transactions by id. Funds are kept as they are answered, since no call here makes one."""

    wallets: dict[str, Wallet] = field(default_factory=dict)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    funds: dict[str, wire.WalletFund] = field(default_factory=dict)

    def wallet(self, wallet_id: str) -> Wallet:
        """Return a wallet by its id."""
        if wallet_id not in self.wallets:
            raise not_found(f"wallet {wallet_id}")
        return self.wallets[wallet_id]

    def wallet_of(self, account_id: str) -> Wallet:
        """Return an account's wallet."""
        for wallet in self.wallets.values():
            if wallet.account_id == account_id:
                return wallet
        raise not_found(f"wallet of account {account_id}")

    def open(self, account_id: str) -> Wallet:
        """Give an account its wallet, which it must not have yet."""
        if any(wallet.account_id == account_id for wallet in self.wallets.values()):
            raise DriveError(Code.CONFLICT, f"Account {account_id} has a wallet already: ask for it with GetWallet.")
        wallet = Wallet(account_id)
        self.wallets[wallet.id] = wallet
        return wallet

    def move(self, transaction: Transaction) -> Transaction:
        """Carry out a transaction, or refuse it whole."""
        payer, payee = self._sides(transaction)
        currency, amount = transaction.currency, transaction.amount
        if payer and payer.balance(currency) < amount:
            raise DriveError(Code.CONFLICT, f"Wallet {payer.id} holds less than {amount} {currency}.")
        if payer:
            payer.pocket(currency).amount -= amount
        if payee:
            payee.pocket(currency).amount += amount
        self.transactions[transaction.id] = transaction
        return transaction

    def _sides(self, transaction: Transaction) -> tuple[Wallet | None, Wallet | None]:
        payer_id, payee_id = transaction.payer_wallet_id, transaction.payee_wallet_id
        if payer_id == payee_id:
            raise invalid("payee_wallet_id", "payer and payee must differ, and one of them must be given")
        _require_currency(transaction.currency)
        if not transaction.amount:
            raise invalid("amount", "must be more than zero")
        return self.wallet(payer_id) if payer_id else None, self.wallet(payee_id) if payee_id else None

    def place(self, terms: OrderTerms, lifetime: timedelta = ORDER_LIFETIME, *, is_reusable: bool = False) -> Order:
        """Make an unpaid order; a reusable one is the same again for the same terms, as long as nobody paid it."""
        _require_currency(terms.currency)
        if terms.payee_wallet_id is not None:
            self.wallet(terms.payee_wallet_id)
        if is_reusable and (same := self._unpaid(terms)):
            return same
        order = Order(terms, now() + lifetime)
        self.orders[order.id] = order
        return order

    def _unpaid(self, terms: OrderTerms) -> Order | None:
        same = (self.order(order.id) for order in self.orders.values() if order.terms == terms)
        return next((order for order in same if order.status == wire.ORDER_STATUS_UNPAID), None)

    def order(self, order_id: str) -> Order:
        """Return an order by its id, expired if its time has come."""
        if order_id not in self.orders:
            raise not_found(f"order {order_id}")
        order = self.orders[order_id]
        if order.status == wire.ORDER_STATUS_UNPAID and order.expired_at <= now():
            order.status = wire.ORDER_STATUS_EXPIRED
        return order

    def pay(self, order_id: str, wallet_id: str) -> Order:
        """Pay an order, which people do in the real `pass` and no call does: a test or a demo calls this."""
        order = self._order_that_is(wire.ORDER_STATUS_UNPAID, order_id)
        terms = order.terms
        order.transaction = self.move(
            Transaction(
                wallet_id,
                terms.payee_wallet_id,
                terms.currency,
                terms.amount,
                wire.TRANSACTION_TYPE_ORDER,
                terms.remarks,
            )
        )
        order.status = wire.ORDER_STATUS_PAID
        return order

    def cancel(self, order_id: str) -> Order:
        """Give up an order that nobody paid."""
        order = self._order_that_is(wire.ORDER_STATUS_UNPAID, order_id)
        order.status = wire.ORDER_STATUS_CANCELLED
        return order

    def refund(self, order_id: str) -> tuple[Order, Transaction]:
        """Pay back a paid order, which cancels it."""
        order = self._order_that_is(wire.ORDER_STATUS_PAID, order_id)
        paid = order.transaction
        if paid is None:
            raise DriveError(Code.SERVER_ERROR, f"Order {order_id} is paid, but by no transaction.")
        back = Transaction(paid.payee_wallet_id, paid.payer_wallet_id, paid.currency, paid.amount, paid.type, "Refund")
        self.move(back)
        order.status = wire.ORDER_STATUS_CANCELLED
        return order, back

    def _order_that_is(self, status: "wire.OrderStatus.ValueType", order_id: str) -> Order:
        order = self.order(order_id)
        if order.status != status:
            found, wanted = wire.OrderStatus.Name(order.status), wire.OrderStatus.Name(status)
            raise DriveError(Code.CONFLICT, f"Order {order_id} is {found}, but must be {wanted}.")
        return order
