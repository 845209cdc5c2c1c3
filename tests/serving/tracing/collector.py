"""A collector of traces: takes OTLP over HTTP, as the OpenTelemetry Collector does, and keeps what it was told."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.servers import eventually


@dataclass(frozen=True)
class Span:
    name: str
    trace: str
    id: str
    parent: str
    state: str
    kind: int
    failed: bool
    began: int
    ended: int
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    service: str


@dataclass
class Collector:
    url: str
    spans: list[Span] = field(default_factory=list)
    connections: int = 0
    paths: set[str] = field(default_factory=set)

    def named(self, name: str, count: int = 1) -> list[Span]:
        """So many at least, once they have come."""
        return eventually(lambda: found if len(found := self._named(name)) >= count else None) or []

    def below(self, span: Span) -> list[Span]:
        """Its children, in the order in which they began."""
        found = [each for each in list(self.spans) if (each.trace, each.parent) == (span.trace, span.id)]
        return sorted(found, key=lambda each: each.began)

    def _named(self, name: str) -> list[Span]:
        return [each for each in list(self.spans) if each.name == name]


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            collector.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.paths.add(self.path)
            collector.spans += _spans(ExportTraceServiceRequest.FromString(body))
            told = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        running = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        running.start()
        try:
            yield collector
        finally:
            server.shutdown()
            running.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        about = {each.key: each.value.string_value for each in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _span(span, about["service.name"])


def _span(span: trace_pb2.Span, service: str) -> Span:
    attributes = {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}
    return Span(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.trace_state,
        span.kind,
        span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        attributes,
        tuple((each.trace_id.hex(), each.span_id.hex()) for each in span.links),
        service,
    )
