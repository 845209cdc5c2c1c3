"""Whose signature a version has: files as a registry would hand them out, one at a time."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from serving.doctor import models
from serving.errors import RegistryUnreachable
from serving.protocol import Version
from tests.fakes import a_version
from tests.serving.manifests import OURS, SIGNATURE, THEIRS, public, write_manifest
from tests.serving.twins import a_twin


class Folder:
    """Hands out the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, _version: Version, name: str, folder: Path) -> None:
        try:
            shutil.copy(self._folder / name, folder)
        except OSError as error:
            raise RegistryUnreachable(str(error)) from error


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Version]:
    folder = a_twin(tmp_path / "version")
    return folder, replace(a_version(3), tags=write_manifest(folder, OURS))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_a_version_that_a_trusted_key_has_signed_is_fine(made: tuple[Path, Version], empty: Path) -> None:
    folder, version = made

    assert models.signed(Folder(folder), version, public(THEIRS, OURS), empty).mark == "ok"


def test_a_version_that_only_another_key_has_signed_is_told(made: tuple[Path, Version], empty: Path) -> None:
    folder, version = made

    assert models.signed(Folder(folder), version, public(THEIRS), empty).code == "model-other-key"


def test_a_manifest_without_a_signature_is_told(made: tuple[Path, Version], empty: Path) -> None:
    folder, version = made
    (folder / SIGNATURE).unlink()

    assert models.signed(Folder(folder), version, public(OURS), empty).code == "model-unsigned"
