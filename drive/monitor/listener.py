"""`/metrics`, on an address of its own."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from drive.monitor.collector import Collector
from drive.settings import parse_listen

PATH = "/metrics"
_SHUTDOWN_TIMEOUT_S = 0.1


@dataclass(frozen=True, slots=True)
class _Collected:
    metrics: list[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


@asynccontextmanager
async def serving_metrics(collector: Collector, listen: str) -> AsyncIterator[str]:
    """Answer Prometheus until the block ends; give the URL.

    Raises:
        OSError: the address cannot be listened on.

    """

    async def metrics(_request: web.Request) -> web.Response:
        text = generate_latest(_Collected(await collector.collect()))
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    app = web.Application()
    app.router.add_get(PATH, metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, *parse_listen(listen)).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
    finally:
        await runner.cleanup()
