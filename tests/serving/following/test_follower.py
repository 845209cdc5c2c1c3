import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serving.errors import NotPosted
from serving.following.candidacy import Run, in_thread
from serving.following.follower import Follower, Outage, Tools
from serving.protocol import Version, View
from serving.store import holds, posted
from serving.store.posted import Board, Candidate, Posting
from serving.store.reads import Reads
from serving.store.versions import Bounds, Store
from serving.trust import Trust
from tests.fakes import Clock, FakeRegistry, a_trial, a_version, in_production
from tests.servers import eventually
from tests.serving.manifests import OURS, THEIRS, public, write_manifest

V1, V2 = a_version(1), a_version(2)


def at_once(work: Callable[[], None]) -> None:
    work()


@dataclass
class Scene:
    """One followed model; `poll()` is a turn of the loop."""

    folder: Path
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    clock: Clock = field(default_factory=Clock)
    trust: Trust = field(default_factory=lambda: Trust("off"))
    bounds: Bounds = field(default_factory=Bounds)
    unloadable: set[str] = field(default_factory=set)
    tried: list[str] = field(default_factory=list)
    """What the files of the versions said that were tried."""
    run: Run = at_once
    """How candidates are tried."""

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """As a new process does, on what the one before has left."""
        self.board = Board(("iris",), self.folder)
        self.attempts: Callable[[Path], None] = self.tried_out
        store = Store(self.folder, self.bounds)
        tools = Tools(self.registry, store, self.board, self.try_out, self.trust, self.clock)
        self.follower = Follower("iris", tools, Outage(), self.run)

    def try_out(self, folder: Path) -> None:
        self.attempt(folder)

    def attempt(self, folder: Path) -> None:
        self.attempts(folder)

    def tried_out(self, folder: Path) -> None:
        self.tried.append((folder / "MLmodel").read_text())
        if (folder / "MLmodel").read_text() in self.unloadable:
            raise ImportError("no module named xgboost")

    def poll(self, view: View | None = None, *, times: int = 1) -> int | None:
        """The number of the version that is posted afterwards."""
        self.registry.view = self.registry.view if view is None else view
        for _ in range(times):
            self.follower.poll()
        return self.posting.version.number if self.posting.version else None

    @property
    def posting(self) -> Posting:
        return self.board.posting("iris")

    @property
    def candidate(self) -> Candidate:
        assert self.posting.candidate is not None
        return self.posting.candidate


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


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


def stored(scene: Scene) -> list[str]:
    return sorted(home.name[0] for home in (scene.folder / "iris").iterdir())


def test_the_store_keeps_the_version_in_use_and_the_last_two_before(scene: Scene) -> None:
    for number in range(1, 6):
        scene.poll(in_production(a_version(number)))

    assert stored(scene) == ["3", "4", "5"]


def test_going_back_to_the_version_before_needs_no_download(scene: Scene) -> None:
    for number in (1, 2, 1):
        assert scene.poll(in_production(a_version(number))) == number

    assert scene.registry.downloads == [1, 2]


def test_what_has_to_go_goes_once_the_last_worker_has_let_it_go(scene: Scene) -> None:
    class Holder:
        """A model in a worker."""

    scene.poll(in_production(V1))
    holder = Holder()
    holds.hold(scene.folder / scene.posting.folder, holder)
    for number in range(2, 6):
        scene.poll(in_production(a_version(number)))
    assert stored(scene) == ["1", "3", "4", "5"]

    del holder
    scene.poll()

    assert stored(scene) == ["3", "4", "5"]


def test_a_start_removes_what_the_one_before_left_too_many_of(scene: Scene) -> None:
    for number in (1, 2, 3):
        scene.poll(in_production(a_version(number)))

    scene.bounds = Bounds(former=0)
    scene.start()
    scene.poll()

    assert stored(scene) == ["3"]


def test_a_version_that_is_too_large_is_refused_and_the_old_one_answers(scene: Scene) -> None:
    scene.poll(in_production(V1))
    scene.registry.sizes[2] = 21 << 30

    assert scene.poll(in_production(V2)) == 1

    assert reason(scene).startswith("its files have 21 GiB, and at most 20 GiB are taken; SERVING_LARGEST_VERSION")
    assert scene.registry.downloads == [1]


@dataclass
class Bulky(FakeRegistry):
    """Its second version is larger than it says, and than the disk."""

    def download(self, version: Version, folder: Path) -> Path:
        home = super().download(version, folder)
        if version.number == 2:
            (home / "model").write_bytes(bytes(16 << 20))
        return home


def fill(disk: Path) -> Path:
    """Leaves no room, not even for a small file."""
    full = disk / "full"
    with full.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return full


def test_a_disk_that_is_too_full_for_a_version_is_told_and_the_old_one_answers(small_disk: Path) -> None:
    scene = Scene(small_disk, Bulky())
    scene.poll(in_production(V1))

    assert scene.poll(in_production(V2)) == 1

    assert reason(scene).startswith(f"no room in the store {small_disk}: the disk is full; free some")
    assert posted.read(small_disk)[0].refusal == scene.posting.refusal
    assert stored(scene) == ["1"]


