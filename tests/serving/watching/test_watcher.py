import logging
import shutil
import threading
from pathlib import Path

import pytest

from serving.errors import NotReady
from serving.lineup import Standing
from serving.settings import TrustMode
from serving.store import posted
from serving.store.posted import Board, Posting, Refusal
from serving.trust import Trust
from tests.fakes import a_version
from tests.servers import eventually
from tests.serving.manifests import OURS, public, write_manifest
from tests.serving.twins import a_twin, post
from tests.serving.watching.follows import Worker, events


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
