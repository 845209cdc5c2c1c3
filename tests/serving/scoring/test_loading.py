"""A version's files are there, verified, before anything of it is loaded."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from serving.errors import VersionRefused
from serving.protocol import Version
from serving.scoring.choosing import Choice
from serving.scoring.loading import fetched, loaded
from serving.settings import Settings
from serving.store import holds
from tests.fakes import FakeRegistry, a_version
from tests.serving.manifests import write_manifest
from tests.serving.twins import a_twin


@dataclass
class Twins(FakeRegistry):
    """Each version has a twin that answers its number times x."""

    def download(self, version: Version, folder: Path) -> Path:
        self.downloads.append(version.number)
        return a_twin(folder / "artifacts", factor=version.number)


def settings(tmp_path: Path, **changes: object) -> Settings:
    given = {
        "models": ("iris",),
        "MLFLOW_TRACKING_URI": "http://x",
        "SLIPWAY_ENV": "local",
        "store": tmp_path / "store",
    }
    return Settings.model_validate({**given, **changes})


def test_what_the_store_lacks_is_fetched_and_the_store_is_left_alone(tmp_path: Path) -> None:
    registry = Twins()

    with (
        fetched(Choice(a_version(3), None), registry, settings(tmp_path)) as folder,
        loaded(folder, a_version(3), settings(tmp_path)) as (model, vouched),
    ):
        assert (model.runtime, vouched) == ("onnx", "none")

    assert registry.downloads == [3]
    assert not (tmp_path / "store").exists()


def test_what_the_store_has_is_held_and_not_fetched(tmp_path: Path) -> None:
    folder, registry = a_twin(tmp_path / "store/iris/3-1"), Twins()
    choice = Choice(a_version(3), folder)

    with fetched(choice, registry, settings(tmp_path)) as found:
        assert found == folder
        assert holds.held(folder)

    assert registry.downloads == []


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder = a_twin(tmp_path / "3")
    write_manifest(folder)
    (folder / "twin.json").write_text("{}")

    refused = pytest.raises(VersionRefused, match=r"'twin.json' is not the file that its manifest describes")
    with refused, loaded(folder, a_version(3), settings(tmp_path)):
        pass


def test_a_version_that_is_too_large_is_not_fetched(tmp_path: Path) -> None:
    registry = Twins(sizes={3: 2000})

    refused = pytest.raises(VersionRefused, match="SERVING_LARGEST_VERSION")
    with refused, fetched(Choice(a_version(3), None), registry, settings(tmp_path, largest_version=1000)):
        pass

    assert registry.downloads == []