def test_a_disk_without_room_for_the_lineup_leaves_the_old_one_and_is_not_tried_at_every_poll(small_disk: Path) -> None:
    scene = Scene(small_disk)
    scene.poll(in_production(V1))
    full: list[Path] = []

    def attempt(folder: Path) -> None:
        scene.tried.append(folder.name[0])
        full.append(fill(small_disk))

    scene.attempts = attempt
    with pytest.raises(NotPosted, match="cannot be written to the store: No space left on device"):
        scene.poll(in_production(V2))
    assert [each.version.number for each in posted.read(small_disk) if each.version] == [1]
    for _ in range(3):
        scene.poll()
    assert scene.tried == ["1", "2"]

    scene.attempts = scene.tried_out
    full[0].unlink()
    scene.clock.now += 2
    assert scene.poll() == 2
    assert posted.read(small_disk) == (scene.posting,)
    assert scene.posting.refusal is None


@dataclass
class Signing(FakeRegistry):
    """Every version comes with a manifest that `key` has signed; some were tampered with after that."""

    key: Ed25519PrivateKey | None = OURS
    tampered: set[int] = field(default_factory=set)
    more: str | None = None
    """A file that the versions have got since."""

    def download(self, version: Version, folder: Path) -> Path:
        home = super().download(version, folder)
        if self.more is not None:
            (home / self.more).touch()
        write_manifest(home, self.key)
        if version.number in self.tampered:
            (home / "MLmodel").write_text("of somebody else")
        return home

    def version(self, number: int) -> Version:
        """As the registry shows it now, its manifest's tag included."""
        with TemporaryDirectory() as name:
            return replace(a_version(number), tags=write_manifest(self.download(a_version(number), Path(name))))


@pytest.fixture
def registry() -> Signing:
    return Signing()


@pytest.fixture
def signing(tmp_path: Path, registry: Signing) -> Scene:
    """Only what we have signed is served."""
    return Scene(tmp_path, registry, trust=Trust("signed", public(OURS)))


def reason(scene: Scene) -> str:
    assert scene.posting.refusal is not None
    return scene.posting.refusal.reason


def test_a_version_that_was_tampered_with_is_refused_untried_and_the_old_one_answers(
    signing: Scene, registry: Signing
) -> None:
    registry.tampered.add(2)
    signing.poll(in_production(V1))

    assert signing.poll(in_production(V2)) == 1

    assert signing.tried == ["1"]
    assert reason(signing).startswith("'MLmodel' is not the file that its manifest describes; register it again")
    assert sorted(home.name[0] for home in (signing.folder / "iris").iterdir()) == ["1"]


def test_a_version_that_is_put_right_is_downloaded_again_and_served(signing: Scene, registry: Signing) -> None:
    registry.tampered.add(1)
    signing.poll(in_production(V1))
    registry.tampered.clear()
    signing.clock.now += 2

    assert signing.poll() == 1
    assert registry.downloads == [1, 1]
    assert signing.posting.refusal is None


@pytest.mark.parametrize("key", [None, THEIRS])
def test_a_version_that_we_have_not_signed_is_refused_untried(
    signing: Scene, registry: Signing, key: Ed25519PrivateKey | None
) -> None:
    registry.key = key

    assert signing.poll(in_production(V1)) is None

    assert signing.tried == []
    assert ("is not signed" if key is None else "none of the keys") in reason(signing)


def test_a_manifest_that_was_written_again_brings_its_files(signing: Scene, registry: Signing) -> None:
    signing.poll(in_production(registry.version(1)))
    before = signing.posting.folder
    registry.more = "model.onnx"

    signing.poll(in_production(registry.version(1)))

    assert signing.tried == ["1", "1"]
    assert signing.posting.folder != before
    assert (signing.folder / signing.posting.folder / "model.onnx").exists()
    assert (signing.folder / before).is_dir()  # a worker may still answer with it
    assert signing.posting.refusal is None


def test_a_manifest_that_is_just_being_written_is_refused_and_served_once_its_tag_is_there(
    signing: Scene, registry: Signing
) -> None:
    tagged_before = registry.version(1)
    registry.more = "model.onnx"
    signing.poll(in_production(tagged_before))
    assert "is not the one that the version's tag slipway.manifest names" in reason(signing)

    assert signing.poll(in_production(registry.version(1))) == 1  # at once: these are other files
    assert signing.posting.refusal is None


def test_files_that_were_changed_while_nothing_ran_are_downloaded_again(signing: Scene, registry: Signing) -> None:
    signing.poll(in_production(V1))
    file = signing.folder / signing.posting.folder / "MLmodel"
    file.write_text("of somebody else")

    signing.start()
    signing.poll()
    signing.clock.now += 2

    assert signing.poll() == 1
    assert file.read_text() == "1"
    assert signing.tried == ["1", "1"]
    assert signing.posting.refusal is None


def test_whole_files_are_not_downloaded_again_at_the_next_start(signing: Scene, registry: Signing) -> None:
    signing.poll(in_production(V1))

    signing.start()
    signing.poll(times=3)

    assert registry.downloads == [1]
    assert signing.tried == ["1"]


def test_every_read_of_the_registry_is_noted_and_nothing_else(scene: Scene) -> None:
    scene.registry.down = True
    scene.poll()
    assert Reads(scene.folder).last("iris") is None

    scene.registry.down = False
    scene.poll()
    assert Reads(scene.folder).last("iris") is not None


def test_while_a_version_is_tried_the_registry_is_still_asked_whether_it_is_there(scene: Scene) -> None:
    file = scene.folder / ".read" / "iris"

    def attempt(_folder: Path) -> None:
        file.unlink()
        scene.follower.confirm()
        assert file.exists()
        file.unlink()
        scene.registry.down = True
        scene.follower.confirm()
        assert not file.exists()

    scene.attempts = attempt
    assert scene.poll(in_production(V1)) == 1
    asked = scene.registry.pings

    scene.follower.confirm()

    assert (asked, scene.registry.pings) == (2, 2)


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
