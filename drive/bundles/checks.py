"""What is wrong with a bundle as a client wants it, before anything is looked up."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from drive.bundles.interfaces import BundleBody
from drive.errors import invalid
from drive.files.names import clean_file_name

MOST_SLUG_CHARS = 1024
MOST_PASSCODE_CHARS = 256
_MOST_SLUG_BYTES = 2048  # in UTF-8; what an index row of the database always holds
MOST_DESCRIPTION_CHARS = 8192
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # whose UTC no time zone moves beyond what a datetime holds

_SLUG = re.compile(r"[\w.~-]+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # what PostgreSQL has no text for


def clean(body: BundleBody) -> BundleBody:
    """Return the body as it is stored.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    _check_text("description", body.description, MOST_DESCRIPTION_CHARS)
    _check_text("passcode", body.passcode, MOST_PASSCODE_CHARS)
    return msgspec.structs.replace(
        body,
        slug=_slug(body.slug),
        name=None if body.name is None else clean_file_name(body.name, field="name"),
        expired_at=_expiry(body.expired_at),
        realm_id=_realm_id(body.realm_id),
    )


def is_slug(text: str) -> bool:
    """Tell whether a bundle can have this slug; anything else never reaches a query."""
    if len(text) > MOST_SLUG_CHARS or not _SLUG.fullmatch(text):
        return False
    return len(text.encode()) <= _MOST_SLUG_BYTES and set(text) != {"."}


def _slug(raw: str | None) -> str | None:
    """Return a slug composed to NFC, as it comes back from a URL; None for an empty one, as forms send it."""
    if not raw:
        return None
    slug = unicodedata.normalize("NFC", raw[: MOST_SLUG_CHARS + 1])
    if not is_slug(slug):
        raise invalid("slug", f"must be of letters, digits and . _ ~ -, at most {MOST_SLUG_CHARS} of them.")
    return slug


def _check_text(field: str, text: str | None, most_chars: int) -> None:
    if text and (len(text) > most_chars or _UNSTORABLE.search(text)):
        raise invalid(field, f"must have at most {most_chars} characters, none of them NUL.")


def _expiry(raw: str | None) -> str | None:
    if not raw:
        return raw
    moment: datetime | None = _converted(raw, Annotated[datetime, msgspec.Meta(tz=True)])
    if moment is None:
        raise invalid("expired_at", "must be a time with its time zone, such as 2030-01-31T12:00:00Z.")
    if not datetime.now(UTC) < moment < _LATEST:
        raise invalid("expired_at", f"must be in the future, and before {_LATEST.year}.")
    return moment.isoformat()


def _realm_id(raw: str | None) -> str | None:
    if not raw:
        return raw
    realm_id: UUID | None = _converted(raw, UUID)
    if realm_id is None:
        raise invalid("realm_id", "must be a UUID.")
    return str(realm_id)


def _converted(raw: str, type_: Any) -> Any:
    """Return the text as this type, None where it is not of it."""
    try:
        return msgspec.convert(raw, type_)
    except msgspec.ValidationError:
        return None
