import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batcher import Batcher, Call, Limits
from serving.congestion import JOINED_CALLS, KNOWING_CALLS
from serving.errors import DeadlineExpired, PredictionFailed, QueueFull, RowsRefused
from serving.protocol import PREDICT_PROBA, Answer, Rows

BAD = -1.0
"""A row that no model here predicts."""


@dataclass
class HeldModel:
    """Answers every row with itself, once released; remembers the rows of each call."""

    calls: list[list[float]] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)
    turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def release(self, calls: int = 1000) -> None:
        self.turns.release(calls)

    def __call__(self, rows: Rows) -> Answer:
        values = rows.blocks[0][:, 0]
        self.calls.append(values.tolist())
        self.started.set()
        assert self.turns.acquire(timeout=20)
        if BAD in values:
            raise RowsRefused("a row is bad")
        return Answer((values,))


@dataclass
class Desk:
    """A batcher over `model`, and how to ask it."""

    batcher: Batcher
    model: HeldModel

    def ask(
        self, *values: float, call: Call | None = None, width: int = 1, **question: object
    ) -> "asyncio.Task[Answer]":
        rows = Rows((np.array([[value] * width for value in values], float),), len(values), **question)  # type: ignore[arg-type]
        return asyncio.create_task(self.batcher.submit(rows, call or Call()))

    async def busy(self, value: float = 0) -> "asyncio.Task[Answer]":
        """A request that the model is held at: what is asked from now on waits."""
        asked = self.ask(value)
        assert await asyncio.to_thread(self.model.started.wait, 20)
        return asked


Open = Callable[..., Desk]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


@pytest.fixture
def desk(pool: ThreadPoolExecutor) -> Iterator[Open]:
    models: list[HeldModel] = []

    def made(*, joins: bool = True, **limits: int) -> Desk:
        models.append(HeldModel())
        return Desk(Batcher(models[-1], Limits(**limits), pool, joins=joins), models[-1])

    yield made
    for model in models:
        model.release()


async def submitted() -> None:
    """Every task that was made takes its first step, which puts its rows into the queue."""
    await asyncio.sleep(0)


async def values(answer: "asyncio.Task[Answer]") -> list[float]:
    found: list[float] = (await asyncio.wait_for(answer, 20)).outputs[0].tolist()
    return found


async def test_an_idle_model_is_asked_at_once(desk: Open) -> None:
    at = desk()

    first, _second = at.ask(1), at.ask(2)
    assert await asyncio.to_thread(at.model.started.wait, 20)

    assert at.model.calls == [[1]]
    at.model.release()
    assert await values(first) == [1]


async def test_rows_that_wait_while_the_model_is_busy_are_predicted_together(desk: Open) -> None:
    at = desk()
    first = await at.busy(1)
    others = [at.ask(2), at.ask(3, 4), at.ask(5)]
    await submitted()

    at.model.release()

    assert [await values(each) for each in (first, *others)] == [[1], [2], [3, 4], [5]]
    assert at.model.calls == [[1], [2, 3, 4, 5]]


@pytest.mark.parametrize("limit", [{"rows": 3}, {"bytes": 3 * 8}])
async def test_a_batch_is_bounded_by_rows_and_by_bytes(desk: Open, limit: dict[str, int]) -> None:
    at = desk(**limit)
    asked = [await at.busy(0), at.ask(1), at.ask(2, 3), at.ask(4), at.ask(5, 6, 7), at.ask(8)]
    await submitted()

    at.model.release()

    assert [await values(each) for each in asked] == [[0], [1], [2, 3], [4], [5, 6, 7], [8]]
    assert at.model.calls == [[0], [1, 2, 3], [4], [5, 6, 7], [8]]


@pytest.mark.parametrize("limit", [{"rows": 2}, {"bytes": 2 * 8}])
async def test_a_request_larger_than_a_batch_goes_alone(desk: Open, limit: dict[str, int]) -> None:
    at = desk(**limit)
    asked = [await at.busy(0), at.ask(1), at.ask(2, 3, 4), at.ask(5)]
    await submitted()

    at.model.release()

    assert [await values(each) for each in asked] == [[0], [1], [2, 3, 4], [5]]
    assert at.model.calls == [[0], [1], [2, 3, 4], [5]]


