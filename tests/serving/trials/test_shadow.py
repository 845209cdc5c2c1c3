"""What is counted while requests are answered: by the engine, for every transport."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from serving.engine import Call
from serving.errors import DeadlineExpired, InvalidInput, PredictionFailed, RowsRefused
from serving.lineup import Served
from serving.protocol import PREDICT_PROBA, Answer, Column, Model, NotRows, Rows, Signature
from serving.trials.lane import Bounds, Lane
from serving.trials.tally import Tally
from tests.servers import eventually
from tests.serving.tensor_models import THREE, Held, TensorModel, total
from tests.serving.trials.on_trial import OnTrial, on_trial

ROWS = Rows((np.array([[1.0, 2, 3]] * 3),), 3)


def wrong(rows: Rows) -> Answer:
    return Answer((total(rows).outputs[0] + 1,))


def broken(_rows: Rows) -> Answer:
    raise ZeroDivisionError


def refuses(_rows: Rows) -> Answer:
    raise RowsRefused("this model cannot")


@pytest.fixture
async def cleared() -> AsyncIterator[list[OnTrial]]:
    made: list[OnTrial] = []
    yield made
    for each in made:
        each.shadow.close()
        each.engine.close()


Make = Callable[..., OnTrial]


@pytest.fixture
def begin(cleared: list[OnTrial]) -> Make:
    def make(*words: object, **options: object) -> OnTrial:
        made = on_trial(*words, **options)  # type: ignore[arg-type]
        cleared.append(made)
        return made

    return make


def calm() -> Lane:
    """However long a thread takes to start on the machine of these tests, the worker counts as free."""
    return Lane(Bounds(busy_seconds=1000))


def picked(trial: OnTrial, key: bytes = b"ada") -> tuple[Served, Call]:
    call = Call()
    standing = trial.lineup.standing("iris")
    assert standing.served is not None
    return trial.engine.pick(standing, standing.served, key, call), call


async def ask(trial: OnTrial, rows: Rows = ROWS, *, again: Callable[[Model], Rows] | None = None) -> int:
    """The version that answered; raises what the caller would be told."""
    served, call = picked(trial)
    assert call.sample is not None
    call.sample.asked(again or (lambda _model: rows), 1)
    await trial.engine.answer(served, rows, call)
    return served.version.number


def settled(trial: OnTrial, **counts: int) -> Tally:
    """Once that was counted."""

    def found() -> bool:
        tally = trial.tally
        return all(getattr(tally, name) == count for name, count in counts.items())

    eventually(found)
    return trial.tally


@pytest.mark.parametrize("inline_rows", [0, 8])
async def test_a_shadow_answers_nobody_and_is_compared_with_what_was_answered(begin: Make, inline_rows: int) -> None:
    trial = begin("shadow", candidate=TensorModel(answers=wrong), inline_rows=inline_rows, lane=calm())

    assert {await ask(trial) for _ in range(5)} == {6}

    tally = settled(trial, compared=5)
    assert (tally.disagreed, tally.dropped) == (5, 0)
    assert (tally.candidate.requests, tally.candidate.errors) == (5, 0)
    assert (tally.beside.requests, tally.beside.errors) == (5, 0)
    assert tally.candidate.p99_seconds is not None


async def test_a_shadow_that_answers_alike_does_not_disagree(begin: Make) -> None:
    trial = begin("shadow")

    await ask(trial)
    await ask(trial, Rows(ROWS.blocks, 3, PREDICT_PROBA))

    assert settled(trial, compared=2).disagreed == 0


async def test_a_shadow_that_fails_is_an_error_of_its_own_only(begin: Make, caplog: pytest.LogCaptureFixture) -> None:
    trial = begin("shadow", candidate=TensorModel(answers=broken))

    assert {await ask(trial) for _ in range(3)} == {6}

    assert eventually(lambda: trial.tally.candidate.errors == 3)
    assert (trial.tally.beside.errors, trial.tally.compared) == (0, 0)
    assert [record.message for record in caplog.records] == ["candidate failed"]


async def test_what_only_the_shadow_refuses_is_an_error(begin: Make) -> None:
    trial = begin("shadow", candidate=TensorModel(answers=refuses))

    await ask(trial)

    assert eventually(lambda: trial.tally.candidate.errors) == 1


async def test_what_production_refuses_is_neither_copied_nor_counted(begin: Make) -> None:
    seen: list[int] = []
    candidate = TensorModel(answers=lambda rows: seen.append(rows.count) or total(rows))  # type: ignore[func-returns-value]
    trial = begin("shadow", production=TensorModel(answers=refuses), candidate=candidate)

    with pytest.raises(RowsRefused):
        await ask(trial)

    assert trial.tally.beside.requests == 0
    assert seen == []


async def test_a_shadow_that_is_busy_drops_copies_and_nobody_waits(begin: Make) -> None:
    held = Held()
    trial = begin("shadow", candidate=TensorModel(answers=held), lane=Lane(Bounds(items=2)))

    first = await ask(trial)
    assert held.started.wait(20)
    others = {await asyncio.wait_for(ask(trial), 20) for _ in range(5)}

    assert {first, *others} == {6}
    assert trial.tally.dropped == 3
    held.release.set()
    assert settled(trial, compared=3).dropped == 3


async def test_when_callers_wait_for_production_there_are_no_copies(begin: Make) -> None:
    held = Held()
    trial = begin("shadow", production=TensorModel(answers=held, joins=False), inline_rows=0)
    waiting = [asyncio.create_task(ask(trial)) for _ in range(40)]  # more than there are threads
    assert await asyncio.to_thread(held.started.wait, 20)
    await asyncio.to_thread(threading.Event().wait, 0.1)  # so long some of them wait
    held.release.set()
    assert set(await asyncio.gather(*waiting)) == {6}

    assert trial.tally.dropped > 0
    assert trial.tally.beside.requests == 40


WIDER = replace(THREE, inputs=(*THREE.inputs, Column("d", "double", required=False)))
"""Takes one column more."""


async def test_a_shadow_with_another_signature_reads_the_request_itself(begin: Make) -> None:
    def again(model: Model) -> Rows:
        assert model.signature == WIDER
        return Rows((np.array([[1.0, 2, 3, 0]] * 3),), 3)

    trial = begin("shadow", candidate=TensorModel(WIDER))

    await ask(trial, again=again)

    assert settled(trial, compared=1).disagreed == 0


async def test_a_request_that_a_shadow_cannot_read_is_its_error(begin: Make) -> None:
    def again(_model: Model) -> Rows:
        raise InvalidInput("column d is missing")

    trial = begin("shadow", candidate=TensorModel(WIDER))

    await ask(trial, again=again)

    assert eventually(lambda: trial.tally.candidate.errors) == 1


async def test_what_cannot_be_asked_alike_is_dropped(begin: Make) -> None:
    def only_mlflow(_model: Model) -> Rows:
        raise NotRows

    trial = begin("shadow", candidate=TensorModel(WIDER))

    await ask(trial, again=only_mlflow)

    assert eventually(lambda: trial.tally.dropped) == 1
    assert trial.tally.candidate.errors == 0


async def test_bodies_that_mlflow_reads_are_compared(begin: Make) -> None:
    def says(text: bytes) -> TensorModel:
        return TensorModel(Signature(), body=lambda _body: text)

    production, candidate = says(b'{"predictions": [1.0, 2.0]}'), says(b'{"predictions": [1.0, 3.0]}')
    trial = begin("shadow", production=production, candidate=candidate, lane=calm())
    served, call = picked(trial)

    answer = await trial.engine.invoke(served, "application/json", b"{}", call)

    assert answer == b'{"predictions": [1.0, 2.0]}'
    assert settled(trial, compared=1).disagreed == 1


@pytest.mark.parametrize(("percent", "version"), [(0, 6), (100, 7)])
async def test_a_canary_of_none_or_all_answers_none_or_all(begin: Make, percent: float, version: int) -> None:
    trial = begin("canary", percent)

    assert {await ask(trial) for _ in range(3)} == {version}

    requests = trial.tally.beside.requests, trial.tally.candidate.requests
    assert requests == ((3, 0) if version == 6 else (0, 3))
    assert trial.tally.compared == 0


@pytest.mark.parametrize("inline_rows", [0, 8])
async def test_a_canary_that_fails_is_counted(begin: Make, inline_rows: int) -> None:
    trial = begin("canary", candidate=TensorModel(answers=broken), inline_rows=inline_rows)

    with pytest.raises(PredictionFailed):
        await ask(trial)

    assert (trial.tally.candidate.requests, trial.tally.candidate.errors) == (1, 1)


@pytest.mark.parametrize("inline_rows", [0, 8])
async def test_what_only_a_canary_refuses_is_its_error(begin: Make, inline_rows: int) -> None:
    trial = begin("canary", candidate=TensorModel(answers=refuses), inline_rows=inline_rows)

    with pytest.raises(RowsRefused):
        await ask(trial)

    assert eventually(lambda: trial.tally.candidate.errors) == 1


async def test_what_both_refuse_is_the_callers_fault(begin: Make) -> None:
    asked, looked, lane = threading.Event(), threading.Event(), Lane()

    def refuses_too(_rows: Rows) -> Answer:
        asked.set()
        raise RowsRefused("nor can this one")

    production, candidate = TensorModel(answers=refuses_too), TensorModel(answers=refuses)
    trial = begin("canary", production=production, candidate=candidate, lane=lane)

    with pytest.raises(RowsRefused):
        await ask(trial)

    lane.offer(looked.set, 0)
    assert looked.wait(20)
    assert asked.is_set()
    assert trial.tally.candidate.requests == 0


async def test_what_a_transport_could_not_read_for_a_canary_is_shown_to_production(begin: Make) -> None:
    trial = begin("canary")
    _, call = picked(trial)
    assert call.sample is not None
    call.sample.asked(lambda _model: ROWS, 1)

    call.sample.refused(InvalidInput("column d is missing"))

    assert eventually(lambda: trial.tally.candidate.errors) == 1


async def test_an_impatient_caller_says_nothing_of_the_canary_but_how_long_it_waited(begin: Make) -> None:
    held = Held()
    trial = begin("canary", candidate=TensorModel(answers=held), inline_rows=0)
    served, call = picked(trial)
    call.deadline = time.monotonic() + 0.05

    with pytest.raises(DeadlineExpired):
        await trial.engine.answer(served, ROWS, call)

    held.release.set()
    candidate = trial.tally.candidate
    assert (candidate.requests, candidate.errors) == (1, 0)
    assert candidate.p99_seconds is not None


async def test_a_caller_that_hangs_up_is_counted_as_one_that_waited(begin: Make) -> None:
    held = Held()
    trial = begin("canary", candidate=TensorModel(answers=held), inline_rows=0)
    asking = asyncio.create_task(ask(trial))
    assert await asyncio.to_thread(held.started.wait, 20)

    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    held.release.set()

    assert (trial.tally.candidate.requests, trial.tally.candidate.errors) == (1, 0)
    assert trial.tally.candidate.overdue == 0


async def test_another_percent_goes_on_with_the_same_counts(begin: Make) -> None:
    trial = begin("canary", 0)
    await ask(trial)
    trial.say("canary", 100)
    await ask(trial)
    trial.say("shadow")
    await ask(trial)

    tally = settled(trial, compared=1)
    assert (tally.beside.requests, tally.candidate.requests) == (2, 2)


async def test_without_a_loaded_candidate_production_answers_and_nothing_is_counted(begin: Make) -> None:
    trial = begin("canary", 100)
    standing = trial.lineup.standing("iris")
    assert standing.candidate is not None
    out = replace(standing.candidate, served=None, shadow=None, state="out", reason="it failed")
    trial.lineup.put(replace(standing, candidate=out))

    served, call = picked(trial)

    assert served.version.number == 6
    assert call.sample is None


async def test_a_canary_that_hangs_does_not_hold_up_production(begin: Make) -> None:
    held = Held()
    trial = begin("canary", 100, candidate=TensorModel(answers=held), inline_rows=0)
    stuck = asyncio.create_task(ask(trial))
    assert await asyncio.to_thread(held.started.wait, 20)

    answer = await asyncio.wait_for(trial.engine.answer(trial.lineup.served(), ROWS, Call()), 20)

    assert answer.outputs[0].tolist() == [6, 6, 6]
    held.release.set()
    assert await stuck == 7
