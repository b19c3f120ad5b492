"""Time and ids, as every module here takes them."""

import uuid
from datetime import UTC, datetime

from drive.errors import invalid


def now() -> datetime:
    """Return this moment, in UTC."""
    return datetime.now(UTC)


def fresh_id() -> str:
    """Return a new random uuid."""
    return str(uuid.uuid4())


def uuid_in(name: str, text: str) -> str:
    """Return a uuid in its usual spelling, or refuse the field of this name."""
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise invalid(name, f"'{text}' is not a uuid") from error