async def test_a_caller_who_hangs_up_while_queued_is_not_predicted(desk: Open) -> None:
    at = desk()
    first, second, third = await at.busy(1), at.ask(2), at.ask(3)
    await submitted()

    second.cancel()
    at.model.release()

    assert [await values(first), await values(third)] == [[1], [3]]
    assert at.model.calls == [[1], [3]]


async def test_a_caller_who_hangs_up_does_not_hurt_its_batch_mates(desk: Open) -> None:
    at = desk()
    first, second, third, fourth = await at.busy(1), at.ask(2), at.ask(3), at.ask(4)
    await submitted()
    at.model.started.clear()
    at.model.release(1)
    await first
    assert await asyncio.to_thread(at.model.started.wait, 20)

    third.cancel()
    at.model.release()

    assert [await values(second), await values(fourth)] == [[2], [4]]
    assert at.model.calls == [[1], [2, 3, 4]]


async def test_rows_of_callers_who_hung_up_take_no_room_in_the_queue(desk: Open) -> None:
    at = desk(waiting_rows=2)
    first, gone = await at.busy(1), at.ask(2, 3)
    await submitted()
    gone.cancel()
    await submitted()

    third = at.ask(4, 5)
    await submitted()
    at.model.release()

    assert [await values(first), await values(third)] == [[1], [4, 5]]


async def test_a_queue_that_is_full_says_so_at_once_and_takes_rows_again_later(desk: Open) -> None:
    at = desk(waiting_rows=3)
    first, second = await at.busy(1), at.ask(2, 3)
    await submitted()

    with pytest.raises(QueueFull, match="2 rows are already waiting"):
        await at.ask(4, 5)

    at.model.release()
    assert [await values(first), await values(second)] == [[1], [2, 3]]
    assert await values(at.ask(4, 5)) == [4, 5]


async def test_a_request_larger_than_the_queue_is_taken_when_nobody_waits(desk: Open) -> None:
    at = desk(waiting_rows=1)
    at.model.release()

    assert await values(at.ask(1, 2, 3)) == [1, 2, 3]


async def test_who_is_too_late_is_told_and_not_predicted(desk: Open) -> None:
    at = desk()
    first, late, third = await at.busy(1), at.ask(2, call=Call(deadline=time.monotonic())), at.ask(3)
    await submitted()

    at.model.release()

    with pytest.raises(DeadlineExpired):
        await late
    assert [await values(first), await values(third)] == [[1], [3]]
    assert at.model.calls == [[1], [3]]


async def test_a_bad_request_fails_alone(desk: Open) -> None:
    at = desk()
    first, second, bad, fourth = await at.busy(1), at.ask(2), at.ask(3, BAD), at.ask(4)
    await submitted()

    at.model.release()

    with pytest.raises(RowsRefused, match="a row is bad"):
        await bad
    assert [await values(each) for each in (first, second, fourth)] == [[1], [2], [4]]


async def test_what_a_models_library_raises_is_a_failed_prediction_with_its_cause(pool: ThreadPoolExecutor) -> None:
    def broken(_rows: Rows) -> Answer:
        raise ZeroDivisionError

    with pytest.raises(PredictionFailed) as failed:
        await Batcher(broken, Limits(), pool, joins=True).submit(Rows((np.ones((1, 1)),), 1), Call())

    assert isinstance(failed.value.__cause__, ZeroDivisionError)


async def test_a_model_that_would_end_the_process_fails_its_own_request_only(pool: ThreadPoolExecutor) -> None:
    def leaving(rows: Rows) -> Answer:
        if BAD in rows.blocks[0]:
            raise SystemExit(3)
        return Answer((rows.blocks[0],))

    batcher = Batcher(leaving, Limits(), pool, joins=True)

    with pytest.raises(PredictionFailed):
        await batcher.submit(Rows((np.full((1, 1), BAD),), 1), Call())
    assert (await batcher.submit(Rows((np.ones((1, 1)),), 1), Call())).outputs[0].tolist() == [[1]]


