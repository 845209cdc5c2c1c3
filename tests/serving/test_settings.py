import os

import pytest

from serving import settings
from serving.settings import SettingsInvalid


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Only what a deployment must set."""
    for name in os.environ:
        if name in settings.env_names() or name.startswith("SERVING_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SERVING_MODELS", "iris, wine")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    return monkeypatch


def refused() -> list[str]:
    with pytest.raises(SettingsInvalid) as caught:
        settings.read()
    return caught.value.lines


def test_two_names_are_enough() -> None:
    chosen = settings.read()

    assert chosen.models == ("iris", "wine")
    assert chosen.tracking_uri == "http://mlflow:5000"
    assert chosen.deployment == "production"


def test_every_wrong_or_missing_setting_gets_a_line(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("MLFLOW_TRACKING_URI")
    environment.setenv("SERVING_PORT", "eighty")
    environment.setenv("SERVING_POLL_SECONDS", "0")
    environment.setenv("SERVING_LOG_LEVEL", "loud")

    names = [line.partition(":")[0] for line in refused()]

    assert sorted(names) == ["MLFLOW_TRACKING_URI", "SERVING_LOG_LEVEL", "SERVING_POLL_SECONDS", "SERVING_PORT"]
    assert "MLFLOW_TRACKING_URI: not set" in refused()


@pytest.mark.parametrize("models", ["", " , ", "iris,iris", "a/b", "..", "it's"])
def test_models_that_cannot_be_followed_are_refused(environment: pytest.MonkeyPatch, models: str) -> None:
    environment.setenv("SERVING_MODELS", models)

    assert [line.partition(":")[0] for line in refused()] == ["SERVING_MODELS"]


def test_a_registry_that_is_no_address_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MLFLOW_TRACKING_URI", "mlflow:5000")

    assert refused() == ["MLFLOW_TRACKING_URI: not an address such as http://127.0.0.1:5000"]


def test_a_placeholder_secret_is_refused_everywhere_but_local(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_SECRET_ACCESS_KEY", "change-me-s3")
    assert refused()[0].startswith("AWS_SECRET_ACCESS_KEY: still the placeholder")

    environment.setenv("SLIPWAY_ENV", "local")
    assert "change-me" not in repr(settings.read())


def test_the_names_are_those_of_the_environment() -> None:
    assert settings.env_names() == {
        "AWS_SECRET_ACCESS_KEY",
        "MLFLOW_TRACKING_URI",
        "SERVING_BATCHING__MAX_BYTES",
        "SERVING_BATCHING__MAX_ROWS",
        "SERVING_BATCHING__MAX_WAITING_ROWS",
        "SERVING_GRPC_PORT",
        "SERVING_HOST",
        "SERVING_LARGEST_BODY",
        "SERVING_LOG_LEVEL",
        "SERVING_MODELS",
        "SERVING_POLL_SECONDS",
        "SERVING_PORT",
        "SERVING_RUNTIME",
        "SERVING_STORE",
        "SERVING_WORKERS",
        "SLIPWAY_ENV",
    }
