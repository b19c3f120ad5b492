"""A bare aiohttp application with one route: what everything else is compared with. Imports nothing else.

python -m bench.support.bare [PORT]
"""

import asyncio
import json
import signal
import sys

from aiohttp import web


async def answer(_request: web.Request) -> web.Response:
    """Answer with JSON."""
    return web.json_response({"status": "alive"})


async def serve() -> None:
    """Answer until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(*sys.argv[1:])).start()
    host, port = runner.addresses[0]
    print(json.dumps({"event": "Listening", "url": f"http://{host}:{port}"}), flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve())