@pytest.mark.parametrize(
    "other", [{"method": PREDICT_PROBA}, {"params": {"factor": 2}}, {"names": ("x",)}, {"width": 2}]
)
async def test_other_questions_never_share_a_call(desk: Open, other: dict[str, object]) -> None:
    at = desk()
    asked = [await at.busy(1), at.ask(2), at.ask(3, **other), at.ask(4), at.ask(5, **other)]  # type: ignore[arg-type]
    await submitted()

    at.model.release()

    assert [await values(each) for each in asked] == [[1], [2], [3], [4], [5]]
    assert at.model.calls == [[1], [2, 4], [3, 5]]


async def test_arrays_of_other_types_never_share_a_call(desk: Open) -> None:
    at = desk()
    first, second = await at.busy(1), at.ask(2)
    whole = asyncio.create_task(at.batcher.submit(Rows((np.array([[3]]),), 1), Call()))
    await submitted()

    at.model.release()

    assert [await values(each) for each in (first, second, whole)] == [[1], [2], [3]]
    assert (await whole).outputs[0].dtype.kind == "i"
    assert at.model.calls == [[1], [2], [3]]


async def test_a_model_that_does_not_join_gets_each_request_by_itself(desk: Open) -> None:
    at = desk(joins=False)
    asked = [await at.busy(1), at.ask(2), at.ask(3)]
    await submitted()

    at.model.release()

    assert [await values(each) for each in asked] == [[1], [2], [3]]
    assert at.model.calls == [[1], [2], [3]]


async def test_several_lanes_are_several_calls_at_a_time(desk: Open) -> None:
    at = desk(joins=False, lanes=2)
    first = await at.busy(1)
    at.model.started.clear()

    second = await at.busy(2)

    assert at.model.calls == [[1], [2]]
    at.model.release()
    assert [await values(first), await values(second)] == [[1], [2]]


@pytest.mark.parametrize("whole", [np.zeros(1), np.zeros(())])
async def test_an_answer_without_an_entry_a_row_is_asked_for_one_by_one(
    pool: ThreadPoolExecutor, whole: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> None:
    release, started = threading.Event(), threading.Event()

    def summing(rows: Rows) -> Answer:
        started.set()
        assert release.wait(20)
        return Answer((whole + rows.blocks[0].sum(),))

    batcher = Batcher(summing, Limits(), pool, joins=True)
    asked = [asyncio.create_task(batcher.submit(Rows((np.array([[value]]),), 1), Call())) for value in (1, 2, 3)]
    assert await asyncio.to_thread(started.wait, 20)

    release.set()

    assert [(await each).outputs[0].sum() for each in asked] == [1, 2, 3]


async def test_a_call_knows_how_long_it_waited_and_was_predicted(desk: Open) -> None:
    at, call = desk(), Call()
    first, second = await at.busy(1), at.ask(2, call=call)
    await submitted()
    assert call.queue == call.predict == 0

    at.model.release()
    await values(first)
    await values(second)

    assert call.queue > 0
    assert call.predict > 0


async def test_who_waits_when_the_pool_is_closed_is_told(desk: Open, pool: ThreadPoolExecutor) -> None:
    at = desk()
    first, second = await at.busy(1), at.ask(2)
    await submitted()

    pool.shutdown(wait=False, cancel_futures=True)
    at.model.release()

    assert await values(first) == [1]
    with pytest.raises(PredictionFailed):
        await asyncio.wait_for(second, 20)


FATES = st.sampled_from(["stays", "hangs up while it waits", "hangs up while it is predicted", "is bad"])


@given(
    st.lists(st.tuples(st.integers(1, 5), FATES), max_size=12),
    st.integers(1, 8),
    st.integers(1, 3),
    st.booleans(),
)
@settings(deadline=None, max_examples=150)
async def test_everybody_gets_exactly_its_own_rows(
    requests: list[tuple[int, str]], max_rows: int, lanes: int, joins: bool
) -> None:
    model = HeldModel()
    with ThreadPoolExecutor(lanes) as pool:
        at = Desk(Batcher(model, Limits(rows=max_rows, lanes=lanes), pool, joins=joins), model)
        sizes = np.cumsum([0, *(count for count, _ in requests)]).tolist()
        wanted = [list(range(start, start + count)) for start, (count, _) in zip(sizes, requests, strict=False)]
        fates = [fate for _, fate in requests]
        tasks = [
            at.ask(*([*each[:-1], BAD] if fate == "is bad" else each)) for each, fate in zip(wanted, fates, strict=True)
        ]
        await submitted()

        for moment in ("hangs up while it waits", "hangs up while it is predicted"):
            for task, fate in zip(tasks, fates, strict=True):
                if fate == moment:
                    task.cancel()
            model.release()
        outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)

    for outcome, own, fate in zip(outcomes, wanted, fates, strict=True):
        if fate == "stays":
            assert isinstance(outcome, Answer)
            assert outcome.outputs[0].tolist() == own
        elif fate == "is bad":
            assert isinstance(outcome, RowsRefused)
        else:
            assert isinstance(outcome, asyncio.CancelledError)
    assert all(len(call) <= max(max_rows, 5) for call in model.calls)


