import logging
import threading
from pathlib import Path

import pytest

from serving.errors import NoLongerWanted
from serving.protocol import View
from serving.store.reads import Reads
from tests.fakes import a_version, in_production
from tests.serving.following.scene import V1, V2, Scene, events

V3 = a_version(3)


def test_a_promotion_is_followed_and_downloaded_once(scene: Scene) -> None:
    assert scene.poll(in_production(V1), times=3) == 1
    assert scene.poll(in_production(V2), times=3) == 2
    assert scene.registry.downloads == [1, 2]


def test_without_production_the_reason_says_what_to_do(scene: Scene) -> None:
    assert scene.poll(View()) is None
    assert "the registry has no model 'iris' yet; promote one" in scene.posting.waiting_for
    scene.poll(View(registered=True))
    reason = "no version of 'iris' is Production yet; promote one: python -m pipelines.promote"
    assert reason in scene.posting.waiting_for


def test_a_version_that_does_not_load_is_reported_and_the_old_one_answers(scene: Scene) -> None:
    scene.unloadable.add("2")
    scene.poll(in_production(V1))

    assert scene.poll(in_production(V2)) == 1

    refusal = scene.posting.refusal
    assert refusal is not None
    assert (refusal.number, refusal.reason) == (2, "ImportError: no module named xgboost")


def test_a_refused_version_is_tried_again_ever_later(scene: Scene) -> None:
    scene.registry.broken.add(2)
    attempts = []
    for _ in range(100):
        scene.poll(in_production(V2))
        attempts.append(len(scene.registry.downloads))
        scene.clock.now += 1

    tried_at = [second for second, count in enumerate(attempts) if second == 0 or count > attempts[second - 1]]
    assert tried_at == [0, 2, 6, 14, 30, 62]


def test_a_refused_version_that_heals_is_served_and_no_longer_reported(scene: Scene) -> None:
    scene.registry.broken.add(1)
    scene.poll(in_production(V1))
    scene.registry.broken.clear()
    scene.clock.now += 2

    assert scene.poll() == 1
    assert scene.posting.refusal is None


def test_while_the_registry_is_down_the_old_one_answers_and_the_log_says_so_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.poll(in_production(V1))
    caplog.set_level(logging.INFO)
    caplog.clear()

    scene.registry.down = True
    assert scene.poll(times=5) == 1
    assert not scene.posting.registry_reachable
    scene.registry.down = False
    assert scene.poll(times=5) == 1

    assert events(caplog) == ["registry unreachable", "registry is back"]
    assert scene.posting.registry_reachable


def test_a_disagreement_is_shown_at_once_and_logged_once_when_it_lasts(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.poll(in_production(V1, alias=V2))
    assert len(scene.posting.disagreements) == 1
    assert "registry disagrees" not in events(caplog)

    scene.poll(times=4)

    assert events(caplog).count("registry disagrees") == 1
    scene.poll(in_production(V1, alias=V1))
    assert not scene.posting.disagreements


def test_when_nothing_is_production_any_more_the_last_one_keeps_answering(scene: Scene) -> None:
    scene.poll(in_production(V1))

    assert scene.poll(View(registered=True)) == 1
    assert "version 1 keeps answering" in scene.posting.disagreements[0]


def test_the_same_number_of_a_wiped_registry_is_loaded_anew(scene: Scene) -> None:
    scene.poll(in_production(a_version(1, created_ms=1)))
    scene.poll(in_production(a_version(1, created_ms=2)))

    assert scene.registry.downloads == [1, 1]


def test_changed_tags_are_posted_without_another_attempt(scene: Scene) -> None:
    scene.poll(in_production(V1))
    scene.unloadable.add("1")
    scene.poll(in_production(a_version(1, promoted_by="ada")))

    assert scene.posting.version is not None
    assert scene.posting.version.tags == {"promoted_by": "ada"}
    assert scene.posting.refusal is None


def test_every_read_of_the_registry_is_noted_and_nothing_else(scene: Scene) -> None:
    scene.registry.down = True
    scene.poll()
    assert Reads(scene.folder).last("iris") is None

    scene.registry.down = False
    scene.poll()
    assert Reads(scene.folder).last("iris") is not None


def test_while_a_version_is_tried_the_registry_is_still_read(scene: Scene) -> None:
    file = scene.folder / ".read" / "iris"

    def attempt(_folder: Path) -> None:
        file.unlink()
        scene.follower.confirm()
        assert file.exists()
        file.unlink()
        scene.registry.down = True
        scene.follower.confirm()
        assert not file.exists()
        assert not scene.unwanted()

    scene.attempts = attempt
    assert scene.poll(in_production(V1)) == 1
    asked = scene.registry.reads

    scene.follower.confirm()

    assert (asked, scene.registry.reads) == (3, 3)


@pytest.mark.parametrize("instead", [in_production(a_version(3)), View()], ids=["another", "none"])
def test_a_version_that_is_no_longer_wanted_while_it_is_tried_is_given_up(scene: Scene, instead: View) -> None:
    def hangs(_folder: Path) -> None:
        scene.registry.view = instead
        assert not scene.unwanted()
        scene.follower.confirm()
        assert scene.unwanted()
        raise NoLongerWanted("another version is wanted by now")

    assert scene.poll(in_production(V1)) == 1
    scene.attempts = hangs
    assert scene.poll(in_production(V2)) == 1
    assert scene.posting.refusal is None

    scene.attempts = scene.tried_out
    assert scene.poll(times=2) == (3 if instead.in_production else 1)
    assert scene.posting.refusal is None


def test_a_reading_that_began_while_the_one_before_was_tried_gives_up_nothing(scene: Scene) -> None:
    asked, answered = threading.Event(), threading.Event()
    read = scene.registry.read

    def slow(_: str) -> View:
        asked.set()
        assert answered.wait(20)
        return in_production(V1)

    confirming = threading.Thread(target=scene.follower.confirm)

    def given_up(_folder: Path) -> None:
        scene.registry.read = slow  # type: ignore[assignment]  # the registry, on a slow day
        confirming.start()
        assert asked.wait(20)
        scene.registry.read = read  # type: ignore[method-assign]
        raise NoLongerWanted("another version is wanted by now")

    def tried(folder: Path) -> None:
        answered.set()
        confirming.join(20)
        assert not scene.unwanted()
        scene.tried_out(folder)

    assert scene.poll(in_production(V1)) == 1
    scene.attempts = given_up
    assert scene.poll(in_production(V2)) == 1

    scene.attempts = tried
    assert scene.poll(in_production(V3)) == 3


def test_a_version_that_was_given_up_can_come_again_at_once(scene: Scene) -> None:
    def hangs(_folder: Path) -> None:
        raise NoLongerWanted("another version is wanted by now")

    scene.attempts = hangs
    assert scene.poll(in_production(V1)) is None

    scene.attempts = scene.tried_out
    assert scene.poll() == 1
