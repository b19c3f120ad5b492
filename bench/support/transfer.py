"""One large body each way, by a client that costs next to nothing: the kernel moves the bytes."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final
from urllib.parse import urlsplit

_READ_BYTES: Final = 1024 * 1024
_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how long it took from the first byte sent to the last one received."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    took_s: float


class Client:
    """A connection that is kept; blocking, for a thread. Its bodies have a length, both ways."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=_TIMEOUT_S)
        self._headers = {"Host": parts.netloc, **(headers or {})}

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | tuple[Path, int, int] = b"",
        headers: Mapping[str, str] | None = None,
        *,
        keeps: bool = True,
    ) -> Answer:
        """Send a request, and return the answer.

        Args:
            method: GET, say.
            path: with its query.
            body: bytes, or a file, an offset and a count.
            headers: beside those of the client.
            keeps: whether the answer's body is wanted; else the kernel drops it.

        Raises:
            ConnectionError: the server has closed the connection.

        """
        length = body[2] if isinstance(body, tuple) else len(body)
        lines = {**self._headers, "Content-Length": str(length), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        began = perf_counter()
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())
        self._send(body)
        status, answered, rest = self._head()
        received = self._body(rest, 0 if method == "HEAD" else int(answered.get("content-length", "0")), keeps=keeps)
        return Answer(status, answered, received, perf_counter() - began)

    def _send(self, body: bytes | tuple[Path, int, int]) -> None:
        if isinstance(body, bytes):
            self._socket.sendall(body)
            return
        path, offset, count = body
        with path.open("rb") as file:
            self._socket.sendfile(file, offset, count)

    def _head(self) -> tuple[int, dict[str, str], bytes]:
        received = b""
        while b"\r\n\r\n" not in received:
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionResetError(f"The server closed the connection after {received!r}")
            received += piece
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(first.split()[1]), headers, rest

    def _body(self, rest: bytes, length: int, *, keeps: bool) -> bytes:
        """Receive the body; with MSG_TRUNC the kernel drops it and only tells how much it was."""
        kept, buffer = bytearray(rest), bytearray(_READ_BYTES)
        missing = length - len(rest)
        flags = 0 if keeps else socket.MSG_TRUNC
        while missing > 0:
            count = self._socket.recv_into(buffer, min(missing, _READ_BYTES), flags)
            if count == 0:
                raise ConnectionResetError(f"The server closed the connection; {missing} of {length} bytes are missing")
            missing -= count
            if keeps:
                kept += buffer[:count]
        return bytes(kept)


def random_file(path: Path, size_bytes: int) -> Path:
    """Write a file that nothing can compress, and have it in the system's cache."""
    with path.open("wb") as file:
        for _ in range(size_bytes // _READ_BYTES):
            file.write(os.urandom(_READ_BYTES))
        file.write(os.urandom(size_bytes % _READ_BYTES))
    return path
