"""How often each request asks the database."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support.api import Answer, Api
from support.queries import counting
from support.rows import Rows, add_files

from drive.containers import Container
from drive.settings import Settings

CONTENT = b"0123456789"

Serve = Callable[[Container], Awaitable[Api]]

# A request, and what it may ask once the connections are open. A transaction's begin and commit count as statements.
STATEMENTS: dict[str, int] = {
    "info": 1,
    "download": 1,
    "head": 1,
    "range": 1,
    "not modified": 1,
    "listing": 1,
    "listing, a name": 1,
    "listing, beyond the end": 1,
    "pools": 1,
    "quota": 1,
    "usage": 2,  # what there is of quota, what is used
    "create": 8,  # pool, content, extra quota; begin, lock, what is used, insert, commit
    "create, content is there": 3,  # pool, content, file
    "chunk": 3,  # may it come; once it is locked, is it still not there; it is
    "chunk again": 1,
    "chunk of nobody": 1,
    "progress": 1,
    "resume": 1,
    "complete": 3,  # what there is, make the file, show it
    "complete again": 2,
    "direct": 10,  # as create, but for the content; then its size, the file, show it
    "rename": 2,
    "delete": 2,
    "cancel": 2,
    "a strange id": 0,
    "alive": 0,
    "without a token": 0,
}


async def test_requests_ask_the_database_this_often(
    settings: Settings, serve_app: Serve, subtests: pytest.Subtests
) -> None:
    container = Container(settings=settings)
    database = counting(container)
    api = await serve_app(container)
    file = await api.upload(b"there already")
    path = f"/api/files/{file['id']}"
    seen: dict[str, int] = {}

    async def counted(name: str, request: Awaitable[Answer], status: int = 200) -> Any:
        with database.counted() as statements:
            answer = await request
        assert answer.status == status, answer
        seen[name] = len(statements)
        return answer

    await counted("info", api.get(f"{path}/info"))
    whole = await counted("download", api.get(path))
    await counted("head", api.request("HEAD", path))
    await counted("range", api.get(path, headers={"Range": "bytes=0-1"}), 206)
    await counted("not modified", api.get(path, headers={"If-None-Match": whole.headers["ETag"]}), 304)
    await counted("listing", api.get("/api/files/me"))
    await counted("listing, a name", api.get("/api/files/me?query=x&recycled=true"))
    await counted("listing, beyond the end", api.get("/api/files/me?offset=1000"))
    await counted("pools", api.get("/api/pools"))
    await counted("quota", api.get("/api/billing/quota"))
    await counted("usage", api.get("/api/billing/usage"))
    task_id = (await counted("create", api.create(CONTENT, chunk_size=5))).json["task_id"]
    await counted("create, content is there", api.create(b"there already"))
    await counted("chunk", api.send_chunk(task_id, 0, CONTENT[:5]))
    await counted("chunk again", api.send_chunk(task_id, 0, CONTENT[:5]))
    await counted("chunk of nobody", api.send_chunk("absent", 0, CONTENT), 404)
    await counted("progress", api.progress(task_id))
    await counted("resume", api.resume(task_id))
    await api.send_chunk(task_id, 1, CONTENT[5:])
    await counted("complete", api.complete(task_id))
    await counted("complete again", api.complete(task_id))
    await counted("direct", api.upload_direct(b"direct"))
    await counted("rename", api.request("PATCH", f"{path}/name", json="new"))
    await counted("delete", api.delete(path))
    cancelled = (await api.create(b"cancelled")).json["task_id"]
    await counted("cancel", api.cancel(cancelled))
    await counted("a strange id", api.get("/api/files/pool:1"), 404)
    await counted("alive", api.get("/alive"))
    await counted("without a token", api.signed_in_as(None).get("/api/files/me"), 401)

    assert seen.keys() == STATEMENTS.keys()
    for name, most in STATEMENTS.items():
        with subtests.test(name):
            assert seen[name] == most


@pytest.mark.parametrize("count", [5, 200])
async def test_a_listing_asks_once_however_many_files_there_are(
    settings: Settings, serve_app: Serve, rows: Rows, count: int
) -> None:
    container = Container(settings=settings)
    database = counting(container)
    api = await serve_app(container)
    await add_files(rows, count)
    await api.get("/api/files/me")  # a new connection is told of types first
    for query in ("", "?order=name", "?order=size&orderDesc=false&offset=3", "?query=file", "?take=100"):
        with database.counted() as statements:
            answer = await api.get(f"/api/files/me{query}")
        assert answer.headers["X-Total"] == str(count)
        assert len(answer.json) > 0
        assert len(statements) == 1
