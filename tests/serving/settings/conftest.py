"""An environment with only what a deployment must set."""

import os

import pytest

from serving import settings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in os.environ:
        if name in settings.env_names() or name.startswith("SERVING_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SERVING_MODELS", "iris, wine")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    return monkeypatch
