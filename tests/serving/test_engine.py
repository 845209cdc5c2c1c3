import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace

import httpx
import numpy as np
import pytest

from serving.congestion import KNOWING_CALLS
from serving.engine import THREADS, Call, Engine, Limits
from serving.errors import DeadlineExpired, NoProbabilities, PredictionFailed, QueueFull, TooLarge
from serving.lineup import Lineup, Served
from serving.protocol import PREDICT_PROBA, Answer, Rows
from tests.fakes import FakeModel, a_version
from tests.servers import eventually
from tests.serving.tensor_models import Held, TensorModel, put, total


async def test_a_request_that_runs_during_a_swap_is_answered_by_its_own_version(lineup: Lineup) -> None:
    started, release = threading.Event(), threading.Event()

    def held() -> bytes:
        started.set()
        assert release.wait(20)
        return b"old"

    engine = Engine(lineup)
    lineup.put(replace(lineup.standing(), served=Served(a_version(1), FakeModel(instead=held))))
    running = asyncio.create_task(engine.invoke(lineup.served(), "application/json", b"", Call()))
    assert await asyncio.to_thread(started.wait, 20)

    lineup.put(replace(lineup.standing(), served=Served(a_version(2), FakeModel("new"))))
    # The loop is free although the old model blocks.
    assert await engine.invoke(lineup.served(), "application/json", b"", Call()) == b'{"predictions": ["new"]}'
    release.set()

    assert await running == b"old"


THREE_ROWS = Rows((np.array([[1.0, 2, 3]] * 3),), 3)


@pytest.fixture
def engine(lineup: Lineup) -> Iterator[Engine]:
    made = Engine(lineup)
    yield made
    made.close()


@pytest.mark.parametrize(("inline_rows", "at_once"), [(0, False), (2, False), (3, True)])
def test_only_so_many_rows_as_are_quick_are_answered_at_once(engine: Engine, inline_rows: int, at_once: bool) -> None:
    call = Call()

    answer = engine.at_once(put(engine.lineup, inline_rows=inline_rows), THREE_ROWS, call)

    assert (answer is not None) is at_once
    assert (call.predict > 0) is at_once


async def test_more_rows_are_answered_off_the_event_loop(engine: Engine) -> None:
    threads: list[threading.Thread] = []

    def remember(rows: Rows) -> Answer:
        threads.append(threading.current_thread())
        return total(rows)

    served = put(engine.lineup, TensorModel(answers=remember), inline_rows=2)

    assert (await engine.answer(served, THREE_ROWS, Call())).outputs[0].tolist() == [6, 6, 6]
    assert threads[0] is not threading.current_thread()


@pytest.mark.parametrize("inline_rows", [0, 8])
async def test_a_model_without_probabilities_says_so(engine: Engine, inline_rows: int) -> None:
    served = put(engine.lineup, TensorModel(probabilities=False), inline_rows=inline_rows)
    asked = Rows(THREE_ROWS.blocks, 3, PREDICT_PROBA)

    with pytest.raises(NoProbabilities, match="model 'iris' has no predict_proba"):
        await engine.answer(served, asked, Call())


async def test_no_probabilities_is_a_400(client: httpx.AsyncClient, lineup: Lineup) -> None:
    put(lineup, TensorModel(probabilities=False))
    body = {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}, "params": {"predict_proba": True}}

    answer = await client.post("/invocations", json=body)

    assert (answer.status_code, answer.json()["type"]) == (400, "urn:slipway:problem:no-probabilities")


@pytest.mark.parametrize("inline_rows", [0, 8])
async def test_a_deadline_that_has_passed_is_told_and_nothing_predicted(engine: Engine, inline_rows: int) -> None:
    held = Held()
    served = put(engine.lineup, TensorModel(answers=held), inline_rows=inline_rows)

    with pytest.raises(DeadlineExpired):
        await engine.answer(served, THREE_ROWS, Call(deadline=time.monotonic()))

    assert held.seen == []


