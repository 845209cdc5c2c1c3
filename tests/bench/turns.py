"""Put a server and its floor under the same load in turns, so that a machine whose speed drifts is fair to both."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from tests.bench.loads import Measured, NotAllAnswered

FEWEST = 3
"""Rounds: a median of less would leave no disturbed one out."""
SECONDS = 2
"""Of a turn: short, for the machine's speed to be the same in the next one."""

LONGER, SURER = 3, 3
TRIES = 3


@dataclass(frozen=True)
class Turns:
    """How many rounds of a turn each, and how long a turn is."""

    rounds: int
    seconds: int

    @property
    def longer(self) -> "Turns":
        """For a server so slow that a short turn would be over when its first answers come."""
        return Turns(self.rounds, max(self.seconds, LONGER))

    @property
    def surer(self) -> "Turns":
        """For what there are goals for: rounds on a busy machine differ by half."""
        return Turns(SURER * self.rounds, self.seconds)


@dataclass(frozen=True)
class Round:
    floor: Measured
    served: Measured

    @property
    def speed(self) -> float:
        """Answers a second, of the floor's."""
        return self.served.per_second / self.floor.per_second


@dataclass(frozen=True)
class Pair:
    """One load on a floor and on a server.

    A ratio is the median of the rounds' own ratios: the turns of a round are neighbours, and a round that something
    else on the machine disturbed is left out, where a ratio of sums would have it in. A server's figure is the median
    of its turns.
    """

    rounds: tuple[Round, ...]

    @property
    def floor(self) -> Measured:
        return _middle([each.floor for each in self.rounds])

    @property
    def served(self) -> Measured:
        return _middle([each.served for each in self.rounds])

    @property
    def speed(self) -> float:
        return median(each.speed for each in self.rounds)

    @property
    def p50(self) -> float:
        return median(each.served.p50_ms / each.floor.p50_ms for each in self.rounds)

    @property
    def added_p50_ms(self) -> float:
        return median(each.served.p50_ms - each.floor.p50_ms for each in self.rounds)

    @property
    def p99(self) -> float:
        return median(each.served.p99_ms / each.floor.p99_ms for each in self.rounds)


def turns_of(seconds: int) -> Turns:
    """Such that each of the two servers is under load for about `seconds`; a turn has whole ones, for wrk."""
    turn = min(SECONDS, max(1, seconds // FEWEST))
    return Turns(max(FEWEST, seconds // turn), turn)


def alternate(floor: Callable[[], Measured], served: Callable[[], Measured], rounds: int) -> Pair:
    """A turn of each in every round, begun by one and the other: a machine that only gets slower favours neither."""
    done: list[Round] = []
    for number in range(rounds):
        if number % 2:
            second = served()
            done.append(Round(floor(), second))
        else:
            done.append(Round(floor(), served()))
    return Pair(tuple(done))


def all_answered(turn: Callable[[], Measured], tell: Callable[[str], None]) -> Measured:
    """A turn in which somebody was refused measures less than it asked for: it is had again, and that is told.

    Twice at most: NotAllAnswered. A busy neighbour on the machine must not cost a whole run.
    """
    for _ in range(TRIES - 1):
        try:
            return turn()
        except NotAllAnswered as refused:
            tell(str(refused))
    return turn()


def _middle(turns: list[Measured]) -> Measured:
    return Measured(
        median(each.per_second for each in turns),
        median(each.p50_ms for each in turns),
        median(each.p99_ms for each in turns),
    )
