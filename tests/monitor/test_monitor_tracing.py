"""Traces: of requests, calls and queries, in one trace with who asked. Off, nothing of it is there."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from monitor_support import TELLING, modules_of
from support.process import Serve, drive, environment, serving, until

from drive.peers import Fault, Peers
from drive.peers import server as peer_server
from drive.peers.interceptor import Recorder
from drive.settings import Settings

OTEL = Path(__file__).parents[2] / ".venv-otel"
PACKAGES = OTEL / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVER, CLIENT = 2, 3
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "50", "PYTHONPATH": str(PACKAGES)}

heard: list[str] = []
"""The traces that the stand-ins for pass and ring were told."""

needs_otel = pytest.mark.skipif(not PACKAGES.exists(), reason="scripts/test makes .venv-otel")


@dataclass(slots=True)
class Collector:
    """What a collector was sent."""

    url: str
    spans: list[dict[str, Any]] = field(default_factory=list)

    async def one(self, name: str) -> dict[str, Any]:
        """Wait for a span of that name."""
        return await self.one_of(lambda span: span["name"] == name)

    async def one_of(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a span that is meant."""
        await until(lambda: any(map(is_it, self.spans)), f"a span, among {self.spans}")
        return next(filter(is_it, self.spans))


class Hearing(Recorder):
    """Notes which trace each call to a stand-in belongs to."""

    async def intercept_service(self, continuation: Any, handler_call_details: grpc.HandlerCallDetails) -> Any:
        heard.extend(
            str(value) for key, value in handler_call_details.invocation_metadata or () if key == "traceparent"
        )
        return await super().intercept_service(continuation, handler_call_details)


@pytest.fixture(autouse=True)
def _hearing(monkeypatch: pytest.MonkeyPatch) -> None:
    heard.clear()
    monkeypatch.setattr(peer_server, "Recorder", Hearing)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    process = await asyncio.create_subprocess_exec(
        OTEL / "bin/python", Path(__file__).with_name("otel_collector.py"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    collector = Collector(f"http://127.0.0.1:{json.loads(await process.stdout.readline())['port']}")

    async def read(lines: asyncio.StreamReader) -> None:
        async for line in lines:
            collector.spans.append(json.loads(line))

    reading = asyncio.create_task(read(process.stdout))
    try:
        yield collector
    finally:
        process.kill()
        await process.wait()
        await reading


@asynccontextmanager
async def traced(settings: Settings, **variables: str) -> AsyncIterator[tuple[Serve, Collector]]:
    async with (
        collecting() as collector,
        serving(settings, **{"DRIVE_OTEL_URL": collector.url, **QUICK, **variables}) as serve,
    ):
        yield serve, collector


@needs_otel
async def test_a_request_its_calls_and_its_queries_are_one_trace_with_who_asked(
    settings: Settings, peers: Peers
) -> None:
    """The client's trace goes on: to pass, which is sent it in the call's metadata, and to the database."""
    async with traced(settings) as (serve, collector):
        traceparent = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}
        assert (await serve.api.get("/api/files/me?take=7", headers=traceparent)).status == 200
        request = await collector.one("GET /api/files/me")
        assert (request["path"], request["kind"], request["is_error"]) == ("/v1/traces", SERVER, False)
        assert (request["trace_id"], request["parent"]) == (TRACE_ID, SPAN_ID)
        assert request["attributes"]["http.response.status_code"] == "200"
        assert request["resource"]["service.name"] == "drive-serve"
        call = await collector.one("/proto.AuthService/Authenticate")
        assert (call["kind"], call["parent"]) == (CLIENT, request["span_id"])
        query = await collector.one_of(lambda span: "db.statement" in span["attributes"])
        assert (query["kind"], query["parent"]) == (CLIENT, request["span_id"])
        assert "select" in query["attributes"]["db.statement"]
        assert {span["trace_id"] for span in collector.spans} == {TRACE_ID}
        assert heard == [f"00-{TRACE_ID}-{call['span_id']}-01"]


@needs_otel
async def test_failures_are_marked_and_secrets_are_in_no_span(settings: Settings, peers: Peers) -> None:
    async with traced(settings, DRIVE_GRPC_DEADLINE_S="0.5") as (serve, collector):
        token = "Bearer of-nobody-but-secret"
        assert (await serve.api.get("/api/files/me", headers={"Authorization": token})).status == 401
        assert (await serve.api.get("/absent/secret-name?tk=secret")).status == 404
        assert (await collector.one("GET unknown"))["is_error"] is False
        peers.world.faults["AuthService.Authenticate"] = Fault(delay_s=30)
        assert (await serve.api.get("/api/pools", headers={"Authorization": "Bearer other"})).status == 503
        assert (await collector.one("GET /api/pools"))["is_error"] is True
        assert "secret" not in json.dumps(collector.spans)


@needs_otel
async def test_a_collector_that_is_down_costs_no_answer_and_no_second_at_the_end(settings: Settings) -> None:
    down = {**QUICK, "DRIVE_OTEL_URL": "http://127.0.0.1:1"}
    async with serving(settings, **down) as serve:
        for _ in range(20):
            assert (await serve.api.signed_in_as(None).get("/alive")).status == 200
        begun_s = time.monotonic()
        await serve.stop()
        assert time.monotonic() - begun_s < 5


@needs_otel
async def test_opentelemetrys_own_variables_hold(settings: Settings) -> None:
    async with traced(settings, OTEL_SERVICE_NAME="files", OTEL_TRACES_SAMPLER="parentbased_always_off") as (
        serve,
        seen,
    ):
        assert (await serve.api.get("/alive")).status == 200
        traceparent = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}
        assert (await serve.api.get("/alive", headers=traceparent)).status == 200
        assert (await seen.one("GET /alive"))["resource"]["service.name"] == "files"
        assert [span["trace_id"] for span in seen.spans] == [TRACE_ID]


@needs_otel
async def test_off_nothing_of_it_is_imported_though_it_is_installed(settings: Settings) -> None:
    """By us: redis-py, once it is used, imports what it finds of it."""
    async with serving(settings, command=TELLING, PYTHONPATH=str(PACKAGES)) as serve:
        assert (await serve.api.get("/alive")).status == 200
        modules = await modules_of(serve)
    assert {
        name for name in modules if name.startswith(("opentelemetry", "drive.monitor", "wrapt", "requests"))
    } == set()


async def test_without_the_extra_it_says_what_to_install(settings: Settings) -> None:
    finished = await drive("serve", env=environment(settings, DRIVE_OTEL_URL="http://127.0.0.1:1"))
    assert finished.status == 1
    assert "extra otel" in finished.stderr


async def test_a_url_that_is_none_is_a_wrong_setting(settings: Settings) -> None:
    finished = await drive("serve", env=environment(settings, DRIVE_OTEL_URL="collector:4318"))
    assert finished.status == 2
    assert "DRIVE_OTEL_URL: must begin with http" in finished.stderr
