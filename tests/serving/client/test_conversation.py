"""What is said in a call, step by step, with no network and no time passing by itself."""

import pytest

from serving.client import Busy, DeadlineExpired, Retry, Unreachable
from serving.client.attempts import Send, Wait
from serving.client.conversation import Conversation
from serving.client.over_http import OverHttp
from tests.fakes import Clock


def a_conversation(clock: Clock) -> Conversation:
    return Conversation(OverHttp("iris"), Retry(first_seconds=1), clock=clock, chance=lambda: 0.5)


def test_what_is_left_of_the_time_shrinks_with_attempts_and_pauses() -> None:
    clock = Clock()
    steps = a_conversation(clock).ask([{"x": 1}], None, 10)

    first = next(steps)
    clock.now += 2
    pause = steps.throw(Busy("later", retry_after=3))
    clock.now += 3.5
    second = next(steps)

    assert isinstance(first, Send)
    assert isinstance(second, Send)
    assert pause == Wait(3.5)
    assert (first.seconds, second.seconds) == (10, 4.5)
    assert first.request is second.request


def test_when_the_time_runs_out_in_a_pause_what_was_met_before_is_the_cause() -> None:
    clock = Clock()
    steps = a_conversation(clock).ask([{"x": 1}], None, 10)
    met = Unreachable("nobody there")

    next(steps)
    assert steps.throw(met) == Wait(0.5)
    clock.now += 11

    with pytest.raises(DeadlineExpired) as expired:
        next(steps)
    assert expired.value.__cause__ is met
