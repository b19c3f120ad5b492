"""A collector of OTLP over HTTP, as a program: tells its port, and each span, as lines of JSON. Run in .venv-otel."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector(BaseHTTPRequestHandler):
    """Takes what is posted."""

    def do_POST(self) -> None:
        """Tell of the spans."""
        request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        for of_resource in request.resource_spans:
            resource = _plain(of_resource.resource.attributes)
            for spans in of_resource.scope_spans:
                for span in spans.spans:
                    tell({"path": self.path, "resource": resource, **_span(span)})
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def tell(line: dict[str, Any]) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _span(span: Any) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": int(span.kind),
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "is_error": int(span.status.code) == 2,
        "attributes": _plain(span.attributes),
    }


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: next(iter(MessageToDict(one.value).values()), None) for one in attributes}


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", 0), Collector)
    tell({"port": server.server_port})
    server.serve_forever()
