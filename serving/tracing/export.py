"""Send spans to an OpenTelemetry collector: OTLP over HTTP, from a thread of its own, out of a queue that is bounded.

The one door to OpenTelemetry. A collector that is down costs its spans and nothing else.
"""

import logging
import threading
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from serving import __version__
from serving.tracing.tracer import Span

log = logging.getLogger(__name__)

PATH = "/v1/traces"
MOST_WAITING = 8192
"""Spans; beyond it the oldest are dropped."""
AT_ONCE = 512
DELAY_MS = 1000
TIMEOUT_SECONDS = 5
FLUSH_SECONDS = 1.0
"""For what still waits when a worker ends."""

_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("slipway", __version__)
_FAILED, _UNSET = Status(StatusCode.ERROR), Status(StatusCode.UNSET)
_NO_STATE = TraceState()


class Export:
    """Call it with a span: that only puts it into the queue."""

    def __init__(self, endpoint: str, service: str) -> None:
        # It says at every try that it failed; ours says it once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._resource = Resource.create({"service.name": service, "service.version": __version__})
        self._sender = OTLPSpanExporter(_address(endpoint), timeout=TIMEOUT_SECONDS)
        told = _Told(self._sender, urlsplit(endpoint).netloc.rpartition("@")[2])
        self._waiting = BatchSpanProcessor(told, MOST_WAITING, DELAY_MS, AT_ONCE)

    def __call__(self, span: Span) -> None:
        self._waiting.on_end(_readable(span, self._resource))

    def close(self) -> None:
        """What waits is sent, for FLUSH_SECONDS at most."""
        flushing = threading.Thread(target=self._waiting.shutdown, name="flush", daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)
        if flushing.is_alive():
            self._sender.shutdown()  # type: ignore[no-untyped-call]  # it waits between two tries no longer


class _Told(SpanExporter):
    """Says once that a collector cannot be reached, and once that it can again."""

    def __init__(self, sender: SpanExporter, collector: str) -> None:
        """`collector`: its host and port, for people."""
        self._sender, self._collector, self._reached = sender, collector, True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._sender.export(spans)
        reached = result is SpanExportResult.SUCCESS
        if reached is not self._reached:
            self._reached = reached
            event = "traces are exported again" if reached else "traces not exported"
            (log.info if reached else log.warning)(event, extra={"collector": self._collector})
        return result

    def shutdown(self) -> None:
        self._sender.shutdown()


def _address(endpoint: str) -> str:
    """As OTEL_EXPORTER_OTLP_ENDPOINT has it, or with the whole path."""
    base = endpoint.rstrip("/")
    return base if base.endswith(PATH) else base + PATH


def _readable(span: Span, resource: Resource) -> ReadableSpan:
    state = _state(span.state) if span.state else _NO_STATE
    parent = None if span.parent_id is None else _context(span.trace_id, span.parent_id, state)
    return ReadableSpan(
        span.name,
        _context(span.trace_id, span.span_id, state),
        parent,
        resource,
        span.attributes,
        links=[Link(_context(trace, other, _NO_STATE)) for trace, other in span.links],
        kind=_KINDS[span.kind],
        status=_FAILED if span.failed else _UNSET,
        start_time=span.began_ns,
        end_time=span.ended_ns,
        instrumentation_scope=_SCOPE,
    )


def _context(trace: int, span: int, state: TraceState) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=_SAMPLED, trace_state=state)


@lru_cache(256)
def _state(text: str) -> TraceState:
    """Entries that are none are left out."""
    return TraceState.from_header([text])
