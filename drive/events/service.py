"""Events, beside the worker's jobs."""

import asyncio

import structlog

from drive.events.consumer import Consumer
from drive.events.patience import failure, keep_on
from drive.events.publisher import Publisher

log = structlog.get_logger()

_RETRY_S = 1.0
_ONCE_FETCH_S = 1.0


class Events:
    """Publishes and consumes, where NATS is configured; nothing is opened otherwise."""

    def __init__(self, *, is_on: bool, publisher: Publisher, account_deletions: Consumer) -> None:
        self._is_on = is_on
        self._publisher = publisher
        self._account_deletions = account_deletions

    async def run(self) -> None:
        """Go on until cancelled, and wait out whatever goes wrong; return at once where there are no events."""
        if not self._is_on:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_on("publisher", self._publisher.step, pause_s=_RETRY_S))
            group.create_task(keep_on("consumer", self._account_deletions.step, pause_s=_RETRY_S))

    async def run_once(self) -> None:
        """Publish what waits, consume what is there, and return, also where NATS is away."""
        if not self._is_on:
            return
        reasons = await asyncio.gather(failure(self._publisher.publish), failure(self._consume))
        for part, reason in zip(("publisher", "consumer"), reasons, strict=True):
            if reason:
                log.warning("Events wait", part=part, reason=reason)

    async def _consume(self) -> None:
        while await self._account_deletions.step(fetch_s=_ONCE_FETCH_S):
            pass
        await self._account_deletions.rest()
