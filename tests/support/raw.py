"""Requests byte by byte, for what no HTTP client would send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlsplit

from support.api import Api

BOUNDARY = "boundary-of-the-test"


def multipart(field: str, content: bytes, *, head: str = "") -> bytes:
    """Return a form with one file; `head` is put into the header of its part."""
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="file.bin"'
    start = f"--{BOUNDARY}\r\n{disposition}\r\n{head}\r\n".encode()
    return start + content + f"\r\n--{BOUNDARY}--\r\n".encode()


class RawRequest:
    """A request whose body is sent in pieces."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def begin(cls, api: Api, method: str, target: str, **headers: str) -> AsyncIterator[Self]:
        """Send the line and the headers; underscores in names of headers stand for hyphens. Closes at the end."""
        address = urlsplit(api.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            named = {"Host": address.netloc, "Authorization": f"Bearer {api.token}"} | headers
            lines = [f"{method} {target} HTTP/1.1", *(f"{name.replace('_', '-')}: {it}" for name, it in named.items())]
            writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    @classmethod
    @asynccontextmanager
    async def begin_form(cls, api: Api, target: str, body: bytes) -> AsyncIterator[Self]:
        """Announce a multipart body, and send none of it yet."""
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        async with cls.begin(api, "POST", target, Content_Type=kind, Content_Length=str(len(body))) as request:
            yield request

    async def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> bytes:
        """Return the answer up to the end of its headers."""
        return await self._reader.readuntil(b"\r\n\r\n")

    def cut_off(self, *, reset: bool) -> None:
        """Break the connection, politely or not."""
        if reset:
            self._writer.transport.abort()
        else:
            self._writer.close()
