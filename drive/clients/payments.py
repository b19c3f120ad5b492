"""Orders in pass, and money that moves."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from drive.clients.errors import RefusedError, UnconfirmedError, sent_once, translated
from drive.errors import unavailable
from drive.lazy import load

if TYPE_CHECKING:
    from drive.proto.wallet_pb2_grpc import PaymentServiceStub

_APP = "drive"


class PaymentsClient:
    """PaymentService of pass. None of its calls may be sent twice: there is nothing to know a second one by."""

    def __init__(self, payments: "PaymentServiceStub") -> None:
        self._payments = payments

    async def place(
        self, product: str, amount: Decimal, currency: str, *, lifetime_s: int, remarks: str, meta: Mapping[str, str]
    ) -> str:
        """Place an order that the system is paid by, and return its id in pass. A lost one expires there by itself.

        Raises:
            DriveError: UNAVAILABLE.

        """
        await load("drive.proto.wallet_pb2")
        from google.protobuf.duration_pb2 import Duration

        from drive.proto.wallet_pb2 import CreateOrderRequest

        request = CreateOrderRequest(
            currency=currency,
            amount=f"{amount:f}",
            expiration=Duration(seconds=lifetime_s),
            app_identifier=_APP,
            product_identifier=product,
            meta=msgspec.json.encode(meta),
            remarks=remarks,
        )
        with translated("pass"):
            return (await self._payments.CreateOrder(request)).id

    async def withdraw(self, payment_order_id: str) -> bool:
        """Take an order back; False where pass declines, as it does with one that is closed already.

        Raises:
            DriveError: UNAVAILABLE; it may be repeated.

        """
        await load("drive.proto.wallet_pb2")
        from drive.proto.wallet_pb2 import CancelOrderRequest

        try:
            with sent_once("pass"):
                await self._payments.CancelOrder(CancelOrderRequest(order_id=payment_order_id))
        except RefusedError:
            return False
        except UnconfirmedError as error:
            raise unavailable("The service 'pass'") from error
        return True

    async def charge(self, account_id: UUID, amount: Decimal, currency: str, *, remarks: str) -> str:
        """Move money from the account's wallet to the system, and return the id of the transaction.

        Raises:
            RefusedError: nothing was moved.
            UnconfirmedError: it may have been.

        """
        await load("drive.proto.wallet_pb2")
        from google.protobuf.wrappers_pb2 import StringValue

        from drive.proto.wallet_pb2 import TRANSACTION_TYPE_ORDER, CreateTransactionWithAccountRequest

        request = CreateTransactionWithAccountRequest(
            payer_account_id=StringValue(value=str(account_id)),
            currency=currency,
            amount=f"{amount:f}",
            remarks=StringValue(value=remarks),
            type=TRANSACTION_TYPE_ORDER,
        )
        with sent_once("pass"):
            return (await self._payments.CreateTransactionWithAccount(request)).id
