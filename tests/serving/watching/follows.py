"""A worker without a syncer: a lineup, and a watcher that fills it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from serving.lineup import Candidate, Lineup, Standing
from serving.protocol import Model, Rows, Version
from serving.runtimes import choice, examples
from serving.trust import Found, Trust
from serving.watching.loading import Run
from serving.watching.watcher import Loading, Watcher


def at_once(work: Callable[[], None]) -> None:
    """Instead of a thread: what is posted is loaded when `look` returns."""
    work()


@dataclass
class Worker:
    """What a worker has: a lineup, and a watcher that loads real versions into it. No syncer anywhere."""

    store: Path
    loaded: list[str] = field(default_factory=list)
    """Folders, each time one was loaded."""
    checked: list[str] = field(default_factory=list)
    trust: Trust = field(default_factory=lambda: Trust("off"))
    before_loading: Callable[[], None] = lambda: None

    run: tuple[Run, Run] = (at_once, at_once)
    """How Production is loaded, and a candidate."""

    def __post_init__(self) -> None:
        self.lineup = Lineup(("iris", "wine"))
        loading = Loading(self.check, self.load, examples.inline_rows)
        self.watcher = Watcher(self.store, self.lineup, loading, self.run)

    def check(self, folder: Path, version: Version) -> Found:
        self.checked.append(folder.name)
        return self.trust.check(folder, version)

    def load(self, folder: Path, _check: Callable[[], object]) -> Model:
        self.before_loading()
        self.loaded.append(folder.name)
        return choice.load(folder)

    @property
    def iris(self) -> Standing:
        return self.lineup.standing("iris")

    @property
    def candidate(self) -> Candidate:
        assert self.iris.candidate is not None
        return self.iris.candidate

    @property
    def number(self) -> int:
        return self.lineup.served("iris").version.number

    def seen(self) -> Standing:
        self.watcher.look()
        return self.iris

    def looked(self) -> int:
        self.watcher.look()
        return self.number

    def answer(self) -> float:
        found: float = self.lineup.served("iris").model.predict(Rows((np.array([[2.0, 1.0]]),), 1)).outputs[0].item()
        return found


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]
