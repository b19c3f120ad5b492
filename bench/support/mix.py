"""All that clients do with Drive, in small: each scenario begins with nothing, and leaves nothing behind."""

import asyncio
import hashlib
import io
import itertools
import os
import random
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from bench.support.asker import Asker, Pace, Tally, WrongAnswerError
from bench.support.filled import FORM_TYPE, form
from drive.peers.seed import TOKENS

if TYPE_CHECKING:
    import aiohttp

_KIB: Final = 1024
_SMALL_BYTES: Final = 32 * _KIB
_CHUNK_BYTES: Final = 128 * _KIB
_CHUNKED_BYTES: Final = 2 * _CHUNK_BYTES + 1000
_TUS_BYTES: Final = 200 * _KIB
_LARGE_BYTES: Final = 4 * _KIB * _KIB
_PIXELS: Final = 256
_FOLDER: Final = "/bench/{number}/"
_TUS: Final = "/api/files/tus"
_VERSION: Final = {"Tus-Resumable": "1.0.0"}
_UPLOADED: Final = {"Content-Type": "application/octet-stream"}

Scenario = Callable[[Asker, int], Awaitable[None]]
"""Takes a number that no other run of it has."""


async def _stored(asker: Asker, content: bytes, query: str = "", name: str = "some.bin") -> str:
    path = f"/api/files/upload/direct{query}"
    return str((await asker.json("POST", path, data=form(name, content), headers=FORM_TYPE))["id"])


async def _deleted(asker: Asker, file_id: str) -> None:
    await asker.json("DELETE", f"/api/files/{file_id}")


async def small_files(asker: Asker, number: int) -> None:
    """Upload, look at, rename, download whole and in part, and delete."""
    content = os.urandom(_SMALL_BYTES)
    file = f"/api/files/{await _stored(asker, content, '?visibility=private')}"
    await asker.json("PATCH", f"{file}/name", json=f"renamed {number}.bin")
    await asker.json("PUT", f"{file}/marks", json={"sensitive_marks": [0, 3]})
    await asker.json("PUT", f"{file}/meta", json={"number": number})
    details = await asker.json("GET", f"{file}/info")
    asker.check("the name is the new one", is_so=details["name"] == f"renamed {number}.bin")
    whole = await asker.ask(200, "GET", file)
    asker.check("the download is what was uploaded", is_so=whole.body == content)
    part = await asker.ask(206, "GET", file, headers={"Range": "bytes=1000-1999"})
    asker.check("the range is a part of it", is_so=part.body == content[1000:2000])
    await asker.ask(304, "GET", file, headers={"If-None-Match": whole.headers["ETag"]})
    await asker.ask(416, "GET", file, headers={"Range": "bytes=99999999-"})
    await asker.ask(200, "HEAD", file)
    await asker.json("PUT", f"{file}/permission", json={"visibility": "public"})
    await asker.ask(200, "GET", f"{file}?download=true", headers={"Authorization": ""})
    await asker.json("GET", f"{file}/references")
    await _deleted(asker, file.rpartition("/")[2])


async def chunks(asker: Asker, number: int) -> None:
    """Upload in chunks, one of them twice; and begin another upload, and cancel it."""
    content = os.urandom(_CHUNKED_BYTES)
    wanted = {
        "hash": hashlib.sha256(content).hexdigest(),
        "file_name": f"{number}.bin",
        "file_size": len(content),
        "content_type": "application/octet-stream",
        "chunk_size": _CHUNK_BYTES,
    }
    task = await asker.json("POST", "/api/files/upload/create", json=wanted)
    upload, task_id = "/api/files/upload", task["task_id"]
    for index in (1, 0, 1, 2):
        piece = content[index * _CHUNK_BYTES : (index + 1) * _CHUNK_BYTES]
        await asker.ask(200, "POST", f"{upload}/chunk/{task_id}/{index}", data=piece, headers=_UPLOADED)
    await asker.json("GET", f"{upload}/resume/{task_id}")
    file = await asker.json("POST", f"{upload}/complete/{task_id}")
    await asker.json("GET", f"{upload}/tasks/{task_id}/details")
    await _deleted(asker, file["id"])
    other = await asker.json("POST", f"{upload}/create", json=wanted | {"hash": "another"})
    await asker.json("DELETE", f"{upload}/task/{other['task_id']}")
    await asker.json("DELETE", f"{upload}/tasks/cleanup")


