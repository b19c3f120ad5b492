"""A client of Drive that paces itself, knows what it should be answered, and counts what it was not."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import aiohttp

_PATIENCE_S: Final = 30.0
_SHOWN_CHARS: Final = 200


class WrongAnswerError(RuntimeError):
    """An answer was another than it should be, or there was none."""


class Pace:
    """Lets so many requests begin a second, of all who share it; what was missed is not made up for."""

    def __init__(self, per_s: float) -> None:
        self._interval_s = 1 / per_s
        self._due_s = 0.0

    async def turn(self) -> None:
        """Wait for one's turn."""
        now_s = asyncio.get_running_loop().time()
        self._due_s = max(self._due_s + self._interval_s, now_s - self._interval_s)
        await asyncio.sleep(self._due_s - now_s)


@dataclass(slots=True)
class Tally:
    """How requests were answered."""

    answered: Counter[int] = field(default_factory=Counter)
    """As they should be, by status."""
    wrong: list[str] = field(default_factory=list)
    """What was answered otherwise, or not at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    headers: Any
    body: bytes
    json: Any
    """None where the body is none."""


class Asker:
    """Sends requests with an account's token. Those of one account share a lock."""

    def __init__(
        self, session: "aiohttp.ClientSession", url: str, token: str, pace: Pace, tally: Tally, lock: asyncio.Lock
    ) -> None:
        self.url = url
        self.token = token
        self.lock = lock
        """Held by whoever does something with all that the account has."""
        self._session = session
        self._pace = pace
        self._tally = tally

    async def ask(self, status: int, method: str, path: str, **options: Any) -> Answer:
        """Send a request when it is time, and return the answer.

        Args:
            status: that of the right answer.
            method: GET, say.
            path: with its query.
            options: of aiohttp; `headers` beside the one that signs in, unless they have one themselves.

        Raises:
            WrongAnswerError: the status is another, or there is no answer; it is in the tally, too.

        """
        import aiohttp

        await self._pace.turn()
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        try:
            async with self._session.request(
                method, self.url + path, headers=headers, timeout=timeout, **options
            ) as response:
                body = await response.read()
                json = await response.json() if response.content_type == "application/json" else None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._wrong(f"{method} {path} had no answer: {error!r}") from error
        if response.status != status:
            raise self._wrong(f"{method} {path}: {response.status} and not {status}: {body[:_SHOWN_CHARS]!r}")
        self._tally.answered[status] += 1
        return Answer(response.headers, body, json)

    async def json(self, method: str, path: str, **options: Any) -> Any:
        """Send a request that is answered 200, and return the JSON."""
        return (await self.ask(200, method, path, **options)).json

    def check(self, what: str, *, is_so: bool) -> None:
        """Hold an answer against what it should say.

        Raises:
            WrongAnswerError: it is not so.

        """
        if not is_so:
            raise self._wrong(f"not so: {what}")

    async def hang_up(self, head: str, body: bytes = b"") -> None:
        """Send the beginning of a request, and be gone."""
        await self._pace.turn()
        host, _, port = self.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        signed = f"Host: drive\r\nAuthorization: Bearer {self.token}\r\n"
        writer.write(f"{head}\r\n{signed}\r\n".encode() + body)
        await writer.drain()
        if not body:
            await reader.read(1)  # the answer has begun
        writer.transport.abort()

    def _wrong(self, what: str) -> WrongAnswerError:
        self._tally.wrong.append(what)
        return WrongAnswerError(what)
