"""Make the spans of a request once it is answered, from the times that were taken on its way.

Knows no OpenTelemetry: `export.py` is told of plain `Span`s, in the order in which they began.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from serving.tracing.trace import Batch, Mark, Trace, begun, new_id

Attributes = Mapping[str, str | int | float | bool]
Kind = Literal["internal", "server", "consumer"]


@dataclass(frozen=True, slots=True)
class Span:
    """Times are nanoseconds since the epoch."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    state: str
    began_ns: int
    ended_ns: int
    attributes: Attributes = field(default_factory=dict)
    kind: Kind = "internal"
    failed: bool = False
    links: tuple[tuple[int, int], ...] = ()
    """Trace and span."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a request."""

    name: str
    began: float
    """By `time.perf_counter`."""
    attributes: Attributes
    decode: float = 0.0
    """Seconds, before the model was first asked."""
    encode: float = 0.0
    """Seconds, after it was last asked."""
    kind: Kind = "server"
    failed: bool = False


class Tracer:
    def __init__(self, ratio: float, export: Callable[[Span], None], close: Callable[[], None] = lambda: None) -> None:
        """`ratio`: of the requests that are sampled where their callers have not decided. `export` must not block."""
        self._bound = round(ratio * 2**64)  # as TraceIdRatioBased of OpenTelemetry has it
        self._export = export
        self.close = close

    def begin(self, traceparent: str | None, tracestate: str = "") -> Trace:
        return begun(traceparent, tracestate, self._bound)

    def ended(self, trace: Trace, done: Done) -> None:
        """Now. Nothing where it is not sampled."""
        if not trace.sampled:
            return
        clock = _Clock()
        attributes = dict(done.attributes)
        if trace.more_marks:
            attributes["slipway.calls_not_shown"] = trace.more_marks
        parent, began = trace.parent_id, clock.ns(done.began)
        ids = trace.trace_id, trace.span_id, parent, trace.state
        self._export(Span(done.name, *ids, began, clock.now_ns, attributes, done.kind, done.failed))
        for span in _parts(trace, done, clock):
            self._export(span)

    def waited(self, before: Trace, name: str, began_ns: int, attributes: Attributes) -> None:
        """A span up to now whose parent is that of `before`."""
        if before.sampled and before.parent_id is not None:
            ids = before.trace_id, new_id(64), before.parent_id, before.state
            self._export(Span(name, *ids, began_ns, time.time_ns(), attributes))


class _Clock:
    """Of the epoch, for times by `time.perf_counter`."""

    def __init__(self) -> None:
        self.now_ns, self._now = time.time_ns(), time.perf_counter()

    def ns(self, at: float) -> int:
        return self.now_ns - int((self._now - at) * 1e9)


def _parts(trace: Trace, done: Done, clock: _Clock) -> Iterator[Span]:
    marks = trace.marks
    if done.decode:
        ended = marks[0].since if marks else min(done.began + done.decode, clock.ns(0))
        yield _part(trace, "decode", clock.ns(ended - done.decode), clock.ns(ended))
    for mark in marks:
        if mark.began - mark.since > 0:
            yield _part(trace, "queue", clock.ns(mark.since), clock.ns(mark.began))
        yield _predict(trace, mark, clock)
        if mark.batch is not None and not mark.batch.told:
            mark.batch.told = True
            yield _batch(mark.batch, clock.ns(mark.began), clock.ns(mark.ended))
    if done.encode and marks:
        yield _part(trace, "encode", clock.ns(marks[-1].ended), clock.ns(marks[-1].ended + done.encode))


def _part(trace: Trace, name: str, began_ns: int, ended_ns: int) -> Span:
    return Span(name, trace.trace_id, new_id(64), trace.span_id, trace.state, began_ns, ended_ns)


def _predict(trace: Trace, mark: Mark, clock: _Clock) -> Span:
    batch = mark.batch
    attributes = {"slipway.rows": mark.rows, "slipway.batch.rows": mark.rows, "slipway.batch.requests": 1}
    if batch is not None:
        attributes |= {"slipway.batch.rows": batch.rows, "slipway.batch.requests": batch.requests}
    links = () if batch is None else ((batch.trace_id, batch.span_id),)
    ids = trace.trace_id, new_id(64), trace.span_id, trace.state
    return Span("predict", *ids, clock.ns(mark.began), clock.ns(mark.ended), attributes, links=links)


def _batch(batch: Batch, began_ns: int, ended_ns: int) -> Span:
    """A trace of its own, for it belongs to all whose rows it joined; it links to each, and their `predict` to it."""
    attributes = {"slipway.batch.rows": batch.rows, "slipway.batch.requests": batch.requests}
    links = tuple((each.trace_id, each.span_id) for each in batch.members)
    return Span("batch", batch.trace_id, batch.span_id, None, "", began_ns, ended_ns, attributes, links=links)
