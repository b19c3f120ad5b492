"""PaymentService and WalletService of the stand-in for `pass`."""

from google.protobuf.message import Message

from drive.errors import not_found
from drive.peers.answers import Context, lifetime_in, string_value, text_in, timestamp
from drive.peers.basics import uuid_in
from drive.peers.ledger import ORDER_LIFETIME, Order, OrderTerms, Pocket, Transaction, Wallet, amount_in
from drive.peers.world import World
from drive.proto import wallet_pb2 as wire
from drive.proto.wallet_pb2_grpc import PaymentServiceServicer, WalletServiceServicer


def _pocket_message(wallet: Wallet, pocket: Pocket) -> wire.WalletPocket:
    return wire.WalletPocket(id=pocket.id, currency=pocket.currency, amount=f"{pocket.amount:f}", wallet_id=wallet.id)


def _wallet_message(wallet: Wallet) -> wire.Wallet:
    pockets = [_pocket_message(wallet, pocket) for pocket in wallet.pockets.values()]
    return wire.Wallet(id=wallet.id, pockets=pockets, account_id=wallet.account_id)


def _transaction_message(transaction: Transaction) -> wire.Transaction:
    created_at = timestamp(transaction.created_at)
    return wire.Transaction(
        id=transaction.id,
        payer_wallet_id=string_value(transaction.payer_wallet_id),
        payee_wallet_id=string_value(transaction.payee_wallet_id),
        currency=transaction.currency,
        amount=f"{transaction.amount:f}",
        remarks=string_value(transaction.remarks),
        type=transaction.type,
        created_at=created_at,
        updated_at=created_at,
    )


def _order_message(order: Order) -> wire.Order:
    terms, paid = order.terms, order.transaction
    return wire.Order(
        id=order.id,
        payee_wallet_id=string_value(terms.payee_wallet_id),
        currency=string_value(terms.currency),
        amount=f"{terms.amount:f}",
        expired_at=timestamp(order.expired_at),
        app_identifier=string_value(terms.app_identifier),
        meta=terms.meta,
        status=order.status,
        transaction_id=string_value(paid.id if paid else None),
        transaction=_transaction_message(paid) if paid else None,
        remarks=string_value(terms.remarks),
        product_identifier=string_value(terms.product_identifier),
    )


class WalletPeer(WalletServiceServicer):
    """Answers what accounts own."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def GetWallet(self, request: wire.GetWalletRequest, context: Context) -> wire.Wallet:
        """Answer with an account's wallet."""
        account = self._world.account(request.account_id)
        return _wallet_message(self._world.ledger.wallet_of(account.id))

    async def CreateWallet(self, request: wire.CreateWalletRequest, context: Context) -> wire.Wallet:
        """Give an account its first wallet."""
        account = self._world.account(request.account_id)
        return _wallet_message(self._world.ledger.open(account.id))

    async def GetOrCreateWalletPocket(
        self, request: wire.GetOrCreateWalletPocketRequest, context: Context
    ) -> wire.WalletPocket:
        """Answer with a wallet's pocket; the initial amount counts only where it is new."""
        wallet = self._world.ledger.wallet(uuid_in("wallet_id", request.wallet_id))
        initial = amount_in("initial_amount", request.initial_amount or "0")
        return _pocket_message(wallet, wallet.pocket(request.currency, initial))


class PaymentPeer(PaymentServiceServicer):
    """Takes orders and moves money."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def CreateOrder(self, request: wire.CreateOrderRequest, context: Context) -> wire.Order:
        """Place an order that nobody paid yet."""
        lifetime = lifetime_in(request, "expiration", ORDER_LIFETIME)
        order = self._world.ledger.place(_terms(request), lifetime, is_reusable=request.reuseable)
        return _order_message(order)

    async def CancelOrder(self, request: wire.CancelOrderRequest, context: Context) -> wire.Order:
        """Give up an order that nobody paid."""
        return _order_message(self._world.ledger.cancel(uuid_in("order_id", request.order_id)))

    async def RefundOrder(self, request: wire.RefundOrderRequest, context: Context) -> wire.RefundOrderResponse:
        """Pay back what was paid."""
        order, transaction = self._world.ledger.refund(uuid_in("order_id", request.order_id))
        return wire.RefundOrderResponse(
            order=_order_message(order), refund_transaction=_transaction_message(transaction)
        )

    async def CreateTransaction(self, request: wire.CreateTransactionRequest, context: Context) -> wire.Transaction:
        """Move money between wallets, or between a wallet and the system."""
        payer, payee = (_uuid_or_none(request, name) for name in ("payer_wallet_id", "payee_wallet_id"))
        return self._moved(request, payer, payee)

    async def CreateTransactionWithAccount(
        self, request: wire.CreateTransactionWithAccountRequest, context: Context
    ) -> wire.Transaction:
        """Move money between the wallets of accounts, or between one and the system."""
        payer, payee = (text_in(request, name) for name in ("payer_account_id", "payee_account_id"))
        return self._moved(
            request,
            None if payer is None else self._wallet_id("payer_account_id", payer),
            None if payee is None else self._wallet_id("payee_account_id", payee),
        )

    def _moved(
        self,
        request: wire.CreateTransactionRequest | wire.CreateTransactionWithAccountRequest,
        payer_wallet_id: str | None,
        payee_wallet_id: str | None,
    ) -> wire.Transaction:
        return self._move(
            Transaction(
                payer_wallet_id,
                payee_wallet_id,
                request.currency,
                amount_in("amount", request.amount),
                request.type,
                text_in(request, "remarks"),
            )
        )

    async def Transfer(self, request: wire.TransferRequest, context: Context) -> wire.Transaction:
        """Move money from one account to another."""
        return self._move(
            Transaction(
                self._wallet_id("payer_account_id", request.payer_account_id),
                self._wallet_id("payee_account_id", request.payee_account_id),
                request.currency,
                amount_in("amount", request.amount),
                wire.TRANSACTION_TYPE_TRANSFER,
            )
        )

    def _move(self, transaction: Transaction) -> wire.Transaction:
        return _transaction_message(self._world.ledger.move(transaction))

    def _wallet_id(self, name: str, account_id: str) -> str:
        return self._world.ledger.wallet_of(self._world.account(account_id, name).id).id

    async def GetWalletFund(self, request: wire.GetWalletFundRequest, context: Context) -> wire.WalletFund:
        """Answer with a fund that a test put there."""
        fund_id = uuid_in("fund_id", request.fund_id)
        if fund_id not in self._world.ledger.funds:
            raise not_found(f"fund {fund_id}")
        return self._world.ledger.funds[fund_id]


def _terms(request: wire.CreateOrderRequest) -> OrderTerms:
    return OrderTerms(
        request.currency,
        amount_in("amount", request.amount),
        _uuid_or_none(request, "payee_wallet_id"),
        text_in(request, "app_identifier"),
        text_in(request, "product_identifier"),
        request.meta if request.HasField("meta") else None,
        text_in(request, "remarks"),
    )


def _uuid_or_none(request: Message, name: str) -> str | None:
    text = text_in(request, name)
    return None if text is None else uuid_in(name, text)
