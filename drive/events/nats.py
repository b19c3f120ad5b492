"""The connection to NATS."""

import asyncio
from typing import TYPE_CHECKING

import structlog

from drive.errors import unavailable
from drive.lazy import load

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

    from drive.lazy import Lazy

log = structlog.get_logger()

CLIENT_NAME = "drive"
"""How our connections are told from others in NATS' `/connz`."""

# The client goes on connecting for minutes; whoever waits for it asks again meanwhile.
_CONNECT_PATIENCE_S = 3.0


class Outage:
    """Tells the log once when NATS is lost, and once when it is back, over several connections."""

    def __init__(self) -> None:
        self._is_on = False

    def note(self, error: Exception) -> None:
        """Log the beginning, by the error's type: its text can name hosts and users."""
        if not self._is_on:
            self._is_on = True
            log.warning("NATS unreachable", error=type(error).__name__)

    def end(self) -> None:
        """Log the end, where there was an outage."""
        if self._is_on:
            self._is_on = False
            log.info("NATS reachable again")


async def open_nats(*, url: str, outage: Outage) -> "Client":
    """Connect, with the client's own settings: two seconds between attempts, some sixty of them.

    Args:
        url: nats:// or tls://, several of them with commas between.
        outage: told of what goes wrong, now and later.

    Raises:
        nats.errors.Error: no server could be reached, in all those attempts.

    """
    await load("nats")
    from nats.aio.client import Client
    from nats.errors import StaleConnectionError

    client = Client()

    async def failed(error: Exception) -> None:
        if not client.is_connected or isinstance(error, (OSError, StaleConnectionError)):
            outage.note(error)
        else:  # a permission that is missing, say
            log.warning("NATS error", error=str(error))

    async def lost() -> None:
        if not client.is_closed:
            outage.note(ConnectionError())

    async def connected() -> None:
        outage.end()

    try:
        await client.connect(
            url.split(","), name=CLIENT_NAME, error_cb=failed, disconnected_cb=lost, reconnected_cb=connected
        )
    except BaseException:  # also when cancelled in the middle, with a socket that is open already
        await client.close()
        raise
    outage.end()
    return client


async def close_nats(client: "Client") -> None:
    """Let what is on its way arrive, and close; during an outage only close."""
    if client.is_connected:
        await client.drain()
    else:
        await client.close()


class Link:
    """The connection as publishers and consumers use it: there, or not now."""

    def __init__(self, nats: "Lazy[Client]") -> None:
        self._nats = nats

    async def jetstream(self) -> "JetStreamContext":
        """Return what asks JetStream; connect for it where that was not done, or the client has given up.

        Raises:
            DriveError: UNAVAILABLE, during an outage, which is in the log already.

        """
        client = await self._opened()
        if client.is_closed:
            if self._nats.peek() is client:  # else another has done this
                await self._nats.aclose()
            client = await self._opened()
        if not client.is_connected:
            raise unavailable("NATS")
        return client.jetstream()

    async def _opened(self) -> "Client":
        await load("nats")
        from nats.errors import Error

        try:
            async with asyncio.timeout(_CONNECT_PATIENCE_S):
                return await self._nats()
        except (OSError, Error) as error:
            raise unavailable("NATS") from error
