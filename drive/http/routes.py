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
    OPEN = "anybody; no token is looked at"


class Route(NamedTuple):
    """One method of one path. HEAD comes with GET."""

    method: str
    path: str
    handlers: str
    """Whose method answers: `package.module:Class`, by which the container knows it."""
    name: str
    """The method's name."""
    access: Access = Access.ACCOUNT

    @property
    def package(self) -> str:
        """The package of whoever answers, which describes the route, too."""
        return self.handlers.partition(":")[0].rpartition(".")[0]


ROUTES = web.AppKey[Sequence[Route]]("routes")
"""Where the application keeps what it serves: `request.app[ROUTES]`."""
