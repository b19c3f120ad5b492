"""Who may see a bundle and the files in it."""

from uuid import UUID

from drive.bundles.interfaces import Guard, Visitor
from drive.bundles.passcodes import Passcodes
from drive.clients.realms import RealmsClient
from drive.errors import Code, DriveError, not_found


class BundleAccess:
    """Lets visitors in.

    The owner always; nobody else once the bundle has expired or is deleted. Else whoever knows the passcode, and the
    members of the realm that the bundle is shared with; everybody, where it has neither.
    """

    def __init__(self, passcodes: Passcodes, realms: RealmsClient) -> None:
        self._passcodes = passcodes
        self._realms = realms

    async def check(self, guard: Guard, visitor: Visitor, what: str) -> None:
        """Refuse a visitor who may not see `what`.

        Raises:
            DriveError: NOT_FOUND; FORBIDDEN, where a passcode is wrong or missing; TOO_MANY_REQUESTS; UNAVAILABLE,
                where pass cannot say who the visitor is, or whether it belongs to the realm.

        """
        if guard.is_for_everybody():
            return
        account_id = await visitor.identify()
        if account_id == guard.owner_id:
            return
        if guard.has_ended():
            raise not_found(what)
        if await self._has_passcode(guard, visitor):
            return
        if guard.realm_id and account_id and await self._realms.is_member(guard.realm_id, account_id):
            return
        raise _refusal(guard, visitor, what)

    async def is_member(self, guard: Guard, reader_id: UUID | None) -> bool:
        """Tell whether the reader is the bundle's owner, or belongs to the realm that it is shared with.

        Raises:
            DriveError: UNAVAILABLE, where pass cannot say.

        """
        if reader_id is None or reader_id == guard.owner_id:
            return reader_id is not None
        return guard.realm_id is not None and await self._realms.is_member(guard.realm_id, reader_id)

    async def _has_passcode(self, guard: Guard, visitor: Visitor) -> bool:
        if guard.passcode_hash is None or visitor.passcode is None:
            return False
        return await self._passcodes.is_right(
            visitor.passcode, guard.passcode_hash, bundle_id=guard.bundle_id, address=visitor.address
        )


def _refusal(guard: Guard, visitor: Visitor, what: str) -> DriveError:
    if guard.passcode_hash is None:
        return not_found(what)
    if visitor.passcode is None:
        return DriveError(Code.FORBIDDEN, "This takes a passcode. Send it in the header X-Passcode.")
    return DriveError(Code.FORBIDDEN, "The passcode is incorrect.")
