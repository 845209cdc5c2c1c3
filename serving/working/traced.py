"""A job is a part of the trace of the request that it came with, however much later."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from serving.errors import ServingError
from serving.jobs.job import Outcome
from serving.jobs.turns import Work
from serving.metrics.declared import INTERNAL, OK
from serving.protocol import Answer, Model, Rows, Version
from serving.tracing.trace import Mark, Trace
from serving.tracing.tracer import Attributes, Done, Tracer
from serving.working.predicting import NobodyWaits, Tell, Tools

How = Callable[[Work, Tools, Tell], Outcome]


def traced(answer: How, tracer: Tracer) -> How:
    """As `answer`, and told to `tracer`: each try is a span, its wait another one."""

    def answered(job: Work, tools: Tools, tell: Tell) -> Outcome:
        origin = job.order.origin
        trace = tracer.begin(origin.traceparent, origin.tracestate)
        if not trace.sampled:
            return answer(job, tools, tell)
        if job.starts == 1:
            tracer.waited(trace, "queue", job.queued_ms * 1_000_000, {"slipway.job": job.id})
        began = time.perf_counter()
        try:
            outcome = answer(job, replace(tools, models=_Models(tools, trace)), tell)
        except BaseException as error:
            tracer.ended(trace, Done("job", began, _raised(job, error), kind="consumer", failed=True))
            raise
        tracer.ended(trace, Done("job", began, _ended(job, outcome), kind="consumer"))
        return outcome

    return answered


class _Models:
    """Those of `tools`, whose calls are noted."""

    def __init__(self, tools: Tools, trace: Trace) -> None:
        self._of, self._trace = tools.models.of, trace

    @contextmanager
    def of(self, version: Version) -> Iterator[Model]:
        with self._of(version) as model:
            yield cast(Model, _Noted(model, self._trace))


class _Noted:
    """A model; everything else of it is its own."""

    def __init__(self, model: Model, trace: Trace) -> None:
        self._model, self._trace = model, trace

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict(self, rows: Rows) -> Answer:
        with self._noting(rows.count):
            return self._model.predict(rows)

    def invoke(self, media_type: str, body: bytes, most_rows: int | None = None) -> bytes:
        with self._noting(0):
            return self._model.invoke(media_type, body, most_rows)

    @contextmanager
    def _noting(self, rows: int) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._trace.mark(Mark(began, began, time.perf_counter(), rows))


def _raised(job: Work, error: BaseException) -> Attributes:
    if isinstance(error, NobodyWaits):
        code = "nobody-waits"
    else:
        code = error.code if isinstance(error, ServingError) else INTERNAL
    return {**_about(job), "slipway.code": code, "error.type": code}


def _ended(job: Work, outcome: Outcome) -> Attributes:
    found: dict[str, str | int] = {"slipway.state": outcome.state, "slipway.code": outcome.code or OK}
    found |= {} if outcome.version is None else {"slipway.version": outcome.version}
    return {**_about(job), **found, **({"error.type": outcome.code} if outcome.code else {})}


def _about(job: Work) -> Attributes:
    found: dict[str, str | int] = {
        "slipway.job": job.id,
        "slipway.model": job.order.model,
        "slipway.job.start": job.starts,
    }
    origin = job.order.origin
    return found | ({"slipway.request_id": origin.request_id} if origin.request_id else {})
