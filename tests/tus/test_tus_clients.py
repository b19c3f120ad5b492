"""The clients that people have, over a network that breaks."""

import asyncio
import functools
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp
import pytest
from aiohttp import web
from support.api import Api
from support.npm import installed
from support.process import serving
from support.tus import ROOT
from support.waiting import eventually
from tus_proxy import Cutting

from drive.peers import TOKENS
from drive.settings import Settings

MIB = 1024 * 1024
SIZE_BYTES = 32 * MIB + 12_345
CUTS = 10
PYTHON = Path(__file__).parents[2] / ".venv-tools/bin/python"
TUSPY = [str(PYTHON), str(Path(__file__).with_name("tuspy_upload.py"))]


@pytest.fixture(scope="session")
def tus_js(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Give the command that uploads by tus-js-client."""
    folder = installed(Path(__file__).with_name("tus_js"), tmp_path_factory.mktemp("tus_js") / "upload")
    return ["node", str(folder / "upload.js")]


@pytest.fixture(scope="session")
def tuspy() -> list[str]:
    """Give the command that uploads by tuspy."""
    if not PYTHON.exists():
        pytest.skip("tuspy is not installed: scripts/test makes .venv-tools, which has it")
    return TUSPY


@dataclass(frozen=True, slots=True)
class Content:
    """A file to upload."""

    file: Path
    sha256: str

    @classmethod
    def written(cls, folder: Path, data: bytes) -> Self:
        """Write one."""
        file = folder / "content.bin"
        file.write_bytes(data)
        return cls(file, hashlib.sha256(data).hexdigest())


@pytest.fixture
def content(tmp_path: Path) -> Content:
    """Give a file of some size."""
    return Content.written(tmp_path, random.Random(1).randbytes(SIZE_BYTES))


@pytest.fixture
def nothing(tmp_path: Path) -> Content:
    """Give an empty file."""
    return Content.written(tmp_path, b"")


async def uploaded(command: Sequence[str], endpoint: str, content: Content, *options: str) -> str:
    """Upload a file with a client, and return its id."""
    process = await asyncio.create_subprocess_exec(
        *command,
        endpoint,
        TOKENS["plain"],
        str(content.file),
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaint.decode()
    return said.decode().strip()


async def sha256(api: Api, file_id: str) -> str:
    """Return what a download comes to."""
    hasher = hashlib.sha256()
    headers = {"Authorization": f"Bearer {api.token}"}
    async with api.session.get(f"{api.url}/api/files/{file_id}", headers=headers) as response:
        assert response.status == 200
        async for piece in response.content.iter_chunked(MIB):
            hasher.update(piece)
    return hasher.hexdigest()


async def is_whole(api: Api, file_id: str, content: Content) -> bool:
    info = (await api.get(f"/api/files/{file_id}/info")).json
    says = info["name"], info["hash"]
    return says == ("über.bin", content.sha256) and await sha256(api, file_id) == content.sha256


def evenly(count: int, size_bytes: int) -> list[int]:
    """Return after how many bytes to cut: inside of chunks, and never at the same place in two."""
    return [n * size_bytes // (count + 1) + 997 * n for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("chunk_bytes", "root"), [(0, ROOT), (3_000_000, f"{ROOT}/")], ids=["one request", "requests of 3 MB"]
)
@pytest.mark.leaks("task")  # aiohttp waits 10 s for what is left of a body that was refused, be its connection gone
@pytest.mark.parametrize("client", ["tus_js", "tuspy"])
async def test_an_upload_arrives_whole_however_often_its_connection_breaks(
    request: pytest.FixtureRequest, api: Api, content: Content, client: str, chunk_bytes: int, root: str
) -> None:
    command = request.getfixturevalue(client)
    options = [str(chunk_bytes), *[""] * (client == "tuspy")]
    async with Cutting(api.url, evenly(CUTS, SIZE_BYTES)).running() as network:
        file_id = await uploaded(command, network.url + root, content, *options)
    assert network.cut == CUTS
    assert await is_whole(api, file_id, content)
    assert (await api.get("/api/files/me")).headers["X-Total"] == "1"


@pytest.mark.leaks("task")  # as above
async def test_tuspy_sends_checksums(tuspy: list[str], api: Api, content: Content) -> None:
    """Bytes that came with one before the connection broke do not count, so that there must be fewer at a time."""
    async with Cutting(api.url, evenly(CUTS, SIZE_BYTES)).running() as network:
        file_id = await uploaded(tuspy, network.url + ROOT, content, "1000000", "checksum")
    assert network.cut == CUTS
    assert await is_whole(api, file_id, content)


async def test_an_empty_file_arrives(tus_js: list[str], api: Api, nothing: Content) -> None:
    assert await is_whole(api, await uploaded(tus_js, api.url + ROOT, nothing, "0"), nothing)


async def test_a_gateway_may_serve_it_under_another_path(
    tus_js: list[str], tuspy: list[str], api: Api, content: Content
) -> None:
    """One that drops a first folder and adds another, as that of the original does."""
    async with gateway(api.url) as url:
        for command, options in ((tus_js, ["0"]), (tuspy, ["0", ""])):
            file_id = await uploaded(command, f"{url}/drive/files/tus", content, *options)
            assert await is_whole(api, file_id, content)


@asynccontextmanager
async def gateway(url: str) -> AsyncIterator[str]:
    """Serve under `/drive` what the service has under `/api`."""

    async def pass_on(request: web.Request) -> web.Response:
        target = f"{url}/api/{request.match_info['rest']}"
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        body = request.content if request.body_exists else None
        async with session.request(request.method, target, headers=headers, data=body) as answer:
            return web.Response(status=answer.status, headers=answer.headers, body=await answer.read())

    app = web.Application()
    app.router.add_route("*", "/drive/{rest:.*}", pass_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        async with aiohttp.ClientSession() as session:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("client", ["tus_js", "tuspy"])
async def test_an_upload_goes_on_when_the_server_was_killed_and_started_again(
    request: pytest.FixtureRequest, settings: Settings, content: Content, client: str
) -> None:
    """What the clients were told has arrived has, so that none of them fails."""
    command = request.getfixturevalue(client)
    options = ["3000000", *[""] * (client == "tuspy")]
    async with Cutting("http://127.0.0.1:9", []).running() as network, AsyncExitStack() as servers:
        server = await servers.enter_async_context(serving(settings))
        network.target = server.url
        upload = asyncio.create_task(uploaded(command, network.url + ROOT, content, *options))
        for _ in range(3):
            more_bytes = network.sent_bytes + 5 * MIB
            await eventually(functools.partial(has_sent, network, more_bytes))
            await server.kill()
            server = await servers.enter_async_context(serving(settings))
            network.target = server.url
        assert await is_whole(server.api, await upload, content)


def has_sent(network: Cutting, count: int) -> bool:
    return network.sent_bytes >= count
