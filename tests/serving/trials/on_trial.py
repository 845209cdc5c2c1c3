"""A trial in a lineup: a candidate beside Production, as the watcher would put them."""

from dataclasses import dataclass, replace
from typing import Any

from serving.engine import Engine
from serving.lineup import Candidate, Lineup, Served
from serving.protocol import Mode, Trial
from serving.trials.lane import Lane
from serving.trials.shadow import Shadow
from serving.trials.tally import Counter, Tally
from tests.fakes import a_version
from tests.serving.tensor_models import TensorModel


@dataclass
class OnTrial:
    """Version 6 is Production, version 7 is tried."""

    lineup: Lineup
    engine: Engine
    counter: Counter
    shadow: Shadow

    def say(self, mode: Mode, percent: float = 0) -> None:
        """As the registry's tag does."""
        standing = self.lineup.standing("iris")
        assert standing.candidate is not None
        trial = replace(standing.candidate.trial, mode=mode, percent=percent)
        self.lineup.put(replace(standing, candidate=replace(standing.candidate, trial=trial)))

    @property
    def tally(self) -> Tally:
        return self.counter.tally()


def on_trial(
    mode: Mode,
    percent: float = 100,
    *,
    production: Any = None,
    candidate: Any = None,
    inline_rows: int = 8,
    lane: Lane | None = None,
    engine: Engine | None = None,
) -> OnTrial:
    """In the lineup of `engine`, or in one of its own."""
    trial = Trial(a_version(7), mode, percent, 1)
    old = Served(a_version(6), production or TensorModel(), inline_rows)
    new = Served(a_version(7), candidate or TensorModel(), inline_rows)
    counter = Counter(trial, 6)
    shadow = Shadow(new.model, counter, lane)
    engine = engine or Engine(Lineup(("iris", "wine")))
    lineup = engine.lineup
    beside = Candidate(trial, "running", "", new, shadow, counter)
    lineup.put(replace(lineup.standing("iris"), served=old, candidate=beside))
    return OnTrial(lineup, engine, counter, shadow)
