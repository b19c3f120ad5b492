"""What a process tells of itself when it is asked for its metrics."""

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from drive.containers import Container
from drive.lazy.channel import open_channels
from drive.monitor import linux
from drive.monitor.endpoints import Addresses, caps, connections, endpoints_of
from drive.monitor.linux import Address
from drive.monitor.metrics import DURATION_BOUNDS_S, METRICS
from drive.monitor.metrics import Metric as Declared
from drive.names import version

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from drive.monitor.backlog import Backlog
    from drive.monitor.requests import Requests

Samples: TypeAlias = defaultdict[str, list[tuple[Sequence[str], float]]]
"""Labels and values, by the metric's name."""

_FAMILIES: dict[str, Callable[..., Any]] = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}


class Collector:
    """Gathers the metrics of this process. What is not open counts as 0, and stays closed.

    Args:
        container: the parts that are looked at.
        requests: what is counted of HTTP; None in a process that answers none.
        backlog: tells of jobs; None where they are for another process to tell. The worker's database is in use
            anyway: a service's idle connections would never be given back if each scrape used one.

    """

    def __init__(self, container: Container, requests: "Requests | None", backlog: "Backlog | None") -> None:
        self._container = container
        self._settings = container.settings()
        self._endpoints = endpoints_of(self._settings)
        self._addresses = Addresses()
        self._info = container.role(), version()
        self._requests = requests
        self._backlog = backlog

    async def collect(self) -> list[Metric]:
        """Return all metrics, in the order of their table. Nothing in it waits for long."""
        samples: Samples = defaultdict(list)
        samples["drive_info"] = [(self._info, 1)]
        self._add_pools(samples)
        self._add_calls(samples)
        peers = await asyncio.to_thread(_look_at_process, samples) if linux.is_here() else None
        await self._add_connections(samples, peers)
        await self._add_backlog(samples)
        if self._requests is not None:
            samples["drive_http_requests_in_flight"] = [((), self._requests.in_flight)]
            samples["drive_http_requests_total"] = list(self._requests.counts.items())
        told = [_family(one, samples[one.name]) for one in METRICS if samples[one.name]]
        return [*told, *self._histograms()]

    def _add_pools(self, samples: Samples) -> None:
        pool = self._container.database_pool().peek()
        idle = 0 if pool is None else pool.get_idle_size()
        used = 0 if pool is None else pool.get_size() - idle
        samples["drive_database_connections"] = [(("idle",), idle), (("used",), used)]
        samples["drive_database_connections_max"] = [((), self._settings.database_max_connections)]
        redis = self._container.redis().peek()
        samples["drive_redis_connections"] = [((), 0 if redis is None else _connected(redis))]
        samples["drive_redis_connections_max"] = [((), self._settings.redis_max_connections)]
        cache = self._container.cache()
        samples["drive_cache_hits_total"] = [((), cache.hits)]
        samples["drive_cache_misses_total"] = [((), cache.misses)]

    def _add_calls(self, samples: Samples) -> None:
        snapshots = {one.endpoint: one for one in self._container.channels().snapshot()}
        channels = Counter(str(one.endpoint) for one in open_channels)
        for endpoint in map(str, self._endpoints):
            label, one = (endpoint,), snapshots.get(endpoint)
            samples["drive_grpc_channels"].append((label, channels[endpoint]))
            samples["drive_grpc_calls_total"].append((label, one.calls_made if one else 0))
            samples["drive_grpc_calls_in_flight"].append((label, one.calls_in_flight if one else 0))
            samples["drive_grpc_retries_total"].append((label, one.retries if one else 0))
            for code, count in one.failures.items() if one else ():
                samples["drive_grpc_failures_total"].append(((endpoint, code), count))

    async def _add_connections(self, samples: Samples, peers: Counter[Address] | None) -> None:
        """Count TCP connections; where no channel is open there are none, and no name needs to be looked up."""
        opened = {one.endpoint for one in open_channels}
        addresses = await self._addresses.of(opened.intersection(self._endpoints))
        for endpoint, cap in caps(self._settings, addresses).items():
            samples["drive_grpc_connections_max"].append(((str(endpoint),), cap))
        counts = {one: 0 for one in self._endpoints if one not in opened}
        if peers is not None:
            counts |= connections(peers, addresses)
            samples["drive_grpc_connections"] = [((str(endpoint),), count) for endpoint, count in counts.items()]

    async def _add_backlog(self, samples: Samples) -> None:
        waiting = None if self._backlog is None else await self._backlog.waiting()
        if waiting is not None:
            samples["drive_jobs"] = list(waiting.jobs.items())
            samples["drive_jobs_waiting_seconds"] = [] if waiting.waiting_s is None else [((), waiting.waiting_s)]
            samples["drive_uploads_open"] = [((), waiting.uploads)]

    def _histograms(self) -> Iterator[Metric]:
        if self._requests is None:
            return
        (declared,) = (one for one in METRICS if one.kind == "histogram")
        family = HistogramMetricFamily(declared.name, declared.doc, labels=declared.labels)
        for labels, durations in self._requests.durations.items():
            bounds = [*map(str, DURATION_BOUNDS_S), "+Inf"]
            buckets = list(zip(bounds, map(float, accumulate(durations.counts)), strict=True))
            family.add_metric(labels, buckets, durations.sum_s)
        yield family


def _look_at_process(samples: Samples) -> Counter[Address]:
    """Add what Linux tells of this process, and return whom it is connected to. Takes some milliseconds."""
    pid = os.getpid()
    memory = linux.memory(pid)
    samples["drive_process_resident_bytes"] = [((), memory.resident_bytes)]
    samples["drive_process_pss_bytes"] = [((), memory.pss_bytes)]
    samples["drive_process_private_bytes"] = [((), memory.private_bytes)]
    samples["drive_process_cpu_seconds_total"] = [((), linux.cpu_s(pid))]
    samples["drive_process_start_time_seconds"] = [((), linux.started_at_s(pid))]
    return linux.tcp_peers(pid)


def _connected(redis: "Redis") -> int:
    """Count the connections of a client: its pool also keeps those that were lost, and tells of all alike."""
    pool: Any = redis.connection_pool
    mine = (*pool._available_connections, *pool._in_use_connections)  # noqa: SLF001 - there is no other way to ask
    return sum(one.is_connected for one in mine)


def _family(declared: Declared, samples: Sequence[tuple[Sequence[str], float]]) -> Metric:
    family = _FAMILIES[declared.kind](declared.name, declared.doc, labels=declared.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    result: Metric = family
    return result
