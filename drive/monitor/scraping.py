"""What processes tell of themselves where they serve metrics."""

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeAlias

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from drive.monitor.report import EndpointCalls, Listener

_TIMEOUT_S = 3.0

Samples: TypeAlias = Mapping[str, list[tuple[Mapping[str, str], float]]]
"""Labels and values, by the sample's name."""


async def ask_listener(session: aiohttp.ClientSession, url: str) -> Listener:
    """Ask a process for its metrics. Whatever goes wrong is said in place of them."""
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as response:
            response.raise_for_status()
            return _listener(url, _parsed(await response.text("utf-8")))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        unsaid = f"no answer within {_TIMEOUT_S:g} s" if isinstance(error, TimeoutError) else type(error).__name__
        return Listener(url, problem=str(error) or unsaid)


def _parsed(text: str) -> Samples:
    samples: defaultdict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            samples[one.name].append((one.labels, one.value))
    return samples


def _listener(url: str, samples: Samples) -> Listener:
    if not (info := samples.get("drive_info")):
        raise ValueError("what answers there is no drive serve or drive worker")
    hits, misses = _only(samples, "drive_cache_hits_total"), _only(samples, "drive_cache_misses_total")
    endpoints = [labels["endpoint"] for labels, _ in samples.get("drive_grpc_channels", ())]
    return Listener(
        url,
        role=info[0][0].get("role"),
        endpoints=[_endpoint(samples, one) for one in endpoints],
        cache_hits=hits,
        cache_misses=misses,
        cache_hit_rate=round(hits / (hits + misses), 4) if hits + misses else None,
    )


def _endpoint(samples: Samples, endpoint: str) -> EndpointCalls:
    def value(name: str) -> int | None:
        found = [value for labels, value in samples.get(name, ()) if labels["endpoint"] == endpoint]
        return int(found[0]) if found else None

    failures = {
        labels["code"]: int(count)
        for labels, count in samples.get("drive_grpc_failures_total", ())
        if labels["endpoint"] == endpoint
    }
    return EndpointCalls(
        endpoint,
        channels=value("drive_grpc_channels") or 0,
        connections=value("drive_grpc_connections"),
        calls=value("drive_grpc_calls_total") or 0,
        calls_in_flight=value("drive_grpc_calls_in_flight") or 0,
        retries=value("drive_grpc_retries_total") or 0,
        failures=failures,
    )


def _only(samples: Samples, name: str) -> int:
    return int(sum(value for _, value in samples.get(name, ())))
