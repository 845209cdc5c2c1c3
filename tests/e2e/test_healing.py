"""What is wiped or interrupted is made whole by the next `make demo`. Each costs about a minute."""

import os
import shutil
import signal
from pathlib import Path

import httpx
import pytest

from tests.e2e.driver import Platform
from tests.servers import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def platform(alone: Platform) -> Platform:
    """After a `make demo`: whatever an earlier test left, this one starts with everything whole."""
    alone.set({"evaluate.margin": 1.0})  # trainings with other seeds are to become Production, though they be worse
    expect_whole(alone, alone.demo())
    return alone


def expect_whole(platform: Platform, said: str) -> None:
    """The stack is well, one version is Production and answers, DVC has everything here and on S3."""
    version = platform.report("version")["version"]
    assert f"Production is version {version} of slipway" in said
    assert platform.stack("status").count(" yes") == 3
    assert platform.production() == {"stage": version, "alias": version}
    assert platform.predict(platform.test_rows().head(5)).version == version
    assert platform.workspace.run("dvc", "status", "--cloud").strip().endswith("in sync.")
    assert "didn't change, skipping" in platform.workspace.run("dvc", "repro")


def test_a_wiped_mlflow_database_heals(platform: Platform) -> None:
    (platform.workspace.folder / ".slipway/mlflow.db").unlink()

    said = platform.demo()

    assert "MLflow has lost the runs" in said
    expect_whole(platform, said)
    assert platform.versions() == ["1"]


def test_a_wiped_dvc_cache_heals(platform: Platform) -> None:
    before = platform.production()
    shutil.rmtree(platform.workspace.folder / ".dvc/cache")

    said = platform.demo()

    expect_whole(platform, said)
    assert platform.production() == before


def test_a_wiped_dvc_cache_heals_with_the_outputs_gone_too(platform: Platform) -> None:
    before = platform.production()
    shutil.rmtree(platform.workspace.folder / ".dvc/cache")
    for folder in ("models", "data/raw", "data/processed"):
        shutil.rmtree(platform.workspace.folder / folder)

    said = platform.demo()

    expect_whole(platform, said)
    assert "Running stage 'train'" not in said
    assert platform.production() == before


def test_a_wiped_s3_folder_heals(platform: Platform) -> None:
    shutil.rmtree(platform.workspace.folder / ".slipway/s3")

    said = platform.demo()

    expect_whole(platform, said)
    objects = list((platform.workspace.folder / ".slipway/s3/dvc").rglob("*"))
    assert [each for each in objects if each.is_file()]


def test_a_wiped_store_of_serving_heals(platform: Platform) -> None:
    platform.stack("down")
    shutil.rmtree(platform.workspace.folder / ".slipway/store")

    expect_whole(platform, platform.demo())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_a_demo_that_is_interrupted_while_training_continues(platform: Platform, how: signal.Signals) -> None:
    platform.set({"train.seed": 1000 + how})  # there is something to train again
    versions = platform.versions()
    begun = platform.begin_demo()
    eventually(lambda: trained(platform.workspace.folder), seconds=120)

    os.killpg(begun.pid, how)

    assert begun.wait(60) != 0
    assert httpx.get(f"{platform.serving_url}/health", timeout=5).status_code == 200
    said = platform.demo()
    assert "Running stage 'train'" in said
    expect_whole(platform, said)
    assert len(platform.versions()) == len(versions) + 1


def trained(folder: Path) -> bool:
    """The first candidate of a training that is not finished."""
    return (folder / "models/linear/MLmodel").exists() and not (folder / "models/runs.json").exists()
