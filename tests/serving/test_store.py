from pathlib import Path

import pytest

from serving.protocol import Version
from serving.store import Store
from tests.fakes import FakeRegistry, a_version


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


def test_the_same_number_in_a_wiped_registry_is_another_version(tmp_path: Path) -> None:
    store = Store(tmp_path)
    before, after = a_version(1, created_ms=1), a_version(1, created_ms=2)

    assert store.fetch(before, FakeRegistry().download) != store.fetch(after, FakeRegistry().download)


def test_versions_nobody_needs_are_removed(tmp_path: Path) -> None:
    store, registry = Store(tmp_path), FakeRegistry()
    homes = [store.fetch(a_version(number), registry.download) for number in (1, 2, 3)]
    other = store.fetch(a_version(1, name="wine"), registry.download)

    store.keep("iris", {a_version(2), a_version(3)})

    assert [home.exists() for home in [*homes, other]] == [False, True, True, True]


def test_a_forgotten_version_is_downloaded_again(tmp_path: Path) -> None:
    registry, store = FakeRegistry(), Store(tmp_path)
    store.fetch(a_version(1), registry.download)

    store.forget(a_version(1))
    store.fetch(a_version(1), registry.download)

    assert registry.downloads == [1, 1]


def test_a_models_name_is_one_folder_whatever_is_in_it(tmp_path: Path) -> None:
    odd = Version("two words & ü", 1, 0, "s")

    home = Store(tmp_path).fetch(odd, FakeRegistry().download)

    assert home.parent.parent == tmp_path
