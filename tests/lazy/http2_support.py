"""An HTTP/2 server that does what no gRPC server does on demand: refuses streams, or ends them with any status."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING = 0, 1, 3, 4, 6
_ACK, _END_STREAM, _END_HEADERS = 0x1, 0x1, 0x4
_REFUSED_STREAM = 7


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server does with one stream: messages, then a status; `refuse` does neither."""

    messages: tuple[bytes, ...] = ()
    status: int = 0
    details: str = ""
    refuse: bool = False


REFUSED = Answer(refuse=True)
UNAVAILABLE = Answer(status=14, details="come back later")
OK = Answer(messages=(b"yes",))


@dataclass
class Http2Server:
    """Answers each stream with the next of `answers`, and with the last one from then on."""

    port: int = 0
    streams: int = 0
    """How many there were."""
    answers: list[Answer] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client ends it."""
        try:
            await reader.readexactly(len(_PREFACE))
            writer.write(_frame(_SETTINGS, 0, 0, b""))
            while True:
                head = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(head[:3]))
                kind, flags, stream = head[3], head[4], int.from_bytes(head[5:])
                writer.write(b"".join(self._reactions(kind, flags, stream, payload)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    def _reactions(self, kind: int, flags: int, stream: int, payload: bytes) -> Iterable[bytes]:
        if kind in {_SETTINGS, _PING} and not flags & _ACK:
            yield _frame(kind, _ACK, 0, payload if kind == _PING else b"")
        if kind == _HEADERS:
            yield from self._answered(stream)

    def _answered(self, stream: int) -> Iterable[bytes]:
        answer = self.answers[min(self.streams, len(self.answers) - 1)]
        self.streams += 1
        if answer.refuse:
            yield _frame(_RST_STREAM, 0, stream, struct.pack(">I", _REFUSED_STREAM))
            return
        yield _frame(_HEADERS, _END_HEADERS, stream, b"\x88" + _literal("content-type", "application/grpc"))
        for message in answer.messages:
            yield _frame(_DATA, 0, stream, struct.pack(">BI", 0, len(message)) + message)
        trailers = _literal("grpc-status", str(answer.status)) + _literal("grpc-message", answer.details)
        yield _frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, trailers)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _literal(name: str, value: str) -> bytes:
    """Encode a header as HPACK does what is in no table (RFC 7541, section 6.2.2)."""
    return b"\x00" + b"".join(bytes([len(text)]) + text for text in (name.encode(), value.encode()))


@asynccontextmanager
async def http2_server(*answers: Answer) -> AsyncIterator[Http2Server]:
    """Give a server with these answers, each for one stream; the last one for all that follow."""
    http2 = Http2Server(answers=list(answers))
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not server.is_serving():  # accepted just before it stopped
            writer.transport.abort()
            return
        connections.add(asyncio.ensure_future(http2.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    http2.port = server.sockets[0].getsockname()[1]
    try:
        yield http2
    finally:
        server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()