async def test_a_deadline_that_passes_while_the_model_works_ends_the_waiting(engine: Engine) -> None:
    held = Held()
    served = put(engine.lineup, TensorModel(answers=held), inline_rows=0)

    with pytest.raises(DeadlineExpired):
        await engine.answer(served, THREE_ROWS, Call(deadline=time.monotonic() + 0.05))

    held.release.set()
    assert (await engine.answer(served, THREE_ROWS, Call())).outputs[0].tolist() == [6, 6, 6]


@pytest.mark.parametrize("inline_rows", [0, 8])
async def test_what_a_model_raises_is_a_failed_prediction_with_its_cause(engine: Engine, inline_rows: int) -> None:
    def broken(_rows: Rows) -> Answer:
        raise ZeroDivisionError

    served = put(engine.lineup, TensorModel(answers=broken), inline_rows=inline_rows)

    with pytest.raises(PredictionFailed) as failed:
        await engine.answer(served, THREE_ROWS, Call())

    assert isinstance(failed.value.__cause__, ZeroDivisionError)


async def test_a_busy_model_does_not_hold_up_another_one(engine: Engine) -> None:
    held = Held()
    busy = put(engine.lineup, TensorModel(answers=held), inline_rows=0)
    waiting = [asyncio.create_task(engine.answer(busy, THREE_ROWS, Call())) for _ in range(50)]
    assert await asyncio.to_thread(held.started.wait, 20)
    engine.lineup.put(replace(engine.lineup.standing("wine"), served=Served(a_version(1, name="wine"), TensorModel())))

    other = await asyncio.wait_for(engine.answer(engine.lineup.served("wine"), THREE_ROWS, Call()), 20)

    assert other.outputs[0].tolist() == [6, 6, 6]
    held.release.set()
    assert len(await asyncio.gather(*waiting)) == 50
    assert sum(held.seen) == 150
    assert held.seen[1:] == [24, 123]  # as many as are known to be quick, and then all


async def test_an_old_version_is_let_go_after_two_swaps(engine: Engine) -> None:
    first = put(engine.lineup, TensorModel(), number=1, inline_rows=0)
    await engine.answer(first, THREE_ROWS, Call())
    gone = weakref.ref(first.model)
    del first

    for number in (2, 3):
        await engine.answer(put(engine.lineup, TensorModel(), number=number, inline_rows=0), THREE_ROWS, Call())

    def is_gone() -> bool:
        gc.collect()
        return gone() is None

    await asyncio.to_thread(eventually, is_gone)  # the thread that predicted lets go of it in its own time


async def test_the_version_before_goes_on_with_its_batches_while_the_new_one_answers(engine: Engine) -> None:
    held = Held()
    old = put(engine.lineup, TensorModel(answers=held), number=1, inline_rows=0)
    running = asyncio.create_task(engine.answer(old, THREE_ROWS, Call()))
    assert await asyncio.to_thread(held.started.wait, 20)
    waiting = [asyncio.create_task(engine.answer(old, THREE_ROWS, Call())) for _ in range(3)]

    new = put(engine.lineup, TensorModel(), number=2, inline_rows=0)
    assert (await engine.answer(new, THREE_ROWS, Call())).outputs[0].tolist() == [6, 6, 6]
    held.release.set()

    assert len(await asyncio.gather(running, *waiting)) == 4
    assert held.seen == [3, 9]


async def test_other_tags_leave_the_batches_of_a_model_as_they_are(engine: Engine) -> None:
    held = Held()
    served = put(engine.lineup, TensorModel(answers=held), inline_rows=0)
    running = asyncio.create_task(engine.answer(served, THREE_ROWS, Call()))
    assert await asyncio.to_thread(held.started.wait, 20)

    tagged = replace(served, version=a_version(7, promoted_by="ada"))
    waiting = [asyncio.create_task(engine.answer(each, THREE_ROWS, Call())) for each in (served, tagged)]
    await asyncio.sleep(0)
    held.release.set()

    await asyncio.gather(running, *waiting)
    assert held.seen == [3, 6]


async def test_a_caller_of_a_closed_engine_is_told(lineup: Lineup) -> None:
    engine = Engine(lineup)
    engine.close()

    with pytest.raises(PredictionFailed):
        await asyncio.wait_for(engine.answer(put(lineup, inline_rows=0), THREE_ROWS, Call()), 20)


