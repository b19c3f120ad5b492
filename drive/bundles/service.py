"""What can be done with bundles."""

import os
from base64 import b32encode
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from drive.bundles.access import BundleAccess
from drive.bundles.checks import clean, is_slug
from drive.bundles.interfaces import BundleBody, FileBundle, Guard, Visitor
from drive.bundles.passcodes import Passcodes
from drive.clients.accounts import AccountsClient
from drive.clients.realms import RealmsClient
from drive.db.database import Database, unique_or
from drive.db.queries import load_queries
from drive.errors import Code, DriveError, not_found
from drive.files.interfaces import CloudFile

QUERIES = load_queries(__package__)

_BY_ID = "id = $1"
_BY_SLUG = "slug = $1"
_NO_NAME = "Unnamed Bundle"
_SLUG_CHARS = 10  # 50 bits, so that nobody finds bundles by trying slugs
_SLUG_ATTEMPTS = 5


class Bundles:
    """Bundles by id or slug, and the bundles of an account."""

    def __init__(
        self,
        database: Database,
        accounts: AccountsClient,
        realms: RealmsClient,
        passcodes: Passcodes,
        access: BundleAccess,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._realms = realms
        self._passcodes = passcodes
        self._access = access

    async def shown(self, bundle_id: UUID, visitor: Visitor, *, offset: int, take: int) -> tuple[FileBundle, int]:
        """Return a bundle with a page of its files, and how many files there are in all.

        Raises:
            DriveError: as `BundleAccess.check`.

        """
        return await self._shown(_BY_ID, bundle_id, visitor, offset, take)

    async def shown_by_slug(self, slug: str, visitor: Visitor, *, offset: int, take: int) -> tuple[FileBundle, int]:
        """Return as `shown` does the bundle that has this slug.

        Raises:
            DriveError: as `BundleAccess.check`.

        """
        if not is_slug(slug):
            raise not_found("Bundle")
        return await self._shown(_BY_SLUG, slug, visitor, offset, take)

    async def mine(
        self, account_id: UUID, name_part: str | None, *, offset: int, take: int
    ) -> tuple[list[FileBundle], int]:
        """Return a page of an account's bundles, newest first and without files, and how many there are in all."""
        rows = await self._database.fetch(QUERIES["mine"], account_id, name_part, offset, take)
        return [FileBundle.from_row(row) for row in rows if row["id"] is not None], rows[0]["total"]

    async def create(self, account_id: UUID, body: BundleBody) -> FileBundle:
        """Create a bundle.

        Raises:
            DriveError: VALIDATION_ERROR; FORBIDDEN, where a slug is chosen without a subscription; NOT_FOUND, where the
                account is in no such realm; CONFLICT, where another bundle has the slug; UNAVAILABLE.

        """
        wanted = clean(body)
        if wanted.slug is not None:
            await self._check_subscription(account_id)
        await self._check_realm(account_id, wanted.realm_id)
        values = (
            wanted.name or _NO_NAME,
            wanted.description or "",
            await self._hashed(wanted.passcode),
            wanted.expired_at,
            wanted.realm_id,
        )
        for slug in [wanted.slug] if wanted.slug else _random_slugs():
            row = await self._database.fetchrow(QUERIES["create"], account_id, slug, *values)
            if row is not None:
                return FileBundle.from_row(row)
        raise _slug_taken()

    async def change(self, account_id: UUID, bundle_id: UUID, body: BundleBody) -> FileBundle:
        """Change an account's bundle.

        Raises:
            DriveError: as `create`; NOT_FOUND, and another account's bundle is as good as absent.

        """
        wanted = clean(body)
        if wanted.slug is not None and wanted.slug != await self._own_slug(account_id, bundle_id):
            await self._check_subscription(account_id)
        await self._check_realm(account_id, wanted.realm_id)
        values = (
            wanted.slug,
            wanted.name,
            wanted.description,
            await self._hashed(wanted.passcode),
            wanted.expired_at,
            wanted.realm_id,
        )
        with unique_or(_slug_taken()):
            row = await self._database.fetchrow(QUERIES["change"], bundle_id, account_id, *values)
        if row is None:
            raise not_found("Bundle")
        return FileBundle.from_row(row)

    async def delete(self, account_id: UUID, bundle_id: UUID) -> None:
        """Delete an account's bundle, and put its files into the recycle bin.

        Raises:
            DriveError: NOT_FOUND; another account's bundle is as good as absent.

        """
        async with self._database.transaction() as connection:
            if await connection.fetchval(QUERIES["delete"], bundle_id, account_id) is None:
                raise not_found("Bundle")
            await connection.execute(QUERIES["recycle_files"], bundle_id)

    async def _shown(
        self, which: str, key: UUID | str, visitor: Visitor, offset: int, take: int
    ) -> tuple[FileBundle, int]:
        query = QUERIES["shown"].replace("{which}", which)
        reader_id = await visitor.identify()
        is_member = reader_id is not None  # as long as it does not matter
        rows = await self._rows(query, key, reader_id, is_member, offset, take)
        guard = Guard.from_row(rows[0], "b_")
        await self._access.check(guard, visitor, "Bundle")
        if rows[0]["has_realm_files"] and not await self._access.is_member(guard, reader_id):
            is_member = False
            rows = await self._rows(query, key, reader_id, is_member, offset, take)
        files = [CloudFile.from_row(row) for row in rows if row["id"] is not None]
        return FileBundle.from_row(rows[0], "b_", files=files), rows[0]["total"]

    async def _rows(self, query: str, *args: Any) -> list[Any]:
        rows = await self._database.fetch(query, *args)
        if not rows:
            raise not_found("Bundle")
        return list(rows)

    async def _own_slug(self, account_id: UUID, bundle_id: UUID) -> str:
        slug: str | None = await self._database.fetchval(QUERIES["slug_of_own"], bundle_id, account_id)
        if slug is None:
            raise not_found("Bundle")
        return slug

    async def _check_subscription(self, account_id: UUID) -> None:
        if await self._accounts.tier(account_id) == 0:
            message = "Choosing a slug takes a subscription. Leave it out, and one is made up."
            raise DriveError(Code.FORBIDDEN, message)

    async def _check_realm(self, account_id: UUID, realm_id: str | None) -> None:
        if realm_id and not await self._realms.is_member(UUID(realm_id), account_id):
            raise not_found("Realm")

    async def _hashed(self, passcode: str | None) -> str | None:
        return await self._passcodes.hashed(passcode) if passcode else passcode


def _random_slugs() -> Iterator[str]:
    for _ in range(_SLUG_ATTEMPTS):
        yield b32encode(os.urandom(_SLUG_CHARS)).decode().lower()[:_SLUG_CHARS]


def _slug_taken() -> DriveError:
    problem = "is taken; choose another"
    return DriveError(Code.CONFLICT, f"slug: {problem}.", fields={"slug": problem})
