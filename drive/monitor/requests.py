"""Counts the HTTP requests of `drive serve`. Nothing of it is in a service that has no listener for metrics."""

import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from drive.monitor.metrics import DURATION_BOUNDS_S

UNKNOWN_ROUTE = "unknown"
"""Stands for all paths that are not served: whoever makes up paths makes up no labels."""
ABORTED = "aborted"
"""Stands for the status of a request whose client has gone."""


@dataclass(slots=True)
class Durations:
    """How long the requests of a route took."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BOUNDS_S) + 1))
    """How many fell between two bounds; the last is of those above all of them."""
    sum_s: float = 0.0

    def add(self, took_s: float) -> None:
        """Count one."""
        self.counts[bisect_left(DURATION_BOUNDS_S, took_s)] += 1
        self.sum_s += took_s


class Requests:
    """What was asked, and how it was answered. Labels are route templates and known methods, not a client's words."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        """By route, method and the class of the status."""
        self.durations: dict[tuple[str, str], Durations] = {}
        """By route and method."""
        self.in_flight = 0

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count a request. It belongs before all other middlewares, which turn errors into answers."""
        begun_s = time.perf_counter()
        self.in_flight += 1
        status = ABORTED
        try:
            response = await handler(request)
            status = f"{response.status // 100}xx"
        except web.HTTPException as answer:
            status = f"{answer.status // 100}xx"
            raise
        finally:
            self.in_flight -= 1
            self._count(request, status, time.perf_counter() - begun_s)
        return response

    def _count(self, request: web.Request, status: str, took_s: float) -> None:
        route, method = route_of(request), method_of(request)
        self.counts[route, method, status] += 1
        self.durations.setdefault((route, method), Durations()).add(took_s)


def route_of(request: web.Request) -> str:
    """Return the template of the path that was asked for."""
    resource = request.match_info.route.resource
    return UNKNOWN_ROUTE if resource is None else resource.canonical


def method_of(request: web.Request) -> str:
    """Return the method, if it is one of HTTP's own."""
    return request.method if request.method in hdrs.METH_ALL else "other"
