import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from serving.errors import VersionRefused
from serving.protocol import Model, Version
from serving.working.models import Models
from tests.fakes import FakeModel, a_version


@dataclass
class Loader:
    """Notes what it is asked, and what is let go."""

    loaded: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)

    @contextmanager
    def load(self, version: Version) -> Iterator[Model]:
        self.loaded.append(version.number)
        if version.number in self.broken:
            raise VersionRefused("it is broken")
        yield FakeModel(str(version.number))
        self.closed.append(version.number)


@pytest.fixture
def loader() -> Loader:
    return Loader()


def test_a_version_is_loaded_once_and_kept(loader: Loader) -> None:
    models = Models(loader.load, 2)

    for _ in range(3):
        with models.of(a_version(1)) as model:
            assert isinstance(model, FakeModel)

    assert (loader.loaded, loader.closed) == ([1], [])
    models.close()
    assert loader.closed == [1]


def test_those_used_longest_ago_are_let_go(loader: Loader) -> None:
    models = Models(loader.load, 2)
    for number in (1, 2, 1, 3):
        with models.of(a_version(number)):
            pass

    assert loader.closed == [2]


def test_what_is_in_use_is_never_let_go(loader: Loader) -> None:
    models = Models(loader.load, 0)

    with models.of(a_version(1)):
        with models.of(a_version(2)):
            pass
        assert loader.closed == [2]
    assert loader.closed == [2, 1]


def test_what_could_not_be_loaded_is_tried_anew(loader: Loader) -> None:
    models = Models(loader.load, 2)
    loader.broken = {1}
    with pytest.raises(VersionRefused), models.of(a_version(1)):
        pass

    loader.broken = set()
    with models.of(a_version(1)):
        pass

    assert loader.loaded == [1, 1]


def test_the_same_number_with_other_files_is_another_version(loader: Loader) -> None:
    models = Models(loader.load, 5)
    for version in (
        a_version(1),
        a_version(1, created_ms=7),
        replace(a_version(1), tags={"slipway.manifest": "other"}),
    ):
        with models.of(version):
            pass

    assert loader.loaded == [1, 1, 1]


def test_several_that_want_a_version_at_once_load_it_once(loader: Loader) -> None:
    models, all_here = Models(loader.load, 2), threading.Barrier(8)

    def use(_: int) -> None:
        all_here.wait()
        with models.of(a_version(1)):
            pass

    with ThreadPoolExecutor(8) as users:
        list(users.map(use, range(8)))

    assert loader.loaded == [1]
