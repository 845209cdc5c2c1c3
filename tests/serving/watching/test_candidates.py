"""What the watcher does with a candidate beside Production."""

import gc
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from serving.store import posted
from serving.store.posted import Board
from serving.watching.loading import in_turn
from tests.fakes import a_trial, a_version
from tests.servers import eventually
from tests.serving.twins import post, post_candidate
from tests.serving.watching.follows import Worker

CANARY = a_trial(a_version(2))


def test_a_candidate_is_loaded_beside_production_which_goes_on_answering(worker: Worker) -> None:
    post(worker.store, 1, factor=1)
    post_candidate(worker.store, CANARY, factor=3)

    worker.watcher.look()

    assert (worker.number, worker.answer()) == (1, 2)
    assert (worker.candidate.state, worker.candidate.trial) == ("running", CANARY)
    assert worker.candidate.served is not None
    assert worker.candidate.served.version.number == 2
    assert worker.loaded == ["1-1", "2-3"]


def test_another_percent_or_mode_loads_nothing_and_goes_on_counting(worker: Worker) -> None:
    post(worker.store, 1)
    post_candidate(worker.store, CANARY)
    worker.watcher.look()
    before = worker.candidate

    for trial in (a_trial(a_version(2), percent=50), a_trial(a_version(2), "shadow")):
        post_candidate(worker.store, trial)
        worker.watcher.look()

        assert worker.candidate.trial == trial
        assert worker.candidate.served is before.served
        assert worker.candidate.counter is before.counter
    assert worker.loaded == ["1-1", "2-1"]


def test_a_candidate_that_becomes_production_is_not_loaded_again(worker: Worker) -> None:
    post(worker.store, 1, factor=1)
    post_candidate(worker.store, CANARY, factor=3)
    worker.watcher.look()
    assert worker.candidate.served is not None
    model = worker.candidate.served.model

    post(worker.store, 2, factor=3)
    worker.watcher.look()

    assert (worker.number, worker.answer()) == (2, 6)
    assert worker.lineup.served("iris").model is model
    assert worker.iris.candidate is None
    assert worker.loaded == ["1-1", "2-3"]


def test_one_that_is_posted_in_both_places_is_only_production(worker: Worker) -> None:
    """So it is for a moment while it is promoted."""
    post(worker.store, 1)
    post_candidate(worker.store, CANARY, factor=3)
    worker.watcher.look()
    change = posted.read(worker.store)[0]
    assert change.candidate is not None
    both = replace(change, version=change.candidate.trial.version, folder=change.candidate.folder)
    Board(("iris",), worker.store).put(both)

    worker.watcher.look()

    assert worker.answer() == 6
    assert worker.iris.candidate is None
    assert worker.loaded == ["1-1", "2-3"]


def test_production_is_loaded_before_the_candidate(worker: Worker) -> None:
    post(worker.store, 1)
    post_candidate(worker.store, CANARY)
    hidden = (worker.store / "iris" / "1-1").rename(worker.store / "hidden")

    worker.watcher.look()

    assert worker.candidate.state == "loading"
    assert worker.loaded == []
    hidden.rename(worker.store / "iris" / "1-1")
    assert eventually(lambda: worker.seen().served)
    assert worker.loaded == ["1-1", "2-1"]


def test_a_candidate_that_is_gone_is_let_go(worker: Worker) -> None:
    post(worker.store, 1)
    post_candidate(worker.store, CANARY)
    worker.watcher.look()
    assert worker.candidate.served is not None
    model = weakref.ref(worker.candidate.served.model)

    post(worker.store, 1)
    worker.watcher.look()

    assert worker.iris.candidate is None
    gc.collect()
    assert model() is None


def test_a_candidate_that_is_out_is_let_go_and_its_counts_stay(worker: Worker) -> None:
    post(worker.store, 1)
    post_candidate(worker.store, CANARY)
    worker.watcher.look()
    assert worker.candidate.counter is not None
    worker.candidate.counter.failed(2)

    post_candidate(worker.store, CANARY, out="it failed")
    worker.watcher.look()

    assert (worker.candidate.state, worker.candidate.reason) == ("out", "it failed")
    assert worker.candidate.served is None
    tally = worker.candidate.tally()
    assert tally is not None
    assert tally.candidate.errors == 1


def test_another_trial_of_the_same_version_counts_anew_and_loads_nothing(worker: Worker) -> None:
    post(worker.store, 1)
    post_candidate(worker.store, CANARY)
    worker.watcher.look()
    assert worker.candidate.counter is not None
    worker.candidate.counter.failed(2)

    post_candidate(worker.store, a_trial(a_version(2), since_ms=2))
    worker.watcher.look()

    tally = worker.candidate.tally()
    assert tally is not None
    assert (tally.since_ms, tally.candidate.errors) == (2, 0)
    assert worker.loaded == ["1-1", "2-1"]


