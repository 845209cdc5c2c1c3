import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import mlflow
import pytest

from serving.errors import OutOfRoom, VersionRefused
from serving.protocol import Version
from serving.store import holds
from serving.store.versions import Bounds, Store
from tests.fakes import FakeRegistry, a_version
from tests.servers import ROOT
from tests.serving.conftest import TABLE, quiet, slope


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_version_is_downloaded_once(tmp_path: Path) -> None:
    registry, store = FakeRegistry(), Store(tmp_path)

    first, second = (store.fetch(a_version(1), registry.download) for _ in range(2))

    assert first == second
    assert (first / "MLmodel").read_text() == "1"
    assert registry.downloads == [1]


def test_a_half_download_is_never_visible(tmp_path: Path) -> None:
    registry, store = FakeRegistry(broken={1}), Store(tmp_path)

    with pytest.raises(OSError, match="half-way"):
        store.fetch(a_version(1), registry.download)

    assert files(tmp_path) == []


def test_what_an_interrupted_process_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / "iris" / ".incoming-abc").mkdir(parents=True)
    (tmp_path / "iris" / ".incoming-abc" / "half").touch()

    Store(tmp_path)

    assert files(tmp_path) == []


def test_a_process_that_is_killed_half_way_leaves_nothing_visible_and_the_next_one_clears_it(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from serving.store.versions import Store
from tests.fakes import a_version

def download(version, folder):
    (folder / "MLmodel").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

Store(Path({str(tmp_path)!r})).fetch(a_version(1), download)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert files(tmp_path) == ["MLmodel"]  # somewhere

    registry, store = FakeRegistry(), Store(tmp_path)

    assert files(tmp_path) == []
    assert (store.fetch(a_version(1), registry.download) / "MLmodel").read_text() == "1"
    assert registry.downloads == [1]


def test_the_same_number_in_a_wiped_registry_is_another_version(tmp_path: Path) -> None:
    store = Store(tmp_path)
    before, after = a_version(1, created_ms=1), a_version(1, created_ms=2)

    assert store.fetch(before, FakeRegistry().download) != store.fetch(after, FakeRegistry().download)


def numbers(folder: Path) -> list[str]:
    return sorted(home.name.partition("-")[0] for home in folder.iterdir())


def fetched(store: Store, *wanted: int, name: str = "iris") -> list[Path]:
    """One after the other, each in use until the next one is."""
    homes = []
    for at, number in enumerate(wanted):
        homes.append(store.fetch(a_version(number, name=name), FakeRegistry().download))
        os.utime(homes[-1], (at, at))
    return homes


@pytest.mark.parametrize(
    ("former", "left"),
    [(0, ["1", "5"]), (1, ["1", "4", "5"]), (2, ["1", "3", "4", "5"]), (9, ["1", "2", "3", "4", "5"])],
)
def test_what_is_in_use_is_kept_and_the_last_few_that_were(tmp_path: Path, former: int, left: list[str]) -> None:
    store = Store(tmp_path, Bounds(former))
    fetched(store, 1, 2, 3, 4, 5)
    other = store.fetch(a_version(1, name="wine"), FakeRegistry().download)

    again = store.keep("iris", [a_version(5), a_version(1)])

    assert numbers(tmp_path / "iris") == left
    assert not again
    assert other.exists()


def test_the_former_versions_that_are_kept_are_those_that_were_in_use_last(tmp_path: Path) -> None:
    store = Store(tmp_path, Bounds(former=1))
    homes = dict(zip("123", fetched(store, 1, 2, 3), strict=True))
    for at, number in enumerate([3, 1]):  # a rollback to 1
        store.keep("iris", [a_version(number), a_version(2)])
        os.utime(homes[str(number)], (100 + at,) * 2)

    store.keep("iris", [a_version(2)])

    assert numbers(tmp_path / "iris") == ["1", "2"]


def test_a_version_that_a_worker_answers_with_stays_until_it_does_not(tmp_path: Path) -> None:
    class Holder:
        """A model in a worker."""

    store, holder = Store(tmp_path, Bounds(former=0)), Holder()
    held, _ = fetched(store, 1, 2)
    holds.hold(held, holder)

    assert store.keep("iris", [a_version(2)])
    assert numbers(tmp_path / "iris") == ["1", "2"]

    del holder
    assert not store.keep("iris", [a_version(2)])
    assert numbers(tmp_path / "iris") == ["2"]


def test_what_is_not_the_stores_own_is_never_removed(tmp_path: Path) -> None:
    store = Store(tmp_path, Bounds(former=0))
    theirs = [tmp_path / "iris" / "notes", tmp_path / "photos" / "2026", tmp_path / "empty"]
    for folder in theirs:
        folder.mkdir(parents=True)

    store.keep("iris", [])
    store.keep_of_others(["iris"])

    assert all(folder.is_dir() for folder in theirs)


def test_of_models_that_are_not_followed_any_more_the_last_few_versions_stay_together(tmp_path: Path) -> None:
    store = Store(tmp_path, Bounds(former=2))
    for at, name in enumerate(["cars", "wine", "iris", "fish"]):
        for home in fetched(store, 1, 2, name=name):
            os.utime(home, (10 * at + int(home.name[0]),) * 2)

    store.keep_of_others(["iris"])

    assert {each.name: numbers(each) for each in tmp_path.iterdir()} == {"fish": ["1", "2"], "iris": ["1", "2"]}


def test_a_removal_that_is_interrupted_leaves_nothing_that_looks_like_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, registry = Store(tmp_path), FakeRegistry()
    store.fetch(a_version(1), registry.download)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.forget(a_version(1))

    Store(tmp_path)
    assert files(tmp_path) == []
    store.fetch(a_version(1), registry.download)
    assert registry.downloads == [1, 1]


def test_a_version_that_is_too_large_is_refused_before_it_is_downloaded(tmp_path: Path) -> None:
    registry, store = FakeRegistry(sizes={1: 3 << 30, 2: 2 << 30}), Store(tmp_path, Bounds(largest=2 << 30))

    with pytest.raises(
        VersionRefused, match=r"its files have 3 GiB, and at most 2 GiB are taken; SERVING_LARGEST_VERSION"
    ):
        store.fetch(a_version(1), registry.download, registry.size)

    store.fetch(a_version(2), registry.download, registry.size)
    assert registry.downloads == [2]


def test_a_version_that_is_larger_than_it_said_never_becomes_visible(tmp_path: Path) -> None:
    registry, store = FakeRegistry(sizes={1111: 1}), Store(tmp_path, Bounds(largest=3))  # its file has its number

    with pytest.raises(VersionRefused, match="its files have 4 bytes, and at most 3 bytes are taken"):
        store.fetch(a_version(1111), registry.download, registry.size)

    assert files(tmp_path) == []


def test_a_version_is_not_downloaded_where_there_is_no_room_for_it(small_disk: Path) -> None:
    registry, store = FakeRegistry(sizes={1: 12 << 20, 2: 1 << 20}), Store(small_disk, Bounds(spare=1 << 20))

    with pytest.raises(
        OutOfRoom, match=r"it needs 13 MiB and .* are free; free some, .*SERVING_KEEP_VERSIONS"
    ) as caught:
        store.fetch(a_version(1), registry.download, registry.size)

    assert str(small_disk) in str(caught.value)
    store.fetch(a_version(2), registry.download, registry.size)
    assert registry.downloads == [2]


def test_two_downloads_at_once_are_not_promised_the_same_room(small_disk: Path) -> None:
    registry, store = FakeRegistry(sizes={1: 7 << 20}), Store(small_disk, Bounds(spare=0))
    begun, release = threading.Event(), threading.Event()

    def slowly(version: Version, folder: Path) -> Path:
        begun.set()
        assert release.wait(20)
        return registry.download(version, folder)

    first = threading.Thread(target=store.fetch, args=[a_version(1), slowly, registry.size])
    first.start()
    assert begun.wait(20)

    with pytest.raises(OutOfRoom):
        store.fetch(a_version(1, name="wine"), registry.download, registry.size)
    release.set()
    first.join(20)

    store.fetch(a_version(1, name="wine"), registry.download, registry.size)


def fill(folder: Path, version: Version, most: int = 64 << 20) -> Path:
    """Downloads more than there is room for."""
    with (folder / "model").open("wb") as file:
        for _ in range(most >> 16):
            file.write(bytes(1 << 16))
    return folder


def test_a_disk_that_fills_up_is_told_and_all_that_came_is_gone(small_disk: Path) -> None:
    store = Store(small_disk)
    before = shutil.disk_usage(small_disk).free

    with pytest.raises(OutOfRoom, match="the disk is full; free some"):
        store.fetch(a_version(1), lambda version, folder: fill(folder, version))

    assert files(small_disk) == []
    assert before - shutil.disk_usage(small_disk).free < 1 << 16


def test_a_full_disk_does_not_keep_a_version_from_being_removed(small_disk: Path) -> None:
    store = Store(small_disk, Bounds(former=0))
    store.fetch(a_version(1), FakeRegistry().download)
    with pytest.raises(OSError, match="No space left"):
        fill(small_disk, a_version(1))

    store.keep("iris", [])

    assert numbers(small_disk / "iris") == []


def test_a_forgotten_version_is_downloaded_again(tmp_path: Path) -> None:
    registry, store = FakeRegistry(), Store(tmp_path)
    store.fetch(a_version(1), registry.download)

    store.forget(a_version(1))
    store.fetch(a_version(1), registry.download)

    assert registry.downloads == [1, 1]


def test_a_models_name_is_one_folder_whatever_is_in_it(tmp_path: Path) -> None:
    odd, other = Version("two words & ü", 1, 0, "s"), Version("two=20words & ü", 1, 0, "s")

    home = Store(tmp_path).fetch(odd, FakeRegistry().download)

    assert home.parent.parent == tmp_path
    assert home.parent != Store(tmp_path).fetch(other, FakeRegistry().download).parent


def test_mlflow_finds_a_version_whose_models_name_has_a_space(tmp_path: Path) -> None:
    def download(_: Version, folder: Path) -> Path:
        with quiet():
            mlflow.sklearn.save_model(
                slope(3), str(folder / "model"), serialization_format="skops", pip_requirements=["scikit-learn"]
            )
        return folder / "model"

    home = Store(tmp_path).fetch(a_version(1, name="two words"), download)

    assert mlflow.sklearn.load_model(str(home)).predict(TABLE)[0] == pytest.approx(3)
