import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from serving.lineup import Lineup
from serving.store.reads import Reads
from serving.watching.freshness import Freshness, limit
from tests.fakes import Clock
from tests.servers import eventually

BEGUN = 1000.0


@dataclass
class Worker:
    """Two models, followed by a syncer that is not there: a test says when it read the registry."""

    store: Path
    clock: Clock = field(default_factory=lambda: Clock(BEGUN))

    def __post_init__(self) -> None:
        self.lineup = Lineup(("iris", "wine"))
        self.freshness = Freshness(self.lineup, Reads(self.store), begun=BEGUN, limit_seconds=5, clock=self.clock)

    def read(self, *names: str, at: float) -> None:
        for name in names:
            Reads(self.store).note(name)
            os.utime(self.store / ".read" / name, (at, at))

    def stale(self, *, at: float) -> list[str]:
        self.clock.now = at
        self.freshness.look()
        return [standing.name for standing in self.lineup if standing.stale]


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


@pytest.mark.parametrize(("poll_seconds", "seconds"), [(0.3, 5), (1, 5), (2, 10), (60, 300)])
def test_the_limit_is_five_polls_and_at_least_five_seconds(poll_seconds: float, seconds: float) -> None:
    assert limit(poll_seconds) == seconds


def test_what_was_never_read_is_stale(worker: Worker) -> None:
    assert worker.stale(at=BEGUN) == ["iris", "wine"]
    assert worker.lineup.standing("iris").read_ms is None


def test_what_was_read_before_this_serving_began_is_stale_until_it_is_read_again(worker: Worker) -> None:
    worker.read("iris", "wine", at=BEGUN - 1)
    assert worker.stale(at=BEGUN + 1) == ["iris", "wine"]

    worker.read("iris", at=BEGUN + 1)

    assert worker.stale(at=BEGUN + 2) == ["wine"]
    assert worker.lineup.standing("wine").read_ms == (BEGUN - 1) * 1000


def test_what_is_not_read_any_more_becomes_stale_and_fresh_again(worker: Worker) -> None:
    worker.read("iris", "wine", at=BEGUN + 10)
    assert worker.stale(at=BEGUN + 15) == []

    worker.read("wine", at=BEGUN + 15)
    assert worker.stale(at=BEGUN + 15.1) == ["iris"]

    worker.read("iris", at=BEGUN + 16)
    assert worker.stale(at=BEGUN + 16) == []


def test_the_log_says_when_it_begins_and_when_it_ends(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    worker.read("iris", "wine", at=BEGUN + 1)
    worker.stale(at=BEGUN + 2)
    for at in range(3, 20):
        worker.stale(at=BEGUN + at)
    worker.read("iris", "wine", at=BEGUN + 20)
    for at in range(20, 25):
        worker.stale(at=BEGUN + at)

    assert [record.message for record in caplog.records] == ["serving is stale", "serving is no longer stale"]
    first = caplog.records[0].__dict__
    assert (first["models"], first["registry_read_seconds_ago"]) == ("iris,wine", 6)


def test_a_start_is_not_told_as_an_outage_until_it_lasts(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    worker.stale(at=BEGUN + 5)
    assert not caplog.records

    worker.stale(at=BEGUN + 5.1)

    (record,) = caplog.records
    assert record.__dict__["registry_read_seconds_ago"] is None


def test_it_looks_by_itself(tmp_path: Path) -> None:
    lineup, reads = Lineup(("iris",)), Reads(tmp_path)
    freshness = Freshness(lineup, reads, begun=0, limit_seconds=60)
    seen: Callable[[], bool] = lambda: lineup.standing().stale  # noqa: E731 - a name for what is waited for
    freshness.start()
    try:
        eventually(seen)
        reads.note("iris")
        eventually(lambda: not seen())
    finally:
        freshness.stop()
