from serving.rest.lag import CALM_SECONDS, STANDING_SECONDS, Lag

LATE, PUNCTUAL = 0.5, 0.001


def test_a_loop_that_was_held_up_once_refuses_nothing() -> None:
    lag = Lag(0.03)
    lag.look(10, PUNCTUAL)
    lag.look(10.5, LATE)

    assert not lag.closed


def test_one_that_is_late_all_the_time_does_until_it_is_not() -> None:
    lag = Lag(0.03)
    lag.look(10, PUNCTUAL)
    lag.look(10 + STANDING_SECONDS, LATE)
    assert lag.closed

    lag.look(11.1, PUNCTUAL)

    assert not lag.closed


def test_in_an_overload_being_late_once_is_enough() -> None:
    lag = Lag(0.03)
    lag.look(10, PUNCTUAL)
    lag.look(10 + STANDING_SECONDS, LATE)
    lag.look(11.1, PUNCTUAL)
    lag.look(11.2, LATE)
    assert lag.closed

    lag.look(11.3, PUNCTUAL)
    lag.look(11.2 + CALM_SECONDS, LATE)

    assert not lag.closed  # the overload was over
