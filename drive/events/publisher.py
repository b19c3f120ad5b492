"""Tells other services what has happened."""

import asyncio
from typing import TYPE_CHECKING, Any

from drive.db.database import Database
from drive.db.queries import load_queries
from drive.events.nats import Link
from drive.events.streams import Stream, ensure

if TYPE_CHECKING:
    from nats.js import JetStreamContext

QUERIES = load_queries(__package__)

MESSAGE_ID = "Nats-Msg-Id"
"""The header by which JetStream knows a message that it has already."""


class Publisher:
    """Sends the rows of `events` to a stream, in order, and deletes each once JetStream has acknowledged it.

    They are rows of their own and not jobs: a job is given up after some attempts and may overtake another, while an
    event waits for as long as NATS is away, before those that came after it. Any number of publishers may run.

    A publisher that is killed, or cut off from NATS or the database, after it has sent an event and before it has
    deleted the row, leaves one event that may have arrived. JetStream knows those of the last minutes by their id;
    after a longer outage it is looked for at the end of the stream.
    """

    def __init__(self, database: Database, link: Link, stream: Stream, *, poll_interval_s: float) -> None:
        self._database = database
        self._link = link
        self._stream = stream
        self._poll_interval_s = poll_interval_s
        self._is_sure = False  # that the stream is there, and that the last event's row is deleted

    async def step(self) -> None:
        """Publish all there is, and wait a little.

        Raises:
            DriveError: UNAVAILABLE; CONFLICT, where the stream is not usable.
            nats.errors.Error: JetStream did not take an event; the next step sends it again.

        """
        await self.publish()
        await asyncio.sleep(self._poll_interval_s)

    async def publish(self) -> None:
        """Publish all there is; raises as `step`."""
        jetstream = await self._link.jetstream()
        try:
            if not self._is_sure:
                await ensure(jetstream, self._stream)
            while await self._publish_next(jetstream):
                self._is_sure = True
            self._is_sure = True
        except BaseException:
            self._is_sure = False
            raise

    async def _publish_next(self, jetstream: "JetStreamContext") -> bool:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(QUERIES["next"])
            if row is None:
                return False
            if self._is_sure or not await self._has_arrived(jetstream, row):
                await jetstream.publish(
                    row["subject"],
                    row["payload"].encode(),
                    stream=self._stream.name,
                    headers={MESSAGE_ID: row["message_id"]},
                )
            await connection.execute(QUERIES["sent"], row["id"])
        return True

    async def _has_arrived(self, jetstream: "JetStreamContext", row: Any) -> bool:
        from nats.js.errors import NotFoundError

        try:
            last = await jetstream.get_last_msg(self._stream.name, row["subject"])
        except NotFoundError:
            return False
        return bool((last.headers or {}).get(MESSAGE_ID) == row["message_id"])