async def test_in_an_overload_those_who_came_last_are_refused_at_once_and_the_first_are_answered() -> None:
    calls: list[int] = []

    def slow(rows: Rows) -> Answer:
        calls.append(rows.count)
        threading.Event().wait(0.02 * rows.count)
        return Answer((rows.blocks[0][:, 0],))

    def a_row(value: float) -> Rows:
        return Rows((np.array([[value]]),), 1)

    with ThreadPoolExecutor(1) as pool:
        batcher = Batcher(slow, Limits(waiting_seconds=0.2), pool, joins=True)
        for rows in (1, 13, 1):  # what so many take is known
            await batcher.submit(Rows((np.zeros((rows, 1)),), rows), Call())
        calls.clear()
        asked = [asyncio.create_task(batcher.submit(a_row(value), Call())) for value in range(100)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)

    refused = [isinstance(each, QueueFull) for each in outcomes]
    assert not any(refused[:3])
    assert refused.count(True) > 85
    assert {type(each) for each in outcomes} == {Answer, QueueFull}
    assert max(calls) <= JOINED_CALLS  # a call with all of them would let each wait for all


async def test_many_rows_a_request_after_single_ones_are_no_overload() -> None:
    """Each call takes as long, whatever is in it, as those of a pandas model do."""

    def steady(rows: Rows) -> Answer:
        threading.Event().wait(0.003)
        return Answer((rows.blocks[0][:, 0],))

    def some(rows: int) -> Rows:
        return Rows((np.zeros((rows, 1)),), rows)

    with ThreadPoolExecutor(1) as pool:
        batcher = Batcher(steady, Limits(waiting_seconds=0.5), pool, joins=True)

        async def caller() -> None:
            for _ in range(5):
                await batcher.submit(some(64), Call())

        for _ in range(20):
            await batcher.submit(some(1), Call())
        await asyncio.gather(*(caller() for _ in range(32)))  # QueueFull for nobody


async def test_what_waits_is_bounded_in_bytes(pool: ThreadPoolExecutor) -> None:
    model = HeldModel()
    desk = Desk(Batcher(model, Limits(waiting_bytes=100), pool, joins=True), model)
    held = await desk.busy()
    waiting = desk.ask(1, width=12)

    with pytest.raises(QueueFull):
        await desk.ask(2, width=1)

    model.release()
    await asyncio.gather(held, waiting)


async def test_how_many_may_wait_is_told_by_the_bound_that_comes_first(pool: ThreadPoolExecutor) -> None:
    def slow(rows: Rows) -> Answer:
        threading.Event().wait(0.01 * rows.count)
        return Answer((rows.blocks[0][:, 0],))

    batcher = Batcher(slow, Limits(waiting_rows=1000, waiting_seconds=0.5), pool, joins=True)
    assert batcher.most_waiting_rows == 1000

    for _ in range(KNOWING_CALLS):
        await batcher.submit(Rows((np.zeros((5, 1)),), 5), Call())

    assert 1 <= batcher.most_waiting_rows <= 50  # half a second of 10 ms a row


async def test_how_many_may_wait_is_told_by_bytes_when_those_are_nearly_gone(desk: Open) -> None:
    at = desk(waiting_bytes=100)
    held, waiting = await at.busy(), at.ask(1, width=12)
    await submitted()

    assert at.batcher.waiting_rows / at.batcher.most_waiting_rows > 0.95

    at.model.release()
    await asyncio.gather(held, waiting)
