"""The session for outgoing HTTP."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from drive.http.client import close_session, open_session

MOST = 3


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    session = await open_session(connections_per_host=MOST, timeout_s=10)
    yield session
    await close_session(session)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Give a folder with a key and a certificate of localhost, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command.split(), *names], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    session: aiohttp.ClientSession, certificate: Path
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    trusting = ssl.create_default_context(cafile=certificate / "cert.pem")
    server = await asyncio.start_server(answer, "localhost", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
    async with server:
        async with session.get(url, ssl=trusting) as response:
            assert response.status == 204
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(url)


def test_every_host_may_have_as_many_connections(session: aiohttp.ClientSession) -> None:
    assert session.connector is not None
    assert session.connector.limit_per_host == MOST