def test_another_candidate_takes_the_place_of_the_one_before(worker: Worker) -> None:
    post(worker.store, 1)
    post_candidate(worker.store, CANARY)
    worker.watcher.look()

    post_candidate(worker.store, a_trial(a_version(3)), factor=3)
    worker.watcher.look()

    assert worker.candidate.served is not None
    assert worker.candidate.served.version.number == 3


def test_a_new_production_version_beside_the_candidate_is_counted_from_then_on(worker: Worker) -> None:
    post(worker.store, 1)
    post_candidate(worker.store, CANARY)
    worker.watcher.look()
    assert worker.candidate.counter is not None
    worker.candidate.counter.answered(1, 0.1)

    post(worker.store, 4, factor=5)
    post_candidate(worker.store, CANARY)
    worker.watcher.look()

    tally = worker.candidate.tally()
    assert tally is not None
    assert (tally.production, tally.beside.requests) == (4, 0)


def test_a_candidate_that_does_not_load_is_told_and_production_answers(worker: Worker) -> None:
    post(worker.store, 1)
    post_candidate(worker.store, CANARY)
    (worker.store / "iris" / "2-1").rename(worker.store / "hidden")

    worker.watcher.look()
    worker.watcher.look()

    assert worker.answer() == 2
    assert worker.candidate.state == "refused"
    assert worker.candidate.reason.startswith("FileNotFoundError: ")
    assert worker.iris.refusal is None
    assert worker.checked == ["1-1", "2-1"]


@pytest.mark.parametrize(("refusal", "state"), [("", "loading"), ("ImportError: xgboost", "refused")])
def test_a_candidate_that_the_syncer_has_not_tried_yet_is_not_loaded(worker: Worker, refusal: str, state: str) -> None:
    post(worker.store, 1)
    post_candidate(worker.store, CANARY, folder="", refusal=refusal)

    worker.watcher.look()

    assert (worker.candidate.state, worker.candidate.reason, worker.candidate.served) == (state, refusal, None)
    assert worker.loaded == ["1-1"]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[tuple[Worker, threading.Event, threading.Event]]:
    """A worker as it really is, what tells that a candidate is being loaded, and what lets it go on."""
    worker = Worker(tmp_path, run=(in_turn(), in_turn()))
    loading, release = threading.Event(), threading.Event()
    post(worker.store, 1, factor=1)
    assert eventually(lambda: worker.seen().served)

    def wait() -> None:
        loading.set()
        assert release.wait(20)

    worker.before_loading = wait
    post_candidate(worker.store, CANARY, factor=3)
    worker.watcher.look()
    assert loading.wait(20)
    worker.before_loading = lambda: None
    yield worker, loading, release
    release.set()


Hold = tuple[Worker, threading.Event, threading.Event]


def test_a_candidate_that_takes_long_to_load_does_not_keep_production_waiting(hold: Hold) -> None:
    worker, _, release = hold

    post(worker.store, 4, factor=5)
    post_candidate(worker.store, CANARY, factor=3)

    assert eventually(lambda: worker.looked() == 4)
    assert worker.candidate.state == "loading"
    release.set()
    assert eventually(lambda: worker.looked() and worker.candidate.state == "running")


def test_a_candidate_that_is_promoted_while_it_is_loaded_is_loaded_once(hold: Hold) -> None:
    worker, _, release = hold

    post(worker.store, 2, factor=3)
    worker.watcher.look()
    assert worker.number == 1
    release.set()

    assert eventually(lambda: worker.looked() == 2)
    assert worker.answer() == 6
    assert worker.loaded == ["1-1", "2-3"]


def test_a_candidate_that_is_gone_before_it_is_loaded_takes_no_part(hold: Hold) -> None:
    worker, _, release = hold

    post(worker.store, 1, factor=1)
    worker.watcher.look()
    assert worker.iris.candidate is None
    release.set()

    assert eventually(lambda: worker.loaded == ["1-1", "2-3"])
    assert worker.looked() == 1
    assert worker.iris.candidate is None


def test_while_production_takes_long_to_load_a_candidate_can_be_taken_out(tmp_path: Path) -> None:
    worker = Worker(tmp_path, run=(in_turn(), in_turn()))
    post(worker.store, 1)
    post_candidate(worker.store, CANARY)
    assert eventually(lambda: (seen := worker.seen().candidate) and seen.served)
    loading, release = threading.Event(), threading.Event()

    def wait() -> None:
        loading.set()
        assert release.wait(20)

    worker.before_loading = wait
    post(worker.store, 4, factor=5)
    post_candidate(worker.store, CANARY)
    worker.watcher.look()
    assert loading.wait(20)

    post_candidate(worker.store, CANARY, out="it failed")
    worker.watcher.look()

    assert (worker.number, worker.candidate.state) == (1, "out")
    release.set()
    assert eventually(lambda: worker.looked() == 4)
