"""The HTTP API, as a client of it."""

import hashlib
import io
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from yarl import URL

from drive.app import create_app
from drive.containers import Container
from drive.peers import TOKENS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Answer:
    """An answer that has been read."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = body
        self.is_from_bucket = bool(response.history)
        """Whether we sent the client there."""

    @property
    def json(self) -> Any:
        import msgspec

        return msgspec.json.decode(self.body)

    @property
    def is_safe_to_show(self) -> bool:
        """Whether it says that nothing in it may run, as we do.

        No bucket says that; what it sends is not of our origin, where it could do harm.
        """
        policy = self.headers.get("Content-Security-Policy", "")
        is_locked_up = "sandbox" in policy and "default-src 'none'" in policy
        return self.is_from_bucket or (is_locked_up and self.headers["X-Content-Type-Options"] == "nosniff")

    @property
    def code(self) -> Any:
        """The error's code, None where the answer is none."""
        is_problem = self.headers.get("Content-Type", "").startswith("application/problem+json")
        return self.json["code"] if is_problem else None

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:300]!r}>"


class Api:
    """Requests with the token of one of the development accounts."""

    follows = False
    """Whether answers that send a client elsewhere are followed, as browsers do: without the token, with the range."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None = TOKENS["plain"]) -> None:
        self.session = session
        self.url = url
        self.token = token

    @classmethod
    @asynccontextmanager
    async def serving(cls, container: Container) -> "AsyncIterator[Api]":
        """Serve a container's application on loopback."""
        runner = web.AppRunner(create_app(container), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession() as session:
                yield cls(session, url)
        finally:
            await runner.cleanup()

    def signed_in_as(self, account: str | None) -> "Api":
        """Return the API as another account sees it; None is nobody."""
        return Api(self.session, self.url, TOKENS[account] if account else None)

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request to the path, exactly as it is written, and read the answer, whatever its status."""
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        async with self.session.request(
            method, URL(self.url + path, encoded=True), headers=headers, allow_redirects=self.follows, **options
        ) as response:
            assert not response.history or "Authorization" not in response.request_info.headers
            return Answer(response, await response.read())

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answer:
        return await self.request("POST", path, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        return await self.request("DELETE", path, **options)

    async def create(self, content: bytes, **fields: Any) -> Answer:
        """Begin an upload of this content; fields replace those of a truthful request."""
        body = {
            "hash": hashlib.sha256(content).hexdigest(),
            "file_name": "file.bin",
            "file_size": len(content),
            "content_type": "application/octet-stream",
        }
        return await self.post("/api/files/upload/create", json=body | fields)

    async def send_chunk(self, task_id: str, index: int, data: bytes) -> Answer:
        """Send one chunk as the original's clients do."""
        form = aiohttp.FormData()
        form.add_field("chunk", io.BytesIO(data), filename="chunk", content_type="application/octet-stream")
        return await self.post(f"/api/files/upload/chunk/{task_id}/{index}", data=form)

    async def send_chunks(self, task: Any, content: bytes) -> None:
        """Send all chunks, in order."""
        size = task["chunk_size"]
        for index in range(task["chunks_count"]):
            answer = await self.send_chunk(task["task_id"], index, content[index * size : (index + 1) * size])
            assert answer.status == 200, answer

    async def progress(self, task_id: str) -> Answer:
        return await self.get(f"/api/files/upload/progress/{task_id}")

    async def resume(self, task_id: str) -> Answer:
        return await self.get(f"/api/files/upload/resume/{task_id}")

    async def cancel(self, task_id: str) -> Answer:
        return await self.delete(f"/api/files/upload/task/{task_id}")

    async def complete(self, task_id: str) -> Answer:
        return await self.post(f"/api/files/upload/complete/{task_id}")

    async def upload(self, content: bytes, **fields: Any) -> Any:
        """Upload in chunks, and return the file."""
        created = await self.create(content, **fields)
        assert created.status == 200, created
        await self.send_chunks(created.json, content)
        completed = await self.complete(created.json["task_id"])
        assert completed.status == 200, completed
        return completed.json

    async def upload_direct(
        self, content: bytes, name: str = "file.bin", content_type: str = "application/octet-stream", **params: str
    ) -> Answer:
        """Upload in one request, with the name as it is, as browsers and curl send it."""
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("file", io.BytesIO(content), filename=name, content_type=content_type)
        return await self.post("/api/files/upload/direct", data=form, params=params)
