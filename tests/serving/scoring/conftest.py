"""A store to score by, and no registry."""

import os
from pathlib import Path

import pytest

from tests.servers import ROOT
from tests.serving.twins import post


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """An environment with a store that has a version of `iris` that answers 3 * x, and no registry."""
    (tmp_path / "store").mkdir()
    post(tmp_path / "store", 7, factor=3)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SERVING_", "MLFLOW_"))}
    return {**inherited, "PYTHONPATH": str(ROOT), "SERVING_OFFLINE": "true", "SERVING_STORE": str(tmp_path / "store")}
