import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.client import Busy, ClientError, DeadlineExpired, InvalidInput, NotReady, QueueFull, Retry, Unreachable
from serving.client.errors import ServerFailed

RETRY = Retry(attempts=4, first_seconds=0.1, longest_seconds=0.3)


def pause(error: ClientError, failed: int = 1, left: float | None = None, chance: float = 1) -> float | None:
    return RETRY.pause(error, failed=failed, left=left, chance=lambda: chance)


@pytest.mark.parametrize("kind", [Busy, NotReady, QueueFull, Unreachable])
def test_what_may_pass_is_tried_again(kind: type[ClientError]) -> None:
    assert pause(kind("later")) == pytest.approx(0.1)


@pytest.mark.parametrize("kind", [InvalidInput, ServerFailed])
def test_what_would_end_the_same_way_is_not(kind: type[ClientError]) -> None:
    assert pause(kind("no")) is None
    assert pause(DeadlineExpired()) is None


def test_pauses_may_grow_up_to_the_longest_and_attempts_end() -> None:
    assert [pause(Busy("later"), failed) for failed in (1, 2, 3, 4)] == [0.1, 0.2, 0.3, None]


@given(st.floats(0, 1), st.integers(1, 3), st.floats(0, 10))
def test_a_pause_is_anywhere_between_what_the_server_wants_and_the_bound(
    chance: float, failed: int, retry_after: float
) -> None:
    found = pause(Busy("later", retry_after=retry_after), failed, chance=chance)

    assert found is not None
    assert retry_after <= found <= retry_after + 0.3


def test_who_could_not_be_answered_any_more_does_not_wait() -> None:
    later = Busy("later", retry_after=1)

    assert pause(later, left=1) is None
    assert pause(later, left=2) is not None
