"""Traces for OpenTelemetry: requests, calls of gRPC and queries. Imported only where DRIVE_OTEL_URL is set.

Needs the extra `otel`, and imports gRPC and the database's driver at once, to watch them.
"""

import asyncio
import os
from threading import Thread
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.grpc import GrpcAioInstrumentorClient
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_trace_id
from structlog.contextvars import bound_contextvars

from drive.monitor.requests import method_of, route_of
from drive.names import client_name, version

_PATH = "/v1/traces"
_EXPORT_TIMEOUT_S = 2.0
_LAST_SPANS_S = 1.0
_FAILURES_FROM = 500


class Tracing:
    """Sends spans to a collector, in the background. What it does not take is lost, and nothing else fails.

    OpenTelemetry's own variables hold for all that is not decided here, such as OTEL_TRACES_SAMPLER.

    Args:
        role: what this process is there for.
        url: where OTLP is posted to, with or without its path.

    """

    def __init__(self, role: str, url: str) -> None:
        names = {"service.version": version(), "service.instance.id": client_name(role)}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            names["service.name"] = f"drive-{role}"
        self._provider = TracerProvider(resource=Resource.create(names), shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=_with_path(url), timeout=_EXPORT_TIMEOUT_S))
        )
        self._tracer = self._provider.get_tracer("drive")
        GrpcAioInstrumentorClient().instrument(tracer_provider=self._provider)
        AsyncPGInstrumentor().instrument(tracer_provider=self._provider)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Make a span of a request, within its client's trace if that has one. Nothing of its query is in it."""
        method, route = method_of(request), route_of(request)
        with self._tracer.start_as_current_span(
            f"{method} {route}",
            context=extract(request.headers),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
            record_exception=False,  # errors become answers; those that do not are in the log
            set_status_on_exception=False,
        ) as span:
            with bound_contextvars(trace_id=format_trace_id(span.get_span_context().trace_id)):
                try:
                    response = await handler(request)
                except web.HTTPException as answer:
                    _end(span, answer.status)
                    raise
            _end(span, response.status)
            return response

    async def aclose(self) -> None:
        """Send what is left, if the collector takes it soon."""
        sending = Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, _LAST_SPANS_S)


def _end(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= _FAILURES_FROM:
        span.set_status(Status(StatusCode.ERROR))


def _with_path(url: str) -> str:
    return url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}{_PATH}"