async def tus(asker: Asker, number: int) -> None:
    """Upload by tus in two pieces; and begin another upload, and end it."""
    content, half = os.urandom(_TUS_BYTES), _TUS_BYTES // 2
    named = f"filename {b64encode(f'{number}.bin'.encode()).decode()}"
    begin = _VERSION | {"Upload-Length": str(_TUS_BYTES), "Upload-Metadata": named}
    location = urljoin(_TUS, (await asker.ask(201, "POST", _TUS, headers=begin)).headers["Location"])
    patch = _VERSION | {"Content-Type": "application/offset+octet-stream"}
    await asker.ask(204, "PATCH", location, data=content[:half], headers=patch | {"Upload-Offset": "0"})
    await asker.ask(409, "PATCH", location, data=content, headers=patch | {"Upload-Offset": "7"})
    await asker.ask(200, "HEAD", location, headers=_VERSION)
    last = await asker.ask(204, "PATCH", location, data=content[half:], headers=patch | {"Upload-Offset": str(half)})
    await _deleted(asker, last.headers["Upload-File-Id"])
    other = urljoin(_TUS, (await asker.ask(201, "POST", _TUS, headers=begin)).headers["Location"])
    await asker.ask(204, "DELETE", other, headers=_VERSION)
    await asker.ask(204, "OPTIONS", _TUS)


async def listings(asker: Asker, number: int) -> None:
    """List and search."""
    await asker.json("GET", "/api/files/me")
    await asker.json("GET", f"/api/files/me?order=name&orderDesc=false&query={number % 100}&take=50")
    await asker.json("GET", "/api/files/me?recycled=true&order=size")
    await asker.json("GET", f"/api/index/search?query=renamed%20{number % 1000}")
    await asker.json("GET", "/api/index/browse")
    await asker.json("GET", "/api/index/all?take=100")
    await asker.json("GET", "/api/index/unindexed")
    await asker.json("GET", "/api/files/upload/tasks?limit=20")
    await asker.json("GET", "/api/files/upload/tasks/recent")
    await asker.json("GET", "/api/files/upload/stats")
    await asker.json("GET", "/api/pools")


async def folders(asker: Asker, number: int) -> None:
    """Put a file into folders, move it, look, and take it out."""
    path = _FOLDER.format(number=number)
    file_id = await _stored(asker, os.urandom(_KIB), f"?path={path}")
    entry = await asker.json("POST", "/api/index/create", json={"file_id": file_id, "path": f"{path}more/"})
    await asker.json("POST", f"/api/index/move/{entry['index_id']}", json={"new_path": f"{path}other/"})
    seen = await asker.json("GET", f"/api/index/browse?path={path}")
    asker.check("the folder has its file", is_so=seen["total_count"] == 1)
    await asker.json("DELETE", f"/api/index/remove/{entry['index_id']}")
    await asker.json("DELETE", f"/api/index/clear-path?path={path}&deleteFiles=true")


async def recycling(asker: Asker, _number: int) -> None:
    """Put files into the recycle bin, take one out, and delete them all."""
    first, second = [await _stored(asker, os.urandom(_KIB)) for _ in range(2)]
    async with asker.lock:
        for file_id in (first, second):
            await asker.json("POST", f"/api/files/{file_id}/recycle")
        await asker.json("DELETE", f"/api/files/{first}/recycle")
        await asker.json("POST", "/api/files/batches/delete", json={"file_ids": [first]})
        emptied = await asker.json("DELETE", "/api/files/me/recycle")
    asker.check("the bin had one file", is_so=emptied["count"] == 1)


async def bundles(asker: Asker, number: int) -> None:
    """Share a bundle, look at it as somebody else with the wrong passcode and the right one, and delete it."""
    made = await asker.json("POST", "/api/bundles", json={"name": f"Bundle {number}", "passcode": "right"})
    bundle = f"/api/bundles/{made['id']}"
    await asker.json("PUT", bundle, json={"description": "Some files."})
    await asker.ask(403, "GET", bundle, headers={"Authorization": "", "X-Passcode": "wrong"})
    await asker.ask(200, "GET", bundle, headers={"Authorization": "", "X-Passcode": "right"})
    await asker.json("GET", f"/api/bundles/by-slug/{made['slug']}?take=10")
    await asker.json("GET", "/api/bundles/me?term=Bundle")
    await asker.ask(204, "DELETE", bundle)


async def billing(asker: Asker, _number: int) -> None:
    """Look at the quota and what it costs, and order some and think better of it."""
    await asker.json("GET", "/api/billing/quota")
    await asker.json("GET", "/api/billing/quota/records")
    await asker.json("GET", "/api/billing/usage")
    await asker.json("GET", "/api/billing/offers")
    order = (await asker.json("POST", "/api/billing/orders", json={"quota_gib": 1}))["order"]
    await asker.json("GET", f"/api/billing/orders/{order['id']}")
    await asker.json("DELETE", f"/api/billing/orders/{order['id']}")


