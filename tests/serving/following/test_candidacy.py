"""Through a follower: a candidate beside Production."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from serving.following.candidacy import in_thread
from serving.store.posted import Candidate
from serving.store.versions import Bounds
from tests.fakes import a_trial, a_version, in_production
from tests.servers import eventually
from tests.serving.following.scene import V1, V2, Scene, Signing, events

V3 = a_version(3)
CANARY = a_trial(V2)


def test_a_candidate_is_fetched_tried_and_posted_beside_production(scene: Scene) -> None:
    assert scene.poll(in_production(V1, trial=CANARY), times=3) == 1

    assert scene.tried == ["1", "2"]
    assert scene.candidate == Candidate(
        CANARY, str(next((scene.folder / "iris").glob("2-*")).relative_to(scene.folder))
    )


def test_another_percent_or_mode_is_posted_and_nothing_is_tried_again(scene: Scene) -> None:
    scene.poll(in_production(V1, trial=CANARY), times=2)
    folder = scene.candidate.folder

    for trial in (a_trial(V2, percent=50), a_trial(V2, "shadow")):
        scene.poll(in_production(V1, trial=trial))
        assert (scene.candidate.trial, scene.candidate.folder) == (trial, folder)

    assert scene.tried == ["1", "2"]


def test_without_the_tag_there_is_no_candidate_any_more(scene: Scene) -> None:
    scene.poll(in_production(V1, trial=CANARY), times=2)

    scene.poll(in_production(V1), times=2)

    assert scene.posting.candidate is None


def test_a_candidate_that_is_refused_is_told_and_tried_ever_later_and_production_answers(scene: Scene) -> None:
    scene.unloadable.add("2")

    attempts = []
    for _ in range(20):
        assert scene.poll(in_production(V1, trial=CANARY)) == 1
        attempts.append(scene.tried.count("2"))
        scene.clock.now += 1

    assert [second for second in range(1, 20) if attempts[second] > attempts[second - 1]] == [2, 6, 14]
    assert scene.candidate.refusal == "ImportError: no module named xgboost"
    assert (scene.candidate.folder, scene.posting.refusal) == ("", None)
    scene.unloadable.clear()
    scene.clock.now += 60
    scene.poll()
    assert scene.candidate.refusal == ""
    assert scene.candidate.folder


def test_a_candidate_that_takes_long_does_not_keep_production_waiting(tmp_path: Path) -> None:
    scene = Scene(tmp_path, run=in_thread)
    scene.poll(in_production(V1))
    began, release = threading.Event(), threading.Event()
    attempt = scene.attempt

    def slow(folder: Path) -> None:
        if (folder / "MLmodel").read_text() == "2":
            began.set()
            assert release.wait(20)
        attempt(folder)

    scene.attempt = slow  # type: ignore[method-assign]
    scene.poll(in_production(V1, trial=CANARY))
    assert began.wait(20)

    assert scene.poll(in_production(V3, trial=CANARY)) == 3
    assert scene.candidate.folder == ""
    release.set()
    assert eventually(lambda: scene.candidate.folder)


def test_a_candidate_that_is_being_tried_and_is_promoted_is_not_fetched_twice_at_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path, run=in_thread)
    scene.poll(in_production(V1))
    began, release = threading.Event(), threading.Event()
    attempt = scene.attempt

    def slow(folder: Path) -> None:
        began.set()
        assert release.wait(20)
        attempt(folder)

    scene.attempt = slow  # type: ignore[method-assign]
    scene.poll(in_production(V1, trial=CANARY))
    assert began.wait(20)

    assert scene.poll(in_production(V2)) == 1  # it is on its way
    release.set()
    assert eventually(lambda: scene.poll() == 2)
    assert scene.registry.downloads == [1, 2]


def test_a_candidate_stays_until_it_is_production(scene: Scene) -> None:
    """Workers have it loaded: they would have to load it again."""
    scene.poll(in_production(V1, trial=CANARY), times=2)
    seen: list[tuple[bool, int]] = []
    attempt = scene.attempt

    def watching(folder: Path) -> None:
        assert scene.posting.version is not None
        seen.append((scene.posting.candidate is not None, scene.posting.version.number))
        attempt(folder)

    scene.attempt = watching  # type: ignore[method-assign]

    assert scene.poll(in_production(V2)) == 2
    assert seen == [(True, 1)]
    scene.poll()
    assert scene.posting.candidate is None


def test_a_candidate_that_is_production_is_reported(scene: Scene) -> None:
    scene.poll(in_production(V2, trial=CANARY), times=2)

    assert scene.posting.candidate is None
    assert scene.posting.disagreements == (
        "version 2 is Production and a candidate; the tag slipway.candidate does not count",
    )


def test_a_tag_that_does_not_count_is_reported_and_logged_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.poll(replace(in_production(V1), trial_fault="tag slipway.candidate does not count: why"), times=4)

    assert scene.posting.disagreements == ("tag slipway.candidate does not count: why",)
    assert events(caplog).count("registry disagrees") == 1


def test_the_store_keeps_the_candidate_and_forgets_the_one_before(scene: Scene) -> None:
    scene.bounds = Bounds(former=0)
    scene.start()
    scene.poll(in_production(V1, trial=CANARY), times=2)
    scene.poll(in_production(V1, trial=a_trial(V3)), times=2)
    assert sorted(home.name[0] for home in (scene.folder / "iris").iterdir()) == ["1", "3"]

    scene.poll(in_production(a_version(4), trial=a_trial(V3)), times=2)
    assert sorted(home.name[0] for home in (scene.folder / "iris").iterdir()) == ["3", "4"]


def test_a_candidate_that_was_taken_out_is_left_alone_until_another_trial(scene: Scene) -> None:
    scene.poll(in_production(V1, trial=CANARY), times=2)
    out = replace(scene.candidate, out="it failed")
    scene.board.change("iris", lambda posting: replace(posting, candidate=out))

    scene.poll(in_production(V1, trial=a_trial(V2, percent=50)), times=2)
    assert scene.candidate.out == "it failed"
    scene.start()  # a new process knows too
    scene.poll()
    assert scene.candidate.out == "it failed"
    assert scene.tried == ["1", "2"]

    scene.poll(in_production(V1, trial=a_trial(V2, since_ms=2)), times=2)
    assert scene.candidate.out == ""
    assert scene.candidate.folder


def test_a_restart_goes_on_with_the_candidate_and_tries_it_once(scene: Scene) -> None:
    scene.poll(in_production(V1, trial=CANARY), times=2)
    before = scene.candidate

    scene.start()
    assert scene.candidate == before
    scene.poll(times=3)

    assert scene.candidate == before
    assert scene.tried == ["1", "2", "2"]
    assert scene.registry.downloads == [1, 2]


def test_the_files_of_a_candidate_that_are_gone_are_fetched_again(scene: Scene) -> None:
    scene.poll(in_production(V1, trial=CANARY), times=2)
    shutil.rmtree(scene.folder / scene.candidate.folder)

    scene.start()
    assert scene.candidate.folder == ""
    scene.poll()

    assert (scene.folder / scene.candidate.folder / "MLmodel").exists()


def test_a_candidate_that_was_tampered_with_is_refused_untried(signing: Scene, registry: Signing) -> None:
    registry.tampered.add(2)

    assert signing.poll(in_production(V1, trial=CANARY), times=2) == 1

    assert signing.tried == ["1"]
    assert signing.candidate.refusal.startswith("'MLmodel' is not the file that its manifest describes")


def test_while_the_registry_is_down_the_candidate_stays(scene: Scene) -> None:
    scene.poll(in_production(V1, trial=CANARY), times=2)
    before = scene.candidate

    scene.registry.down = True
    scene.poll(times=3)

    assert scene.candidate == before
