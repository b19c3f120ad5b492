"""Every metric there is. docs/metrics.md lists them, and docs/grafana.json shows them: tests compare."""

from dataclasses import dataclass
from typing import Literal

DURATION_BOUNDS_S = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)
"""Upper bounds of the classes that requests' durations are counted in."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, as Prometheus knows it."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    doc: str
    labels: tuple[str, ...] = ()


METRICS = (
    Metric("drive_info", "gauge", "Always 1; its labels tell what runs.", ("role", "version")),
    Metric("drive_process_resident_bytes", "gauge", "Memory of the process: RSS."),
    Metric("drive_process_pss_bytes", "gauge", "The same, each shared page divided among those who share it."),
    Metric("drive_process_private_bytes", "gauge", "Memory that would be free if the process ended."),
    Metric("drive_process_cpu_seconds_total", "counter", "Processor time that the process has used."),
    Metric("drive_process_start_time_seconds", "gauge", "When it was started, in seconds since 1970."),
    Metric("drive_database_connections", "gauge", "Connections to PostgreSQL: `idle` or `used`.", ("state",)),
    Metric("drive_database_connections_max", "gauge", "Most that the process may hold."),
    Metric("drive_redis_connections", "gauge", "Connections to Redis."),
    Metric("drive_redis_connections_max", "gauge", "Most that the process may hold."),
    Metric("drive_grpc_channels", "gauge", "Open channels to the endpoint.", ("endpoint",)),
    Metric(
        "drive_grpc_connections",
        "gauge",
        "TCP connections to the endpoint's addresses; absent for Unix sockets.",
        ("endpoint",),
    ),
    Metric("drive_grpc_connections_max", "gauge", "Most that there may be; +Inf for any number.", ("endpoint",)),
    Metric("drive_grpc_calls_total", "counter", "Calls begun, those sent again counted once.", ("endpoint",)),
    Metric("drive_grpc_calls_in_flight", "gauge", "Calls that have not ended yet.", ("endpoint",)),
    Metric("drive_grpc_retries_total", "counter", "How often a call was sent again.", ("endpoint",)),
    Metric(
        "drive_grpc_failures_total", "counter", "Calls that failed in the end, by gRPC's status.", ("endpoint", "code")
    ),
    Metric("drive_cache_hits_total", "counter", "Reads that found a value in Redis."),
    Metric("drive_cache_misses_total", "counter", "Reads that found none, also for want of Redis."),
    Metric(
        "drive_http_requests_total",
        "counter",
        "Requests of `drive serve`, by the class of the answer's status, such as `2xx`, or `aborted`.",
        ("route", "method", "status"),
    ),
    Metric("drive_http_requests_in_flight", "gauge", "Requests of `drive serve` that are being answered."),
    Metric(
        "drive_http_request_duration_seconds",
        "histogram",
        "How long requests took until the handler was done; sending a short answer is not in it.",
        ("route", "method"),
    ),
    Metric("drive_jobs", "gauge", "Jobs in the database, told by `drive worker`.", ("kind", "status")),
    Metric("drive_jobs_waiting_seconds", "gauge", "How long the job has been due that waits for longest, if any."),
    Metric("drive_uploads_open", "gauge", "Uploads that have begun and not ended, told by `drive worker`."),
)
