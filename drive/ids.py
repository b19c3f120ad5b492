"""Ids that clients see."""

import os
import re
from base64 import urlsafe_b64encode

_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


def new_id() -> str:
    """Return a new id: 22 characters of [A-Za-z0-9_-], 128 random bits."""
    return urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()


def is_id(text: str) -> bool:
    """Tell whether this can be an id. Anything else never reaches a query, a cache key or a path."""
    return _ID.fullmatch(text) is not None
