"""Does what other services ask for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from drive.errors import Code, DriveError
from drive.events.nats import Link
from drive.events.publisher import MESSAGE_ID
from drive.events.streams import DEAD_LETTERS, Stream, StreamError, ensure

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext
    from nats.js.api import ConsumerConfig

log = structlog.get_logger()

_FETCH_S = 5.0
_OUTAGE_RETRY_S = 1.0
_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 300.0
_REASON_MAX_CHARS = 500
_DEAD_LETTER_MAX_BYTES = 64 * 1024  # what is longer is cut off, so that it fits with its headers whatever it was


class UnusableMessageError(Exception):
    """A message means nothing, and would not the next time either."""


class Consumer:
    """Gives the messages of a stream to `handle`, one after the other, by way of a durable consumer.

    A message is acknowledged once `handle` has returned. Where it raises, the message comes again, later each time, and
    others before it; what is unusable, or has failed `deliveries_max` times, is put aside as a dead letter. While the
    database or another part is away, the message is held, and JetStream is told that it is being worked on. Any number
    of processes may share the durable consumer. A message can come more than once: handling it twice must do no harm.

    Args:
        link: the connection.
        stream: where the messages are; it is created where it is absent.
        durable: the name of the durable consumer, which remembers what was acknowledged.
        handle: is given a message's bytes.
        ack_wait_s: how long JetStream waits for a sign of life before it gives a message to another; only where the
            consumer is not there yet.
        deliveries_max: how often a message that fails is tried.

    """

    def __init__(
        self,
        link: Link,
        stream: Stream,
        durable: str,
        handle: Callable[[bytes], Awaitable[None]],
        *,
        ack_wait_s: float = 30.0,
        deliveries_max: int = 10,
    ) -> None:
        self._link = link
        self._stream = stream
        self._durable = durable
        self._handle = handle
        self._ack_wait_s = ack_wait_s
        self._deliveries_max = deliveries_max
        self._subscription: JetStreamContext.PullSubscription | None = None

    async def step(self, *, fetch_s: float = _FETCH_S) -> bool:
        """Handle the next message; False where none came in time.

        Raises:
            DriveError: UNAVAILABLE; CONFLICT, where the stream or the consumer is not usable.
            nats.errors.Error: JetStream fails.

        """
        jetstream = await self._link.jetstream()
        try:
            if self._subscription is None:
                self._subscription = await self._subscribed(jetstream)
            message = await self._next(self._subscription, fetch_s)
            if message is not None:
                await self._take(jetstream, message)
        except BaseException:
            await self.rest()
            raise
        return message is not None

    async def rest(self) -> None:
        """Ask for no more messages until the next step: closing the connection would wait for some."""
        from nats.errors import Error

        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(Error, OSError):  # the connection is gone, and the subscription with it
                await subscription.unsubscribe()

    async def _next(self, subscription: "JetStreamContext.PullSubscription", fetch_s: float) -> "Msg | None":
        from nats.js.errors import FetchTimeoutError

        try:
            return (await subscription.fetch(1, timeout=fetch_s, heartbeat=fetch_s / 3))[0]
        except FetchTimeoutError:
            return None
        except TimeoutError:  # not even a heartbeat: the consumer is gone, with the server's data, and is made again
            await self.rest()
            return None

    async def _subscribed(self, jetstream: "JetStreamContext") -> "JetStreamContext.PullSubscription":
        from nats.js.api import ConsumerConfig
        from nats.js.errors import NotFoundError

        await ensure(jetstream, self._stream)
        await ensure(jetstream, DEAD_LETTERS)
        try:
            config = (await jetstream.consumer_info(self._stream.name, self._durable)).config
        except NotFoundError:
            # How often a message is delivered is not for JetStream to limit: it would drop it without a word.
            wanted = ConsumerConfig(
                name=self._durable,
                durable_name=self._durable,
                filter_subject=self._stream.subject,
                ack_wait=self._ack_wait_s,
            )
            config = (await jetstream.add_consumer(self._stream.name, wanted)).config
            log.info("Consumer created", stream=self._stream.name, consumer=self._durable)
        self._check(config)
        self._ack_wait_s = config.ack_wait or self._ack_wait_s
        return await jetstream.pull_subscribe_bind(self._durable, self._stream.name)

    def _check(self, config: "ConsumerConfig") -> None:
        if config.deliver_subject or config.ack_policy != "explicit":
            raise StreamError(
                f"The consumer {self._durable!r} of {self._stream.name!r} is there with other settings. It must be "
                f"pulled and acknowledged explicitly. Remove it: nats consumer rm {self._stream.name} {self._durable}"
            )

    async def _take(self, jetstream: "JetStreamContext", message: "Msg") -> None:
        deliveries = message.metadata.num_delivered
        async with self._kept(message):
            error = await self._attempt(message.data, deliveries)
            if error is None:
                await message.ack()
            elif isinstance(error, UnusableMessageError) or deliveries >= self._deliveries_max:
                await self._put_aside(jetstream, message, error)
            else:
                retry_s = min(_FIRST_RETRY_S * 2 ** (deliveries - 1), _LAST_RETRY_S)
                log.warning("Message failed", stream=self._stream.name, deliveries=deliveries, error=repr(error))
                await message.nak(retry_s)

    async def _attempt(self, data: bytes, deliveries: int) -> Exception | None:
        """Handle a message, and return what it failed with; an outage, logged where it begins, is waited out."""
        if deliveries > self._deliveries_max:  # all who had it were killed before they could say why
            return UnusableMessageError(f"It was delivered {deliveries} times and never done with.")
        while True:
            try:
                await self._handle(data)
            except DriveError as error:
                if error.code is not Code.UNAVAILABLE:
                    return error
                await asyncio.sleep(_OUTAGE_RETRY_S)
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller logs it
                return error
            else:
                return None

    @asynccontextmanager
    async def _kept(self, message: "Msg") -> AsyncIterator[None]:
        """Tell JetStream during a block that the message is being worked on."""
        keeping = asyncio.create_task(self._keep(message), name="keep a message")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def _keep(self, message: "Msg") -> None:
        from nats.errors import Error

        while True:
            await asyncio.sleep(self._ack_wait_s / 3)
            try:
                await message.in_progress()
            except (Error, OSError) as error:
                log.warning("Message will come again", stream=self._stream.name, error=type(error).__name__)
                return

    async def _put_aside(self, jetstream: "JetStreamContext", message: "Msg", error: Exception) -> None:
        """Move a message to the dead letters, for an operator to see."""
        origin, stored_at = message.metadata.sequence.stream, message.metadata.timestamp
        reason = str(error) if isinstance(error, UnusableMessageError) else repr(error)
        printable = " ".join(reason.encode("ascii", "replace").decode().split())[:_REASON_MAX_CHARS]
        headers = {
            MESSAGE_ID: f"{self._stream.name}:{origin}:{stored_at.timestamp()}",
            "Drive-Reason": printable,
            "Drive-Stream": self._stream.name,
            "Drive-Sequence": str(origin),
        }
        data = message.data[:_DEAD_LETTER_MAX_BYTES]
        await jetstream.publish(DEAD_LETTERS.subject, data, stream=DEAD_LETTERS.name, headers=headers)
        await message.term()
        log.error("Message put aside", stream=self._stream.name, sequence=origin, reason=printable)
