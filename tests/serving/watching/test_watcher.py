import gc
import logging
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from serving.errors import NotReady
from serving.lineup import Candidate, Lineup, Standing
from serving.protocol import Model, Rows, Version
from serving.runtimes import choice, examples
from serving.settings import TrustMode
from serving.store import posted
from serving.store.posted import Board, Posting, Refusal
from serving.trust import Found, Trust
from serving.watching.loading import Run, in_turn
from serving.watching.watcher import Loading, Watcher
from tests.fakes import a_trial, a_version
from tests.servers import eventually
from tests.serving.manifests import OURS, public, write_manifest
from tests.serving.twins import a_twin, post, post_candidate


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


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


def test_what_was_posted_last_is_served_although_no_syncer_runs(worker: Worker) -> None:
    post(worker.store, 3, factor=5)

    worker.watcher.look()

    assert (worker.number, worker.answer()) == (3, 10)
    assert worker.lineup.served("iris").inline_rows > 0
    assert worker.lineup.standing("wine").served is None


def test_while_nothing_is_posted_nothing_answers(worker: Worker) -> None:
    worker.watcher.look()

    with pytest.raises(NotReady, match="the registry has not been read yet"):
        worker.lineup.served("iris")


def test_what_the_syncer_waits_for_is_told(worker: Worker) -> None:
    waiting = Posting("iris", waiting_for="no version is Production", disagreements=("two",), registry_reachable=False)
    Board(("iris",), worker.store).put(waiting)

    worker.watcher.look()

    assert worker.iris == Standing("iris", None, "no version is Production", ("two",), None, registry_reachable=False)


def test_a_version_is_loaded_once(worker: Worker) -> None:
    post(worker.store, 1)

    for _ in range(3):
        worker.watcher.look()

    assert worker.loaded == ["1-1"]


def test_the_old_version_answers_until_the_new_one_is_loaded(worker: Worker) -> None:
    post(worker.store, 1, factor=1)
    worker.watcher.look()
    loading, release = threading.Event(), threading.Event()

    def hold() -> None:
        loading.set()
        assert release.wait(20)

    worker.before_loading = hold
    post(worker.store, 2, factor=3)
    looking = threading.Thread(target=worker.watcher.look)
    looking.start()
    assert loading.wait(20)

    assert (worker.number, worker.answer()) == (1, 2)
    release.set()
    looking.join(20)
    assert (worker.number, worker.answer()) == (2, 6)


def post_signed(worker: Worker, number: int, *, factor: float) -> Path:
    """As the syncer posts what pipelines has signed; the version's folder."""
    folder = a_twin(worker.store / "iris" / f"{number}-{factor:g}", factor=factor)
    post(worker.store, number, factor=factor, **write_manifest(folder, OURS))
    return folder


def test_what_vouches_for_the_files_is_told(worker: Worker) -> None:
    worker.trust = Trust("signed", public(OURS))
    post_signed(worker, 1, factor=2)

    worker.watcher.look()

    assert worker.answer() == 4
    assert worker.lineup.served("iris").trust == "signed"


@pytest.mark.parametrize("mode", ["signed", "digest", "off"])
def test_files_that_were_changed_in_the_store_are_not_loaded_and_the_old_ones_answer(
    worker: Worker, mode: TrustMode
) -> None:
    worker.trust = Trust(mode, public(OURS))
    post_signed(worker, 1, factor=1)
    worker.watcher.look()
    folder = post_signed(worker, 2, factor=3)
    (folder / "MLmodel").write_text((folder / "MLmodel").read_text() + " ")

    worker.watcher.look()

    assert (worker.number, worker.answer()) == (1, 2)
    assert worker.loaded == ["1-1"]
    assert worker.iris.refusal is not None
    assert worker.iris.refusal.number == 2
    assert worker.iris.refusal.reason.startswith("'MLmodel' is not the file that its manifest describes; ")


def test_a_version_whose_manifest_was_written_again_is_loaded_again(worker: Worker) -> None:
    """It has got a twin since, perhaps."""
    post_signed(worker, 1, factor=1)
    worker.watcher.look()

    post_signed(worker, 1, factor=3)
    worker.watcher.look()

    assert (worker.number, worker.answer()) == (1, 6)
    assert worker.loaded == ["1-1", "1-3"]


