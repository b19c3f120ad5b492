"""A bare aiohttp application that does what Drive does to disk and database, and no more: what it costs at least.

python -m bench.http.same FOLDER DATABASE_URL ACCOUNT
"""

import asyncio
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
from aiohttp import web

_PIECE_BYTES: Final = 1024 * 1024
_ONE: Final = "select * from file_details where id = $1"
_PAGE: Final = "select * from file_details where account_id = $1 order by created_at desc limit 20"


class Same:
    """The handlers."""

    def __init__(self, folder: Path, pool: "asyncpg.Pool[asyncpg.Record]", account: str) -> None:
        self._folder = folder
        self._pool = pool
        self._account = account

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Send a file."""
        return web.FileResponse(self._folder / request.match_info["name"])

    async def store(self, request: web.Request) -> web.Response:
        """Stream a body to a new file, hash it, and answer when it is on the disk."""
        hasher = hashlib.sha256()
        with (self._folder / request.match_info["name"]).open("wb") as file:
            async for piece in request.content.iter_chunked(_PIECE_BYTES):
                hasher.update(piece)
                file.write(piece)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        return web.json_response({"sha256": hasher.hexdigest()})

    async def row(self, request: web.Request) -> web.Response:
        """Answer with what the database has of one file."""
        return _json(_plain(await self._pool.fetchrow(_ONE, request.match_info["id"])))

    async def rows(self, _request: web.Request) -> web.Response:
        """Answer with a page of an account's files."""
        return _json([_plain(row) for row in await self._pool.fetch(_PAGE, self._account)])


def _plain(row: Any) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}


def _json(body: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def serve(folder: Path, database_url: str, account: str) -> None:
    """Answer until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with asyncpg.create_pool(database_url, min_size=0, max_size=5) as pool:
        same = Same(folder, pool, account)
        app = web.Application()
        app.router.add_get("/file/{name}", same.file)
        app.router.add_put("/file/{name}", same.store)
        app.router.add_get("/row/{id}", same.row)
        app.router.add_get("/rows", same.rows)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        print(json.dumps({"event": "Listening", "url": f"http://{host}:{port}"}), flush=True)
        await stop.wait()
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
