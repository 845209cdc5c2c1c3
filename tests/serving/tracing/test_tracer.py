"""Spans of requests whose model answers when it is told to: what is joined, and what is copied."""

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from serving.engine import Call, Engine
from serving.lineup import Lineup, Served
from serving.protocol import Answer, Rows
from serving.tracing.trace import Trace
from serving.tracing.tracer import Done, Span, Tracer
from tests.fakes import a_version
from tests.serving.tensor_models import TensorModel, total
from tests.serving.test_batcher import HeldModel
from tests.serving.trials.on_trial import on_trial

TABLE = Rows((np.array([[1.0, 2.0, 3.0]]),), 1)


class Seen:
    """A tracer that exports to a list."""

    def __init__(self, ratio: float = 1) -> None:
        self.spans: list[Span] = []
        self.tracer = Tracer(ratio, self.spans.append)

    def named(self, name: str) -> list[Span]:
        return [each for each in self.spans if each.name == name]


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine(Lineup(("iris", "wine")))
    yield made
    made.close()


async def asked(engine: Engine, served: Served, seen: Seen, trace: Trace | None = None) -> None:
    trace = trace or seen.tracer.begin(None)
    began = time.perf_counter()
    await engine.answer(served, TABLE, Call(trace=trace if trace.sampled else None))
    seen.tracer.ended(trace, Done("request", began, {}))


async def test_requests_that_were_predicted_together_are_linked_through_their_batch(engine: Engine) -> None:
    held, seen = HeldModel(), Seen()
    served = Served(a_version(1), TensorModel(answers=held))
    first = asyncio.create_task(asked(engine, served, seen))
    assert await asyncio.to_thread(held.started.wait, 20)
    unsampled = Seen(0).tracer.begin(None)
    waiting = [asyncio.create_task(asked(engine, served, seen, trace)) for trace in (None, None, unsampled)]
    await asyncio.sleep(0)
    held.release()
    await asyncio.wait_for(asyncio.gather(first, *waiting), 20)

    assert held.calls == [[1.0], [1.0] * 3]
    (batch,) = seen.named("batch")
    requests = seen.named("request")
    assert len(requests) == 3, "nobody wants to see the unsampled one"
    assert set(batch.links) == {(each.trace_id, each.span_id) for each in requests[1:]}
    assert batch.trace_id not in {each.trace_id for each in requests}
    assert batch.attributes == {"slipway.batch.rows": 3, "slipway.batch.requests": 3}
    alone, *joined = seen.named("predict")
    assert (alone.links, alone.attributes["slipway.batch.requests"]) == ((), 1)
    assert [each.links for each in joined] == [((batch.trace_id, batch.span_id),)] * 2
    assert [each.parent_id for each in joined] == [each.span_id for each in requests[1:]]
    assert len(seen.named("queue")) == 3
    assert all(each.began_ns <= each.ended_ns for each in seen.spans)


@pytest.mark.parametrize("inline_rows", [0, 8])
async def test_what_a_shadow_is_asked_is_no_part_of_the_request(engine: Engine, inline_rows: int) -> None:
    seen = Seen()
    copied = asyncio.Event()
    loop = asyncio.get_running_loop()

    def copy(rows: Rows) -> Answer:
        loop.call_soon_threadsafe(copied.set)
        return total(rows)

    trial = on_trial("shadow", candidate=TensorModel(answers=copy), inline_rows=inline_rows, engine=engine)
    standing = trial.lineup.standing("iris")
    assert standing.served is not None
    trace = seen.tracer.begin(None)
    call = Call(trace=trace)
    served = engine.pick(standing, standing.served, b"somebody", call)
    await engine.answer(served, TABLE, call)
    await asyncio.wait_for(copied.wait(), 20)
    seen.tracer.ended(trace, Done("request", time.perf_counter(), {}))

    assert len(seen.named("predict")) == 1


def test_what_is_not_sampled_is_not_exported() -> None:
    seen = Seen(0)

    seen.tracer.ended(seen.tracer.begin(None), Done("request", time.perf_counter(), {}))

    assert seen.spans == []
