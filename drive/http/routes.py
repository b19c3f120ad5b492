"""The table that the application serves."""

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import NamedTuple

from aiohttp import web

UUID_PATTERN = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
"""For a part of a path: `/api/pools/{id:…}`."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access(Enum):
    """Who may call a route."""

    ACCOUNT = "those who have signed in"
    ANYBODY = "anybody; a token is looked at where there is one"


class Route(NamedTuple):
    """One method of one path. HEAD comes with GET."""

    method: str
    path: str
    handler: Handler
    access: Access = Access.ACCOUNT


ROUTES = web.AppKey[Sequence[Route]]("routes")
"""Where the application keeps what it serves: `request.app[ROUTES]`."""
