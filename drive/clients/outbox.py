"""What is sent beside the requests that cause it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

Send = Callable[[], Awaitable[object]]
Drop = Callable[[str], None]

_QUEUE_MESSAGES = 1000


class Outbox:
    """Sends messages in lanes: within one in order, one after the other; no lane waits for another.

    No request waits for a message, and none fails with it: what a slow or absent peer does not take is dropped, and
    the reason told to whoever has posted it.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}

    def post(self, lane: str, send: Send, dropped: Drop) -> None:
        """Queue a message; `dropped` is called with the reason where it cannot be sent."""
        self._lanes.setdefault(lane, _Lane(lane)).post(send, dropped)

    async def drain(self, *, timeout_s: float = 0.5) -> None:
        """Wait until all messages are out, or drop what is left after `timeout_s`: at the end of the process."""
        sending = [lane.sending for lane in self._lanes.values() if lane.sending is not None]
        if not sending:
            return
        _, late = await asyncio.wait(sending, timeout=timeout_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)


class _Lane:
    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: deque[tuple[Send, Drop]] = deque()
        self.sending: asyncio.Task[None] | None = None

    def post(self, send: Send, dropped: Drop) -> None:
        if len(self._waiting) >= _QUEUE_MESSAGES:
            dropped(f"{self._name} is too slow")
            return
        self._waiting.append((send, dropped))
        if self.sending is None or self.sending.done():
            self.sending = asyncio.create_task(self._send_all(), name=f"send to {self._name}")

    async def _send_all(self) -> None:
        while self._waiting:
            send, dropped = self._waiting.popleft()
            try:
                await send()
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the peer, the next may get through
                dropped(type(error).__name__)
