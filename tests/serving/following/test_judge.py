import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from serving.following.judge import WINDOW_SECONDS, Judge
from serving.protocol import Trial
from serving.store.posted import Board, Candidate, Posting
from serving.trials.ledger import Page
from serving.trials.tally import Counts, Tally
from serving.trials.verdict import Limits
from tests.fakes import Clock, a_version

TRIAL = Trial(a_version(7), "canary", 10, 1)


@dataclass
class Scene:
    folder: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        (self.folder / "store").mkdir()
        self.start()
        self.say(TRIAL)

    def start(self) -> None:
        """As a new syncer does, on what the one before has posted."""
        self.board = Board(("iris",), self.folder / "store")
        self.judge = Judge(self.board, self.folder, Limits(0.02, 2, 50), self.clock)

    def say(self, trial: Trial | None) -> None:
        (self.folder / "store" / "v").mkdir(exist_ok=True)
        candidate = None if trial is None else Candidate(trial, "v")
        self.board.put(Posting("iris", a_version(6), "v", candidate=candidate))

    def counted(self, pid: int, candidate: Counts, beside: Counts = Counts(), *, trial: Trial = TRIAL) -> None:  # noqa: B008
        tally = Tally("iris", 7, trial.since_ms, 6, candidate, beside)
        page = msgspec.json.encode(Page(pid, ended=True, tallies=(tally,)))
        (self.folder / f"trials-{pid}-0.json").write_bytes(page)

    def looked(self, *, seconds: float = 1) -> str:
        """Why the candidate is out, if it is."""
        self.judge.look()
        self.clock.now += seconds
        candidate = self.board.posting("iris").candidate
        return candidate.out if candidate is not None else "there is none"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_candidate_that_fails_is_posted_as_out_and_the_log_says_why(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    assert scene.looked() == ""
    scene.counted(1, Counts(9, 5), Counts(90))

    assert scene.looked().startswith("5 of its 9 requests failed")

    assert scene.looked().startswith("5 of its 9 requests failed")
    (record,) = [record for record in caplog.records if record.message == "candidate taken out"]
    assert record.levelno == logging.WARNING
    assert (vars(record)["model"], vars(record)["version"]) == ("iris", 7)
    assert vars(record)["reason"].startswith("5 of its 9")


def test_what_workers_count_is_added_up(scene: Scene) -> None:
    scene.counted(1, Counts(1, 1))
    assert scene.looked() == ""

    scene.counted(2, Counts(1, 1))

    assert scene.looked() == "2 of its 2 requests failed, of version 6's 0.0%; allowed are 2.0% more"


def test_what_a_dead_worker_counted_counts_once(scene: Scene) -> None:
    """Its successor begins at nothing, in a file of its own."""
    scene.counted(1, Counts(30, 1))
    for _ in range(5):
        assert scene.looked() == ""
    scene.counted(2, Counts(30, 0))

    assert scene.looked() == ""  # one of sixty, neither lost nor doubled
    scene.counted(2, Counts(30, 1))
    assert scene.looked().startswith("2 of its 60")


def test_what_goes_wrong_now_is_seen_after_a_long_time_that_went_well(scene: Scene) -> None:
    scene.counted(1, Counts(100_000), Counts(100_000))
    scene.looked(seconds=WINDOW_SECONDS * 2)
    scene.looked()

    scene.counted(1, Counts(100_020, 20), Counts(100_200))

    assert scene.looked().startswith("20 of its 20 requests failed")


def test_what_went_wrong_long_ago_is_not_what_goes_wrong_now(scene: Scene) -> None:
    scene.counted(1, Counts(100_000, 1990), Counts(100_000))  # just below the limit

    for _ in range(3):
        assert scene.looked(seconds=WINDOW_SECONDS * 2) == ""


def test_another_trial_of_the_same_version_begins_with_nothing(scene: Scene) -> None:
    scene.counted(1, Counts(9, 9))
    assert scene.looked() != ""

    scene.say(replace(TRIAL, since_ms=2))

    assert scene.looked() == ""
    scene.counted(2, Counts(9, 9), trial=replace(TRIAL, since_ms=2))
    assert scene.looked() != ""


def test_a_candidate_that_is_out_stays_out_after_a_restart(scene: Scene) -> None:
    scene.counted(1, Counts(9, 9))
    reason = scene.looked()

    scene.start()

    assert scene.looked() == reason


def test_the_verdict_on_a_trial_does_not_hit_the_one_that_has_just_begun(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = replace(TRIAL, since_ms=2)
    scene.counted(1, Counts(9, 9))
    change = scene.board.change

    def late(name: str, edit: Callable[[Posting], Posting]) -> None:
        scene.board.change = change  # type: ignore[method-assign]
        scene.say(fresh)
        change(name, edit)

    scene.board.change = late  # type: ignore[method-assign,assignment]

    scene.judge.look()

    candidate = scene.board.posting("iris").candidate
    assert candidate is not None
    assert (candidate.trial.since_ms, candidate.out) == (2, "")
    assert "candidate taken out" not in [record.message for record in caplog.records]


def test_pages_of_trials_that_are_over_are_cleared_away(scene: Scene) -> None:
    gone = 2**22 + 1  # beyond what Linux gives out
    scene.counted(gone, Counts(1))
    scene.looked()
    assert list(scene.folder.glob("trials-*"))

    scene.say(None)
    scene.looked()

    assert not list(scene.folder.glob("trials-*"))


def test_workers_that_die_again_and_again_take_the_candidate_out(scene: Scene) -> None:
    for number in range(1, 4):
        tally = Tally("iris", 7, 1, 6)
        page = msgspec.json.encode(Page(2**22 + number, tallies=(tally,)))
        (scene.folder / f"trials-{number}-0.json").write_bytes(page)

        assert scene.looked() == ("3 workers have died since it was loaded" if number == 3 else "")
