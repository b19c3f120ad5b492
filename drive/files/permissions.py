"""Who may read a file, as its owner says."""

from uuid import UUID

from drive.clients.realms import RealmsClient
from drive.clients.social_credits import SocialCreditsClient
from drive.errors import Code, DriveError, invalid, not_found
from drive.files.interfaces import CloudFile, Permission, Visibility
from drive.files.service import Files
from drive.pools.interfaces import Pool


class Permissions:
    """Checks what owners want, and changes it."""

    def __init__(self, files: Files, realms: RealmsClient, social_credits: SocialCreditsClient) -> None:
        self._files = files
        self._realms = realms
        self._social_credits = social_credits

    async def change(self, account_id: UUID, file_id: str, wanted: Permission) -> CloudFile:
        """Change who may read an account's file; it holds from the next request on.

        Raises:
            DriveError: as `check`; NOT_FOUND, and another account's file is as good as absent.

        """
        file = await self._files.get(file_id)
        if file.account_id != account_id:
            raise not_found("File")
        if wanted == file.permission:
            return file
        await self.check(account_id, file.pool, wanted)
        return await self._files.permit(account_id, file_id, wanted)

    async def check(self, account_id: UUID, pool: Pool, wanted: Permission) -> None:
        """Refuse what the account may not do with a file of its own in this pool.

        Raises:
            DriveError: VALIDATION_ERROR; NOT_FOUND, where the account is in no such realm; FORBIDDEN, where the pool
                asks for more social credits; UNAVAILABLE, where pass cannot say.

        """
        if (wanted.visibility is Visibility.REALM) != (wanted.realm_id is not None):
            raise invalid("realm_id", "must be given with the visibility 'realm', and with no other")
        if wanted.realm_id is not None and not await self._realms.is_member(wanted.realm_id, account_id):
            raise not_found("Realm")
        if wanted.visibility is Visibility.PUBLIC:
            await self._check_credits(account_id, pool)

    async def _check_credits(self, account_id: UUID, pool: Pool) -> None:
        least = pool.policy_config.min_social_credits
        if least is None or not pool.policy_config.allow_anonymous:
            return
        has = await self._social_credits.of(account_id)
        if not has >= least:  # nor where it is no number
            message = (
                f"Public files in pool {pool.name!r} take {least:g} social credits; you have {has:g}. "
                "Make the file private, or share it with a realm."
            )
            raise DriveError(Code.FORBIDDEN, message)
