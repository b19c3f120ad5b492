"""A network that breaks."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_PIECE_BYTES = 64 * 1024


class Cutting:
    """A TCP proxy that breaks a connection whenever so many bytes have gone to the server, over all connections.

    Args:
        url: of the server; another may take its place.
        cuts: after how many bytes, in ascending order. Each breaks the connection that is sending.

    """

    def __init__(self, url: str, cuts: Sequence[int]) -> None:
        self.target = url
        self.url = ""
        self.cut = 0
        """How many connections were broken."""
        self._cuts = list(cuts)
        self.sent_bytes = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Cutting"]:
        """Listen on loopback for a block."""
        async with asyncio.TaskGroup() as connections:

            def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                carried.add(connections.create_task(self._carry(reader, writer)))

            carried = set[asyncio.Task[None]]()
            server = await asyncio.start_server(carry, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with server:
                yield self
            for one in carried:
                one.cancel()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = urlsplit(self.target)
        try:
            to_server = await asyncio.open_connection(address.hostname, address.port)
        except OSError:
            writer.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, to_server[1], counts=True))
                pumps.create_task(self._pump(to_server[0], writer, counts=False))
        except* OSError:
            pass  # the connection is broken, by us or by one of the two
        finally:
            to_server[1].transport.abort()
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool) -> None:
        while data := await reader.read(_PIECE_BYTES):
            if counts and self._cuts and self.sent_bytes + len(data) > self._cuts[0]:
                self.sent_bytes = self._cuts.pop(0)
                self.cut += 1
                raise ConnectionAbortedError
            if counts:
                self.sent_bytes += len(data)
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()
