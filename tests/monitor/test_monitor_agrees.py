"""What `drive monitor` and `/metrics` tell is what those at the other ends see."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil  # type: ignore[import-untyped] # its types are no dependency, for two functions
import redis
from monitor_support import Metrics, metrics_url, report, scraped, serving_metrics, working
from support.api import Api
from support.waiting import eventually

from drive.names import client_name
from drive.peers import Fault, Peers
from drive.settings import Settings

REQUESTS = 60


@dataclass(frozen=True, slots=True)
class Truth:
    """Connections, counted at their other ends."""

    database: Counter[str]
    redis: Counter[str]
    accepted: dict[str, int]
    """By the endpoint's URL: connections that its gRPC server has accepted and not closed."""


async def counted_at_the_servers(settings: Settings, peers: Peers) -> Truth:
    database = await asyncpg.connect(settings.database_url, server_settings={"application_name": "truth"})
    try:
        rows = await database.fetch(
            "select application_name from pg_stat_activity "
            "where datname = current_database() and application_name <> 'truth'"
        )
    finally:
        await database.close()
    with redis.Redis.from_url(settings.redis_url, client_name="truth") as cache:
        names = Counter(client["name"] for client in cache.client_list() if client["name"] != "truth")
    accepted = {url: accepted_at(url) for url in (peers.pass_url, peers.ring_url)}
    return Truth(Counter(row[0] for row in rows), names, accepted)


def accepted_at(url: str) -> int:
    """Count what this process, whose gRPC servers these are, has accepted at a port."""
    port = urlsplit(url).port
    mine = psutil.Process(os.getpid()).net_connections("tcp")
    return sum(one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED for one in mine)


async def while_nothing_changes(look: Callable[[], Any], settings: Settings, peers: Peers) -> tuple[Any, Truth]:
    """Return what was seen, and the truth, which was the same before and after."""
    for _ in range(20):
        before = await counted_at_the_servers(settings, peers)
        seen = await look()
        if before == await counted_at_the_servers(settings, peers):
            return seen, before
    raise AssertionError("connections came and went all the time")


async def many_requests(api: Api) -> None:
    """Send requests at once, so that pools grow."""
    answers = await asyncio.gather(
        *(api.get("/api/files/me") for _ in range(REQUESTS // 2)),
        *(api.create(b"content", file_name=f"{number}.bin") for number in range(REQUESTS // 2)),
    )
    assert {answer.status for answer in answers} == {200}


def clients(server: Any) -> Counter[str]:
    return Counter({one["name"]: one["connections"] for one in server["clients"]})


def grpc_of(process: Any) -> dict[str, int]:
    return {one["endpoint"]: one["connections"] for one in process["grpc"]}


async def test_the_monitor_counts_what_the_servers_count(settings: Settings, peers: Peers) -> None:
    """With a service and a worker under way, of which the one has several connections to everything."""
    peers.world.faults["AuthService.Authenticate"] = Fault(delay_s=0.05)
    async with serving_metrics(settings, DRIVE_AUTH_CACHE_TTL_S="0") as (serve, url), working(settings) as (worker, _):
        await many_requests(serve.api)
        worker_url = await metrics_url(worker)
        seen, truth = await while_nothing_changes(lambda: report(settings, url, worker_url), settings, peers)

        serve_name, worker_name = client_name("serve", serve.pid), client_name("worker", worker.process.pid)
        assert clients(seen["database"]) == truth.database
        assert truth.database[serve_name] > 1
        assert truth.database[worker_name] > 0
        assert clients(seen["redis"])[serve_name] == truth.redis[serve_name] > 0
        by_pid = {one["pid"]: one for one in seen["processes"]}
        for pid, role, name in ((serve.pid, "serve", serve_name), (worker.process.pid, "worker", worker_name)):
            assert (by_pid[pid]["role"], by_pid[pid]["name"], by_pid[pid]["problem"]) == (role, name, None)
            assert by_pid[pid]["database_connections"] == truth.database[name]
            assert by_pid[pid]["redis_connections"] == truth.redis[name]
        assert grpc_of(by_pid[serve.pid]) == truth.accepted
        assert min(truth.accepted.values()) > 0
        assert set(grpc_of(by_pid[worker.process.pid]).values()) == {0}
        assert [one["role"] for one in seen["listeners"]] == ["serve", "worker"]
        for endpoint in seen["listeners"][0]["endpoints"]:
            assert (endpoint["channels"], endpoint["connections"]) == (1, truth.accepted[endpoint["endpoint"]])


async def test_the_monitor_reads_memory_as_the_kernel_tells_it(settings: Settings) -> None:
    async with serving_metrics(settings) as (serve, _):
        (process,) = (one for one in (await report(settings))["processes"] if one["pid"] == serve.pid)
        told = psutil.Process(serve.pid).memory_full_info()
    for mine, its in (("resident_bytes", told.rss), ("pss_bytes", told.pss), ("private_bytes", told.uss)):
        assert abs(process["memory"][mine] - its) < 2 * 1024 * 1024, mine


async def test_metrics_count_what_the_servers_count(settings: Settings, peers: Peers) -> None:
    """Also calls, as the peers count them, and requests, as their client does."""
    async with serving_metrics(settings) as (serve, url):
        await many_requests(serve.api)
        assert (await serve.api.signed_in_as(None).get("/api/files/me")).status == 401

        async def told_all() -> bool:
            return (await scraped(url))["drive_grpc_calls_in_flight"] == {(peers.pass_url,): 0, (peers.ring_url,): 0}

        await eventually(told_all)
        seen, truth = await while_nothing_changes(lambda: scraped(url), settings, peers)
        name = client_name("serve", serve.pid)
        assert sum(seen["drive_database_connections"].values()) == truth.database[name] > 1
        assert seen.one("drive_redis_connections") == truth.redis[name] > 0
        assert seen["drive_grpc_connections"] == {(one,): count for one, count in truth.accepted.items()}
        calls = peers.world.calls
        to_ring = sum(count for rpc, count in calls.items() if rpc.startswith("RingService."))
        assert seen["drive_grpc_calls_total"] == {
            (peers.pass_url,): calls.total() - to_ring,
            (peers.ring_url,): to_ring,
        }
        check_requests(seen)


def check_requests(seen: Metrics) -> None:
    assert seen["drive_http_requests_total"] == {
        ("GET", "/api/files/me", "2xx"): REQUESTS // 2,
        ("GET", "/api/files/me", "4xx"): 1,
        ("POST", "/api/files/upload/create", "2xx"): REQUESTS // 2,
    }
    assert seen["drive_http_request_duration_seconds_count"] == {
        ("GET", "/api/files/me"): REQUESTS // 2 + 1,
        ("POST", "/api/files/upload/create"): REQUESTS // 2,
    }
