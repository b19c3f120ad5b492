"""Requests at a steady rate, whether or not those before were answered, and what became of each."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import aiohttp

_PATIENCE_S: Final = 30.0
_SERVER_FAILED: Final = 500
_UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True)
class Wish:
    """A request, and the status that is the right answer to it."""

    kind: str
    status: int
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request. Moments are those of the event loop's clock."""

    kind: str
    began_s: float
    ended_s: float
    is_right: bool
    """Whether it was answered with the status that was wished for."""
    status: int | None
    """None where there was no whole answer."""
    says_when: bool
    """Whether the answer has `Retry-After`."""
    body: bytes
    """Of a right answer to what is no GET."""

    @property
    def is_unavailable(self) -> bool:
        """Whether the answer was 503."""
        return self.status == _UNAVAILABLE

    @property
    def is_failure_of_the_server(self) -> bool:
        """Whether the answer was a 5xx other than 503."""
        return self.status is not None and self.status >= _SERVER_FAILED and not self.is_unavailable


class Steady:
    """Sends one wish after the other, so many a second."""

    def __init__(self, session: "aiohttp.ClientSession", url: str, wishes: Iterator[Wish], per_s: float) -> None:
        self.outcomes: list[Outcome] = []
        """In the order in which the requests ended."""
        self._session = session
        self._url = url
        self._wishes = wishes
        self._interval_s = 1 / per_s
        self._began_s: dict[asyncio.Task[None], float] = {}

    @property
    def oldest_s(self) -> float:
        """When the request began that waits for longest; infinity where none does."""
        return min(self._began_s.values(), default=float("inf"))

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Send requests until the block ends, and then wait for those that are under way."""
        sending = asyncio.create_task(self._send())
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.wait([sending, *self._began_s])

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        for wish in self._wishes:
            await asyncio.sleep(due_s - loop.time())
            task = asyncio.create_task(self._note(wish))
            self._began_s[task] = loop.time()
            task.add_done_callback(self._began_s.pop)
            due_s = max(due_s + self._interval_s, loop.time() - self._interval_s)  # what was missed is not made up for

    async def _note(self, wish: Wish) -> None:
        self.outcomes.append(await self.ask(wish))

    async def ask(self, wish: Wish) -> Outcome:
        """Send one more, which is not counted among the others."""
        import aiohttp

        loop = asyncio.get_running_loop()
        began_s, status, says_when, body = loop.time(), None, False, b""
        try:
            async with self._session.request(
                wish.method,
                self._url + wish.path,
                headers=wish.headers,
                data=wish.body,
                timeout=aiohttp.ClientTimeout(total=_PATIENCE_S),
            ) as response:
                body = await response.read()
                status, says_when = response.status, "Retry-After" in response.headers
        except (aiohttp.ClientError, TimeoutError):
            pass
        is_right = status == wish.status
        kept = body if is_right and wish.method != "GET" else b""
        return Outcome(wish.kind, began_s, loop.time(), is_right, status, says_when, kept)
