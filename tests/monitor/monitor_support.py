"""What the tests of monitoring share: processes that serve metrics, and a reader of these."""

import json
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from support.process import Finished, Serve, drive, environment, serving, until

from drive.cli.processes import Service, running
from drive.settings import Settings

LISTEN = "127.0.0.1:0"

_TELLING = """
import json, os, signal, sys

def tell(*_):
    os.write(1, json.dumps({"event": "Modules", "modules": sorted(sys.modules)}).encode() + b"\\n")

signal.signal(signal.SIGUSR1, tell)
from drive.cli import main
main()
"""
TELLING = (sys.executable, "-c", _TELLING)
"""`drive`, that tells its modules when it gets SIGUSR1."""


class Metrics:
    """What a process has told: `metrics[name]` has values by those of the labels, in their alphabetical order."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples: defaultdict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        for family in self.families:
            for one in family.samples:
                self.samples[one.name][tuple(value for _, value in sorted(one.labels.items()))] = one.value

    def __getitem__(self, name: str) -> dict[tuple[str, ...], float]:
        return self.samples[name]

    def one(self, name: str) -> float:
        """Return the value of a metric without labels."""
        return self.samples[name][()]

    def labels(self, name: str, label: str) -> set[str]:
        return {one.labels[label] for family in self.families for one in family.samples if one.name == name}


async def scraped(url: str) -> Metrics:
    """Scrape as Prometheus does."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return Metrics(await response.text())


async def metrics_url(service: Service) -> str:
    """Return where a process serves metrics, once it does."""

    def found() -> list[str]:
        return [line["url"] for line in service.lines if line.get("protocol") == "metrics"]

    await until(lambda: bool(found()), "it serves metrics")
    return found()[0]


@asynccontextmanager
async def serving_metrics(settings: Settings, **variables: str) -> AsyncIterator[tuple[Serve, str]]:
    """Run `drive serve`, and give the URL of its metrics, too."""
    async with serving(settings, **{"DRIVE_METRICS_LISTEN": LISTEN, **variables}) as serve:
        yield serve, await metrics_url(serve.service)


@asynccontextmanager
async def working(settings: Settings, **variables: str) -> AsyncIterator[tuple[Service, str]]:
    """Run `drive worker`, and give the URL of its metrics. It has nothing to say on stderr."""
    with tempfile.TemporaryFile() as stderr:
        env = environment(settings, **{"DRIVE_METRICS_LISTEN": LISTEN, **variables})
        async with running("worker", env, stderr=stderr) as service:
            yield service, await metrics_url(service)
        stderr.seek(0)
        assert stderr.read() == b""


async def monitor(settings: Settings, *arguments: str, **variables: str) -> Finished:
    """Run `drive monitor`."""
    return await drive("monitor", *arguments, env=environment(settings, **variables))


async def report(settings: Settings, *arguments: str, **variables: str) -> Any:
    """Return the JSON of a `drive monitor` that found nothing exceeded."""
    finished = await monitor(settings, "--json", *arguments, **variables)
    assert (finished.status, finished.stderr) == (0, "")
    return json.loads(finished.stdout)


async def modules_of(serve: Serve) -> set[str]:
    asked = len(serve.lines("Modules"))
    serve.service.process.send_signal(signal.SIGUSR1)
    await until(lambda: len(serve.lines("Modules")) > asked, "it tells its modules")
    return set(serve.lines("Modules")[-1]["modules"])
