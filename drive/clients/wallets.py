"""What accounts own."""

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from drive.clients.errors import status_of, translated
from drive.errors import unavailable
from drive.lazy import load

if TYPE_CHECKING:
    from drive.proto.wallet_pb2_grpc import WalletServiceStub

log = structlog.get_logger()


class WalletsClient:
    """WalletService of pass."""

    def __init__(self, wallets: "WalletServiceStub") -> None:
        self._wallets = wallets

    async def balance(self, account_id: UUID, currency: str) -> Decimal | None:
        """Return what the account's wallet holds in a currency; None where the account has no wallet.

        Raises:
            DriveError: UNAVAILABLE, when pass cannot say.

        """
        await load("drive.proto.wallet_pb2")
        from drive.proto.wallet_pb2 import GetWalletRequest

        with translated("pass"):
            try:
                wallet = await self._wallets.GetWallet(GetWalletRequest(account_id=str(account_id)))
            except Exception as error:
                if status_of(error) == "NOT_FOUND":
                    return None
                raise
        return sum((_amount(it.amount) for it in wallet.pockets if it.currency == currency), Decimal(0))


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        log.error("Wallet unreadable", amount=text)
        raise unavailable("The wallet")
    return amount
