from collections.abc import Callable, Iterator

import pytest

from tests.bench.loads import Measured, NotAllAnswered
from tests.bench.turns import Pair, Round, Turns, all_answered, alternate, turns_of


class Machine:
    """Answers at the speeds it is given, one a turn, and remembers who had the turn."""

    def __init__(self, *speeds: float) -> None:
        self.turns: list[str] = []
        self._speeds = iter(speeds)

    def load(self, server: str) -> Callable[[], Measured]:
        def turn() -> Measured:
            self.turns.append(server)
            return Measured(next(self._speeds), 1, 1)

        return turn


def test_the_two_take_turns_and_begin_in_turn() -> None:
    machine = Machine(*[1] * 6)

    alternate(machine.load("floor"), machine.load("served"), 3)

    assert machine.turns == ["floor", "served", "served", "floor", "floor", "served"]


def test_a_machine_that_changes_its_speed_between_rounds_changes_no_ratio() -> None:
    machine = Machine(1000, 800, 1600, 2000, 500, 400)

    pair = alternate(machine.load("floor"), machine.load("served"), 3)

    assert [each.speed for each in pair.rounds] == [0.8, 0.8, 0.8]


def test_one_disturbed_round_does_not_count() -> None:
    quiet, disturbed = Round(Measured(100, 2, 4), Measured(80, 3, 6)), Round(Measured(100, 2, 4), Measured(5, 90, 99))

    pair = Pair((quiet, disturbed, quiet))

    assert (pair.speed, pair.p50, pair.p99) == (0.8, 1.5, 1.5)
    assert pair.served == quiet.served


def test_what_goals_are_about_has_more_rounds_of_the_same_turns() -> None:
    assert Turns(3, 1).surer == Turns(9, 1)


@pytest.mark.parametrize(("seconds", "turns"), [(1, Turns(3, 1)), (4, Turns(4, 1)), (6, Turns(3, 2)), (9, Turns(4, 2))])
def test_there_are_at_least_three_rounds_of_short_turns(seconds: int, turns: Turns) -> None:
    assert turns_of(seconds) == turns


def test_a_turn_with_a_refusal_is_had_again_and_told() -> None:
    told: list[str] = []
    turns: list[Measured | NotAllAnswered] = [NotAllAnswered("1 refused"), NotAllAnswered("2 refused")]
    left = iter([*turns, Measured(5, 1, 1)])

    assert all_answered(lambda: _next(left), told.append) == Measured(5, 1, 1)
    assert told == ["1 refused", "2 refused"]


def test_who_always_refuses_has_no_figure() -> None:
    turns: list[Measured | NotAllAnswered] = [NotAllAnswered("refused")] * 3
    left = iter([*turns, Measured(5, 1, 1)])

    with pytest.raises(NotAllAnswered):
        all_answered(lambda: _next(left), lambda _: None)


def _next(turns: Iterator[Measured | NotAllAnswered]) -> Measured:
    match next(turns):
        case NotAllAnswered() as refused:
            raise refused
        case Measured() as measured:
            return measured
