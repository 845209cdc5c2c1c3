"""Through a follower: what is fetched, checked, kept and refused."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serving.errors import NotPosted
from serving.protocol import Version
from serving.store import holds, posted
from serving.store.versions import Bounds
from tests.fakes import FakeRegistry, a_version, in_production
from tests.serving.following.scene import V1, V2, Scene, Signing, reason, stored
from tests.serving.manifests import THEIRS


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