async def test_models_that_block_every_thread_of_theirs_leave_the_others_alone(engine: Engine) -> None:
    held = Held()
    busy = put(engine.lineup, TensorModel(answers=held, joins=False), inline_rows=0)
    waiting = [asyncio.create_task(engine.answer(busy, THREE_ROWS, Call())) for _ in range(100)]
    other = Served(a_version(1, name="wine"), TensorModel(joins=False))

    answer = await asyncio.wait_for(engine.answer(other, THREE_ROWS, Call()), 20)

    assert answer.outputs[0].tolist() == [6, 6, 6]
    held.release.set()
    assert len(await asyncio.gather(*waiting)) == 100


async def test_bodies_for_mlflow_wait_in_a_bounded_queue(lineup: Lineup) -> None:
    engine, release = Engine(lineup, Limits(waiting_rows=3)), threading.Event()
    served = put(lineup, TensorModel(body=lambda body: body if release.wait(20) else b""))
    waiting = [asyncio.create_task(engine.invoke(served, "text/csv", b"x", Call())) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(QueueFull):
        await engine.invoke(served, "text/csv", b"x", Call())

    release.set()
    assert await asyncio.gather(*waiting) == [b"x"] * 3
    assert await engine.invoke(served, "text/csv", b"y", Call()) == b"y"
    engine.close()


async def test_how_many_may_wait_is_told_of_the_version_that_most_wait_for(lineup: Lineup) -> None:
    engine, held = Engine(lineup, Limits(waiting_rows=100)), Held()
    assert engine.waiting_limit("iris") == 100

    def slowly(rows: Rows) -> Answer:
        threading.Event().wait(0.1 * rows.count)
        return total(rows)

    slow = put(lineup, TensorModel(answers=slowly), inline_rows=0)
    for _ in range(KNOWING_CALLS):
        await engine.answer(slow, THREE_ROWS, Call())
    assert 1 <= engine.waiting_limit("iris") < 100

    busy = put(lineup, TensorModel(answers=held), number=8, inline_rows=0)
    running = asyncio.create_task(engine.answer(busy, THREE_ROWS, Call()))
    assert await asyncio.to_thread(held.started.wait, 20)
    waiting = asyncio.create_task(engine.answer(busy, THREE_ROWS, Call()))
    await asyncio.sleep(0)
    assert engine.waiting_limit("iris") == 100
    assert engine.waiting_limit("wine") == 100

    held.release.set()
    await asyncio.gather(running, waiting)
    engine.close()


async def test_bodies_for_mlflow_have_no_more_rows_than_others(lineup: Lineup) -> None:
    engine = Engine(lineup, Limits(request_rows=2))
    served = put(lineup, TensorModel(body=lambda body: body))

    assert await engine.invoke(served, "text/csv", b"1\n2\n", Call()) == b"1\n2\n"
    with pytest.raises(TooLarge):
        await engine.invoke(served, "text/csv", b"1\n2\n3\n", Call())
    engine.close()


async def test_bodies_for_mlflow_whose_callers_hang_up_are_let_go_of(engine: Engine) -> None:
    """With every thread stuck, what waits must not grow by those who try again."""
    release, heard = threading.Event(), []

    def stuck(body: bytes) -> bytes:
        heard.append(body)
        assert release.wait(20)
        return body

    served = put(engine.lineup, TensorModel(body=stuck))
    busy = [asyncio.create_task(engine.invoke(served, "text/csv", b"first", Call())) for _ in range(THREADS)]
    await asyncio.to_thread(eventually, lambda: len(heard) == THREADS)
    waiting = [asyncio.create_task(engine.invoke(served, "text/csv", b"gone", Call())) for _ in range(50)]
    await asyncio.sleep(0)
    for each in (*waiting, busy[0]):
        each.cancel()
    await asyncio.wait([*waiting, busy[0]])

    last = asyncio.create_task(engine.invoke(served, "text/csv", b"last", Call()))
    release.set()

    assert await last == b"last"
    assert heard == [b"first"] * THREADS + [b"last"]
    assert await asyncio.gather(*busy[1:]) == [b"first"] * (THREADS - 1)
