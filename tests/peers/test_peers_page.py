import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from drive.peers import Account, World, development, routes
from drive.peers.seed import PLAIN_ID
from drive.peers.world import Notification, Packet

SCRIPT = "<script>alert('&')</script>"
ESCAPED = "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;"


@asynccontextmanager
async def browser(world: World, prefix: str = "") -> AsyncIterator[TestClient[web.Request, web.Application]]:
    page, app = web.Application(), web.Application()
    page.add_routes(routes(world))
    if prefix:
        app.add_subapp(prefix, page)
    async with TestClient(TestServer(app if prefix else page)) as client:
        yield client


async def text_of(world: World) -> str:
    async with browser(world) as client:
        response = await client.get("/")
        assert response.status == 200
        assert response.content_type == "text/html"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        return await response.text()


async def test_the_page_lists_accounts_with_their_tokens() -> None:
    text = await text_of(development())
    for shown in ("plain-token", "subscriber-token", "admin-token", "solian.stellar.nova", "superuser", PLAIN_ID):
        assert f"<td>{shown}</td>" in text
    assert "<td>expired</td>" in text


async def test_the_page_is_whole_without_a_network() -> None:
    text = await text_of(development())
    assert "http://" not in text
    assert "https://" not in text
    assert "src=" not in text


async def test_everything_on_the_page_is_escaped() -> None:
    world = development()
    world.add(Account(SCRIPT), SCRIPT)
    world.packets.append(Packet(SCRIPT, SCRIPT.encode(), device_id=SCRIPT))
    world.notifications.append(Notification(SCRIPT, SCRIPT, SCRIPT, body=SCRIPT))
    text = await text_of(world)
    assert "<script" not in text
    assert text.count(ESCAPED) == 2 + 3 + 4


async def test_the_page_outlives_a_session_that_is_gone() -> None:
    world = development()
    world.sessions.clear()
    assert "no session" in await text_of(world)


async def test_the_newest_come_first_and_the_old_are_left_out() -> None:
    world = development()
    world.packets.extend(Packet(f"type-{number}", b"", PLAIN_ID) for number in range(60))
    text = await text_of(world)
    assert text.index("type-59") < text.index("type-10")
    assert "type-9<" not in text


@pytest.mark.parametrize(
    ("data", "shown"),
    [(b'{"progress": 0.5}', {"progress": 0.5}), (b"", ""), (b"plain", "plain"), (b"\xff", "\N{REPLACEMENT CHARACTER}")],
)
async def test_packets_as_json(data: bytes, shown: object) -> None:
    world = development()
    world.packets.extend([Packet("old", b"{}", PLAIN_ID), Packet("new", data, PLAIN_ID)])
    async with browser(world, "/peers") as client:
        newest, _ = await (await client.get("/peers/packets.json")).json()
    assert (newest["type"], newest["user_id"], newest["data"]) == ("new", PLAIN_ID, shown)
    assert newest["at"].endswith("+00:00")


async def test_notifications_as_json() -> None:
    world = development()
    world.notifications.append(Notification(PLAIN_ID, "drive.tasks", "Done", meta=b'{"id": 1}'))
    async with browser(world) as client:
        (only,) = json.loads(await (await client.get("/notifications.json")).text())
    assert (only["title"], only["meta"]) == ("Done", {"id": 1})