async def images(asker: Asker, number: int) -> None:
    """Upload an image, of which the worker makes other forms, unless it is deleted first."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (_PIXELS, _PIXELS), number % 2**24).save(file, "PNG")
    path = f"/api/files/upload/direct?fileName={number}.png"
    image = await asker.json("POST", path, data=file.getvalue(), headers={"Content-Type": "image/png"})
    for _ in range(10):
        details = await asker.json("GET", f"/api/files/{image['id']}/info")
        if details["variants"]:
            break
        await asyncio.sleep(0.2)
    await asker.ask(200, "GET", f"/api/files/{image['id']}")
    await _deleted(asker, image["id"])


async def mistakes(asker: Asker, number: int) -> None:
    """Do what is wrong, in each way that there is a status for."""
    await asker.ask(401, "GET", "/api/files/me", headers={"Authorization": f"Bearer nobody-{number}"})
    await asker.ask(401, "GET", "/api/files/me", headers={"Authorization": ""})
    await asker.ask(404, "GET", f"/api/files/no-such-file-{number}/info")
    await asker.ask(404, "GET", f"/nowhere/{number}")
    await asker.ask(405, "POST", "/api/files/me")
    await asker.ask(400, "GET", "/api/files/me?take=many")
    await asker.ask(400, "POST", "/api/files/upload/create", data=b"{", headers={"Content-Type": "application/json"})
    await asker.ask(400, "POST", "/api/files/upload/direct", data=b"no form", headers=FORM_TYPE)
    await asker.ask(412, "POST", _TUS, headers={"Tus-Resumable": "0.2.2", "Upload-Length": "7"})
    await asker.ask(403, "DELETE", "/api/files/recycle")


async def hanging_up(asker: Asker, _number: int) -> None:
    """Break off uploads and a download."""
    await asker.hang_up(
        f"POST /api/files/upload/direct?fileName=broken.bin HTTP/1.1\r\nContent-Length: {_LARGE_BYTES}",
        os.urandom(_SMALL_BYTES),
    )
    begin = _VERSION | {"Upload-Length": str(_TUS_BYTES)}
    location = urljoin(_TUS, (await asker.ask(201, "POST", _TUS, headers=begin)).headers["Location"])
    head = f"PATCH {location} HTTP/1.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Length: {_TUS_BYTES}"
    await asker.hang_up(f"{head}\r\nContent-Type: application/offset+octet-stream", os.urandom(_KIB))
    await asker.ask(204, "DELETE", location, headers=_VERSION)
    file_id = await _stored(asker, os.urandom(_LARGE_BYTES))
    await asker.hang_up(f"GET /api/files/{file_id} HTTP/1.1")
    await _deleted(asker, file_id)


async def probes(asker: Asker, number: int) -> None:
    """Ask as load balancers do, and now and then as a curious developer."""
    for path in ("/alive", "/health", "/alive"):
        await asker.ask(200, "GET", path, headers={"Authorization": ""})
    if number % 10 == 0:
        await asker.ask(200, "GET", "/openapi.json")
        await asker.ask(200, "GET", "/docs")


SCENARIOS: Final[Sequence[Scenario]] = (
    small_files,
    listings,
    chunks,
    probes,
    tus,
    folders,
    mistakes,
    recycling,
    bundles,
    billing,
    images,
    hanging_up,
)


async def run(session: "aiohttp.ClientSession", url: str, pace: Pace, tally: Tally, clients: int) -> None:
    """Go through all scenarios again and again, as so many clients of two accounts, until cancelled."""
    numbers = itertools.count(random.SystemRandom().randrange(2**20) * 1000)
    accounts = itertools.cycle([(TOKENS[name], asyncio.Lock()) for name in ("plain", "subscriber")])

    async def client(first: int, asker: Asker) -> None:
        for scenario in itertools.islice(itertools.cycle(SCENARIOS), first, None):
            try:
                await scenario(asker, next(numbers))
            except WrongAnswerError:  # which is in the tally; the next scenario begins anew
                continue
            except Exception as error:  # noqa: BLE001 - whatever an answer lacked, the others go on
                tally.wrong.append(f"{scenario.__name__}: {error!r}")

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            token, lock = next(accounts)
            group.create_task(client(number, Asker(session, url, token, pace, tally, lock)))
