"""`/metrics`: it opens nothing, tells nobody's secrets, and lasts whatever clients send."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import aiohttp
import asyncpg
import grpc
import prometheus_client
import psutil  # type: ignore[import-untyped] # its types are no dependency, for two functions
import pytest
from monitor_support import LISTEN, TELLING, Metrics, metrics_url, modules_of, scraped, serving_metrics, working
from support.process import PATIENCE_S, Serve, drive, environment, serving
from support.rows import Rows, connected
from support.waiting import eventually

from drive.db.database import Database
from drive.lazy import Endpoint
from drive.monitor.backlog import Backlog, Waiting
from drive.monitor.endpoints import caps, endpoints_of
from drive.monitor.metrics import METRICS
from drive.monitor.requests import UNKNOWN_ROUTE
from drive.peers import Fault, Peers
from drive.settings import Settings

HEAVY = {"grpc", "google.protobuf", "redis", "asyncpg", "nats"}


def connections_from(serve: Serve, *own_ports: int) -> int:
    mine = psutil.Process(serve.pid).net_connections("tcp")
    return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port not in own_ports for one in mine)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


async def test_being_scraped_opens_and_imports_nothing(settings: Settings) -> None:
    """All that could be open is told as 0; the same look finds more than 0 once it was used."""
    async with serving(settings, command=TELLING, DRIVE_METRICS_LISTEN=LISTEN) as serve:
        url = await metrics_url(serve.service)
        for _ in range(20):
            idle = await scraped(url)
        assert HEAVY & await modules_of(serve) == set()
        assert connections_from(serve, port_of(serve.url), port_of(url)) == 0
        assert serve.lines("Creating gRPC channel") == []
        assert not settings.storage_path.exists()
        told = {one.name for family in idle.families for one in family.samples if one.value and "_max" not in one.name}
        assert {name for name in told if not name.startswith(("drive_info", "drive_process_"))} == set()
        for name in ("drive_database_connections", "drive_grpc_connections", "drive_grpc_channels"):
            assert len(idle[name]) == 2, name

        await serve.api.upload(b"content")
        used = await scraped(url)
        assert sum(used["drive_database_connections"].values()) > 0
        assert set(used["drive_grpc_channels"].values()) == {1}


async def test_without_a_listener_nothing_of_it_is_imported(settings: Settings) -> None:
    async with serving(settings, command=TELLING) as serve:
        await serve.api.upload(b"content")
        modules = await modules_of(serve)
    assert {name for name in modules if name.startswith(("drive.monitor", "drive.cli.metrics", "prometheus"))} == set()


async def test_labels_are_bounded_whatever_clients_send(settings: Settings) -> None:
    """Ten times the paths and methods make no more labels, and no id, name or token is in any."""
    async with serving_metrics(settings) as (serve, url):
        file_id = (await serve.api.upload(b"content"))["id"]

        async def strange_requests(count: int) -> None:
            for number in range(count):
                await serve.api.get(f"/api/files/{file_id}")
                await serve.api.get(f"/{uuid4()}?tk=secret-{number}")
                await serve.api.request("PROPFIND", f"/api/files/{uuid4()}")
                await serve.api.request("MKCOL", f"/{uuid4()}")
                await serve.api.request("DELETE", "/alive")

        await strange_requests(3)
        few = await scraped(url)
        await strange_requests(30)
        many = await scraped(url)
    assert few.samples.keys() == many.samples.keys()
    for name in many.samples:
        assert few[name].keys() == many[name].keys(), name
    assert many["drive_http_requests_total"]["GET", "/api/files/{id}", "2xx"] == 33
    assert many["drive_http_requests_total"]["GET", UNKNOWN_ROUTE, "4xx"] == 33
    assert many["drive_http_requests_total"]["DELETE", UNKNOWN_ROUTE, "4xx"] == 33
    assert many["drive_http_requests_total"]["other", UNKNOWN_ROUTE, "4xx"] == 66
    labels = {value for family in many.families for one in family.samples for value in one.labels.values()}
    assert [value for value in labels if file_id in value or "secret" in value or value in {"PROPFIND", "MKCOL"}] == []


async def test_a_request_whose_client_has_gone_is_no_failure_of_ours(settings: Settings, peers: Peers) -> None:
    """It is in flight as long as it is worked on, and counted as what it was."""
    peers.world.faults["AuthService.Authenticate"] = Fault(delay_s=30.0)
    async with serving_metrics(settings, DRIVE_GRPC_DEADLINE_S="60") as (serve, url):
        asking = asyncio.create_task(serve.api.get("/api/files/me"))

        async def in_flight(count: int) -> bool:
            return (await scraped(url)).one("drive_http_requests_in_flight") == count

        await eventually(lambda: in_flight(1))
        asking.cancel()
        await asyncio.wait([asking])
        peers.world.faults.clear()
        assert (await serve.api.get("/alive")).status == 200
        assert (await scraped(url))["drive_http_requests_total"]["GET", "/alive", "2xx"] == 1


async def test_the_cache_tells_its_hits(settings: Settings) -> None:
    """The tier behind a quota is asked for once and then found."""
    async with serving_metrics(settings) as (serve, url):
        for _ in range(5):
            assert (await serve.api.get("/api/billing/quota")).status == 200
        seen = await scraped(url)
        assert (seen.one("drive_cache_hits_total"), seen.one("drive_cache_misses_total")) == (4, 1)


async def test_a_worker_tells_of_jobs_and_a_service_does_not(settings: Settings) -> None:
    """A service would keep a connection open for it."""
    async with connected(settings.database_url) as rows:
        await rows.execute("insert into jobs (kind, status, error_message) values ('delete_object', 'failed', 'no')")
        await rows.execute("insert into jobs (kind, run_at) values ('of_tomorrow', now() + interval '1 day')")
        await rows.execute("insert into jobs (kind, lane, run_at) values ('late', 'media', now() - interval '1 hour')")
        async with (
            serving_metrics(settings) as (serve, url),
            working(settings, DRIVE_WORKER_MEDIA_CONCURRENCY="0") as (_, worker_url),
        ):
            await serve.api.upload(b"content")
            await serve.api.create(b"another content", file_name="open.bin")
            assert (await scraped(url))["drive_jobs"] == {}

            async def told() -> bool:
                return (await scraped(worker_url))["drive_uploads_open"] == {(): 1}

            await eventually(told)
            seen = await scraped(worker_url)
            assert seen["drive_jobs"]["delete_object", "failed"] == 1
            assert seen["drive_jobs"]["of_tomorrow", "pending"] == 1
            assert seen["drive_jobs"]["late", "pending"] == 1
            assert 3600 < seen.one("drive_jobs_waiting_seconds") < 3700
            assert seen["drive_http_requests_total"] == {}


async def test_a_scrape_survives_an_outage_of_the_database(settings: Settings, postgres_server_url: str) -> None:
    """What the database tells is absent, and all the rest is there."""
    async with connected(settings.database_url) as rows, connected(postgres_server_url) as operator:
        name = await rows.fetchval("select current_database()")
        async with working(settings) as (worker, url):
            await eventually(lambda: _has_jobs(url, is_so=True))
            await _cut_off(operator, name)
            try:
                await eventually(lambda: _has_jobs(url, is_so=False))
                assert (await scraped(url)).one("drive_database_connections_max") == 5
            finally:
                await operator.execute(f'alter database "{name}" allow_connections true')
            assert worker.process.returncode is None


async def _cut_off(operator: Rows, name: str) -> None:
    await operator.execute(f'alter database "{name}" allow_connections false')
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'drive-%'"
    await operator.execute(f"{cut} and datname = $1", name)


async def _has_jobs(url: str, *, is_so: bool) -> bool:
    return bool((await scraped(url))["drive_uploads_open"]) == is_so


async def test_an_address_that_is_taken_is_said_so(settings: Settings) -> None:
    """By either command, with exit status 1 and what to do."""
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with taken:
        listen = f"127.0.0.1:{taken.sockets[0].getsockname()[1]}"
        for command in ("serve", "worker"):
            finished = await drive(command, env=environment(settings, DRIVE_METRICS_LISTEN=listen))
            assert finished.status == 1
            assert finished.stderr.startswith(f"drive {command}: Cannot serve metrics on {listen}: ")
            assert "DRIVE_METRICS_LISTEN" in finished.stderr


async def test_an_address_that_is_none_is_a_wrong_setting(settings: Settings) -> None:
    finished = await drive("serve", env=environment(settings, DRIVE_METRICS_LISTEN="9100"))
    assert finished.status == 2
    assert "DRIVE_METRICS_LISTEN: must be host:port" in finished.stderr


async def test_the_metrics_are_not_on_the_public_port(settings: Settings) -> None:
    async with serving_metrics(settings) as (serve, url):
        assert (await serve.api.get("/metrics")).status == 404
        async with aiohttp.ClientSession() as session, session.get(url.replace("/metrics", "/alive")) as other:
            assert other.status == 404


async def test_many_scrapes_at_once_are_answered_while_it_works(settings: Settings) -> None:
    async with serving_metrics(settings) as (serve, url):
        uploading = [serve.api.upload(f"content {number}".encode()) for number in range(5)]
        seen = await asyncio.gather(*(scraped(url) for _ in range(50)), *uploading)
        assert len([one for one in seen if isinstance(one, Metrics)]) == 50
        assert threads_of(serve) < 40


def threads_of(serve: Serve) -> int:
    count: int = psutil.Process(serve.pid).num_threads()
    return count


@pytest.mark.parametrize(("most", "expected"), [(2, 2), (0, float("inf"))])
def test_an_endpoint_may_have_as_many_connections_as_its_channel(most: int, expected: float) -> None:
    settings = Settings(grpc_max_connections=most)
    assert set(caps(settings, {}).values()) == {expected}


def test_endpoints_that_share_an_address_share_their_cap() -> None:
    """By a connection nobody can tell which it is for: two channels with two each make four."""
    settings = Settings(auth_endpoint="http://localhost:5001")
    passes, ring = Endpoint.parse(settings.pass_endpoint), Endpoint.parse(settings.ring_endpoint)
    local = Endpoint.parse("http://localhost:5001")
    addresses = {passes: {("127.0.0.1", 5001)}, local: {("::1", 5001), ("127.0.0.1", 5001)}}
    assert caps(settings, addresses) == {passes: 4, local: 4, ring: 2}
    assert set(endpoints_of(settings)) == {passes, local, ring}


def test_with_a_channel_for_each_client_the_cap_is_theirs_together() -> None:
    settings = replace(Settings(), grpc_channel_per_client=True)
    assert sorted(caps(settings, {}).values()) == [2, 18]


async def test_what_is_told_is_what_is_declared(settings: Settings, peers: Peers) -> None:
    """Every metric, by the service or by the worker, with its type and its labels; a failed call with its code."""
    async with connected(settings.database_url) as rows, serving_metrics(settings) as (serve, url):
        await rows.execute("insert into jobs (kind, lane) values ('late', 'media')")
        await serve.api.upload(b"content")
        peers.world.faults["AuthService.Authenticate"] = Fault(code=grpc.StatusCode.INTERNAL)
        assert (await serve.api.signed_in_as("subscriber").get("/api/files/me")).status == 503
        served = await scraped(url)
        assert served["drive_grpc_failures_total"] == {("INTERNAL", peers.pass_url): 1}
        async with working(settings, DRIVE_WORKER_MEDIA_CONCURRENCY="0") as (_, worker_url):
            await eventually(lambda: _has_jobs(worker_url, is_so=True))
            worked = await scraped(worker_url)
    told = {_declared(family) for family in (*served.families, *worked.families)}
    assert told == {(one.name, one.kind, frozenset(one.labels)) for one in METRICS}


def _declared(family: prometheus_client.Metric) -> tuple[str, str, frozenset[str]]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return name, family.type, frozenset(label for one in family.samples for label in one.labels) - {"le"}


class Frozen(Database):
    """A database that does not answer, nor lets anybody go who gives up."""

    def __init__(self) -> None:
        self.asked = 0
        self.thawed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return True

    async def fetch(self, _query: str, *_args: object) -> list[asyncpg.Record]:
        self.asked += 1
        try:
            await self.thawed.wait()
        except asyncio.CancelledError:
            await self.thawed.wait()
            raise
        return []

    async def fetchval(self, _query: str, *_args: object) -> int:
        return 7


async def test_a_frozen_database_holds_up_no_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Giving up on a statement may take as long as the database likes: it is done beside, and by one alone."""
    monkeypatch.setattr("drive.monitor.backlog._TIMEOUT_S", 0.05)
    database = Frozen()
    backlog = Backlog(database)
    async with asyncio.timeout(PATIENCE_S):
        assert [await backlog.waiting() for _ in range(3)] == [None] * 3
        assert await asyncio.gather(*(backlog.waiting() for _ in range(3))) == [None] * 3
        assert database.asked == 1
        database.thawed.set()
        monkeypatch.setattr("drive.monitor.backlog._KEPT_FOR_S", 0)
        await eventually(backlog.waiting)
    assert await backlog.waiting() == Waiting({}, 7, 7)
