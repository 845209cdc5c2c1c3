import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from serving.follower import Tools
from serving.lineup import Lineup
from serving.protocol import View
from serving.store import Store
from serving.syncer import Syncer
from tests.fakes import FakeRegistry, a_version, in_production, load
from tests.servers import eventually


@dataclass
class Stumbling(FakeRegistry):
    """Raises what nobody expects at its first reads."""

    stumbles: int = 1

    def read(self, name: str) -> View:
        view = super().read(name)
        if self.reads <= self.stumbles:
            raise ZeroDivisionError
        return view


def test_a_poll_that_crashes_does_not_end_the_following(tmp_path: Path) -> None:
    registry, lineup = Stumbling(in_production(a_version(1))), Lineup(("iris",))
    syncer = Syncer(Tools(registry, Store(tmp_path), lineup, load), poll_seconds=0.01)

    syncer.start()
    try:
        eventually(lambda: lineup.standing().served)
    finally:
        syncer.stop()


def test_what_makes_later_polls_quick_runs_after_the_first(tmp_path: Path) -> None:
    registry, reads_before = FakeRegistry(), []
    lineup, done = Lineup(("iris",)), threading.Event()

    def prepare() -> None:
        reads_before.append(registry.reads)
        done.set()

    syncer = Syncer(Tools(registry, Store(tmp_path), lineup, load), poll_seconds=0.01, prepare=prepare)
    syncer.start()
    done.wait(10)
    syncer.stop()

    assert reads_before == [1]


def test_the_same_crash_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = Stumbling(stumbles=5, view=in_production(a_version(1)))
    lineup = Lineup(("iris",))
    syncer = Syncer(Tools(registry, Store(tmp_path), lineup, load), poll_seconds=0.01)

    syncer.start()
    try:
        eventually(lambda: lineup.standing().served)
    finally:
        syncer.stop()

    assert [record.message for record in caplog.records].count("following stumbled") == 1


def test_every_model_is_followed(tmp_path: Path) -> None:
    lineup = Lineup(("iris", "wine"))
    syncer = Syncer(Tools(FakeRegistry(in_production(a_version(1))), Store(tmp_path), lineup, load), poll_seconds=0.01)

    syncer.start()
    try:
        eventually(lambda: all(standing.served for standing in lineup))
    finally:
        syncer.stop()