@pytest.mark.parametrize("text", ["", "[{", '{"iris": 2}'])
def test_a_broken_lineup_leaves_what_is_served_and_is_logged_once(
    worker: Worker, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    post(worker.store, 1, factor=1)
    worker.watcher.look()
    (worker.store / posted.FILE).write_text(text)

    for _ in range(3):
        worker.watcher.look()

    assert (worker.number, worker.answer()) == (1, 2)
    assert events(caplog) == ["lineup not readable"]
    post(worker.store, 2, factor=3)
    worker.watcher.look()
    assert (worker.number, worker.answer()) == (2, 6)


def test_a_version_that_does_not_load_is_reported_tried_again_and_forgiven(worker: Worker) -> None:
    post(worker.store, 1)
    worker.watcher.look()
    folder = worker.store / "iris" / "2-3"
    post(worker.store, 2, factor=3)
    hidden = folder.rename(worker.store / "hidden")

    worker.watcher.look()
    worker.watcher.look()

    assert (worker.number, worker.answer()) == (1, 2)
    assert worker.iris.refusal is not None
    assert worker.iris.refusal.number == 2
    assert worker.iris.refusal.reason.startswith("FileNotFoundError: ")
    assert worker.checked == ["1-1", "2-3"]  # and not at every look

    hidden.rename(folder)
    eventually(lambda: worker.looked() == 2)
    assert worker.answer() == 6
    assert worker.iris.refusal is None


def test_why_the_first_version_does_not_answer_is_told(worker: Worker) -> None:
    post(worker.store, 1)
    shutil.rmtree(worker.store / "iris")

    worker.watcher.look()

    with pytest.raises(NotReady, match="version 1 was refused: FileNotFoundError"):
        worker.lineup.served("iris")


def test_a_new_version_is_not_kept_waiting_by_the_refused_one(worker: Worker) -> None:
    post(worker.store, 1)
    shutil.rmtree(worker.store / "iris")
    worker.watcher.look()

    post(worker.store, 2)
    worker.watcher.look()

    assert worker.number == 2
    assert worker.iris.refusal is None


def test_what_the_syncer_refused_is_told_beside_what_answers(worker: Worker) -> None:
    version = post(worker.store, 1)
    refusal = Refusal(2, "ImportError: xgboost")
    Board(("iris",), worker.store).put(Posting("iris", version, "iris/1-1", refusal=refusal))

    worker.watcher.look()

    assert (worker.number, worker.iris.refusal) == (1, refusal)


def test_changed_tags_are_shown_and_the_model_stays(worker: Worker) -> None:
    post(worker.store, 1)
    worker.watcher.look()
    before = worker.lineup.served("iris").model

    post(worker.store, 1, promoted_by="ada")
    worker.watcher.look()

    assert worker.lineup.served("iris").version.tags == {"promoted_by": "ada"}
    assert worker.lineup.served("iris").model is before
    assert worker.loaded == ["1-1"]


def test_a_lineup_that_is_gone_leaves_what_is_served(worker: Worker) -> None:
    post(worker.store, 1)
    worker.watcher.look()

    (worker.store / posted.FILE).unlink()
    worker.watcher.look()

    assert worker.answer() == 2


@pytest.mark.parametrize("error", [ImportError, SystemExit])
def test_a_model_that_crashes_as_it_loads_does_not_end_the_watching(
    worker: Worker, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def crash() -> None:
        raise error("no xgboost")

    caplog.set_level(logging.ERROR)
    worker.before_loading = crash
    post(worker.store, 1)
    worker.watcher.start()
    try:
        eventually(lambda: worker.iris.refusal)
        assert worker.iris.refusal == Refusal(1, f"{error.__name__}: no xgboost")
        worker.before_loading = lambda: None
        post(worker.store, 2, factor=3)

        assert eventually(lambda: worker.iris.served)
        assert worker.answer() == 6
    finally:
        worker.watcher.stop()
    assert events(caplog) == ["version refused"]


def test_a_posting_of_a_model_that_is_not_followed_is_nothing(worker: Worker) -> None:
    Board(("other",), worker.store).put(Posting("other", a_version(1, name="other"), "other/1"))

    worker.watcher.look()

    assert [each.name for each in worker.lineup] == ["iris", "wine"]


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
