"""Which version is scored with, whether the registry is there or not."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from serving.errors import RegistryUnreachable
from serving.protocol import Version, View
from serving.scoring.choosing import chosen
from serving.scoring.refusal import NotScored
from tests.fakes import FakeRegistry, a_trial, a_version, in_production
from tests.serving.twins import post, post_candidate


@dataclass
class Catalogue(FakeRegistry):
    """Has the versions 1 to 9."""

    def find(self, name: str, number: int) -> Version | None:
        if self.down:
            raise RegistryUnreachable("connection refused")
        return a_version(number, name=name) if number < 10 else None


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Of a server that answers with version 7 and has 8 as its candidate."""
    folder = tmp_path / "store"
    folder.mkdir()
    post(folder, 7)
    post_candidate(folder, a_trial(a_version(8)))
    return folder


def test_without_a_number_it_is_the_production_version(tmp_path: Path) -> None:
    choice = chosen("iris", None, Catalogue(in_production(a_version(3))), tmp_path)

    assert (choice.version.number, choice.folder, choice.notes) == (3, None, ())


def test_what_the_registry_disagrees_about_is_told(tmp_path: Path) -> None:
    choice = chosen("iris", None, Catalogue(in_production(a_version(3), alias=a_version(2))), tmp_path)

    assert choice.version.number == 3
    assert "alias production names version 2" in choice.notes[0]


def test_any_version_can_be_named(tmp_path: Path) -> None:
    choice = chosen("iris", 5, Catalogue(in_production(a_version(3))), tmp_path)

    assert choice.version.number == 5


def test_files_that_the_store_has_are_not_fetched(store: Path) -> None:
    registry = Catalogue(in_production(a_version(7)))

    assert chosen("iris", None, registry, store).folder == store / "iris/7-1"
    assert chosen("iris", 8, registry, store).folder == store / "iris/8-1"
    assert chosen("iris", 6, registry, store).folder is None


def test_files_of_another_version_with_that_number_are_not_taken(store: Path) -> None:
    registry = Catalogue(in_production(a_version(7, created_ms=5)))

    assert chosen("iris", None, registry, store).folder is None


def test_while_the_registry_is_away_the_store_says_what_is_production(store: Path) -> None:
    choice = chosen("iris", None, Catalogue(down=True), store)

    assert (choice.version.number, choice.folder) == (7, store / "iris/7-1")
    assert choice.notes == (f"the registry is not reachable (connection refused); the version is what {store} has",)


def test_offline_only_the_store_is_asked(store: Path) -> None:
    assert chosen("iris", 8, None, store).version.number == 8


@pytest.mark.parametrize(
    ("registry", "number", "reason"),
    [
        (Catalogue(View()), None, "the registry has no model 'iris'"),
        (Catalogue(View(registered=True)), None, "no version of 'iris' is Production yet"),
        (Catalogue(), 10, "the registry has no version 10 of 'iris'"),
        (Catalogue(down=True), 5, "connection refused.*has no version 5 of 'iris'"),
        (None, 5, "has no version 5 of 'iris'"),
    ],
)
def test_a_version_that_is_not_there_is_refused(
    registry: Catalogue | None, number: int | None, reason: str, store: Path
) -> None:
    with pytest.raises(NotScored, match=reason):
        chosen("iris", number, registry, store)


def test_a_store_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotScored, match="has no Production version of 'iris'"):
        chosen("iris", None, None, tmp_path / "nowhere")
