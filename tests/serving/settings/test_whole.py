import base64

import pytest

from serving import settings
from serving.admission.rules import Rules
from tests.serving.settings.refusal import refused


def test_two_names_are_enough() -> None:
    chosen = settings.read()

    assert chosen.models == ("iris", "wine")
    assert chosen.tracking_uri == "http://mlflow:5000"
    assert chosen.deployment == "production"


@pytest.mark.parametrize("models", ["", " , ", "iris,iris", "a/b", "..", "it's"])
def test_models_that_cannot_be_followed_are_refused(environment: pytest.MonkeyPatch, models: str) -> None:
    environment.setenv("SERVING_MODELS", models)

    assert [line.partition(":")[0] for line in refused()] == ["SERVING_MODELS"]


def test_a_registry_that_is_no_address_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MLFLOW_TRACKING_URI", "mlflow:5000")

    assert refused() == ["MLFLOW_TRACKING_URI: not an address such as http://127.0.0.1:5000"]


def test_an_offline_server_needs_no_registry_and_no_other_does_without(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("MLFLOW_TRACKING_URI")
    environment.setenv("SERVING_OFFLINE", "true")
    assert settings.read().offline

    environment.setenv("SERVING_OFFLINE", "false")
    assert refused() == ["MLFLOW_TRACKING_URI: not set"]


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "SERVING_WEBHOOK_SECRET"])
def test_a_placeholder_secret_is_refused_everywhere_but_local(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "change-me-s3")
    assert refused()[0].startswith(f"{name}: still the placeholder")

    environment.setenv("SLIPWAY_ENV", "local")
    assert "change-me" not in repr(settings.read())


KEY = base64.b64encode(bytes(range(32))).decode()


def test_without_a_word_about_trust_what_has_no_manifest_is_served_with_a_warning() -> None:
    assert (settings.read().trust, settings.read().trust_keys) == ("digest", ())


def test_keys_are_read_as_their_bytes(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVING_TRUST", "signed")
    environment.setenv("SERVING_TRUST_KEYS", f"{KEY}, {KEY},")

    assert settings.read().trust_keys == (bytes(range(32)),) * 2


@pytest.mark.parametrize("keys", ["key", KEY[:-4], f"{KEY},x", f"{KEY}{KEY}", "é", f"SERVING_TRUST_KEYS={KEY}"])
def test_what_is_no_key_is_refused_by_name(environment: pytest.MonkeyPatch, keys: str) -> None:
    environment.setenv("SERVING_TRUST_KEYS", keys)

    assert refused() == [
        "SERVING_TRUST_KEYS: not public keys: each is the base64 of 32 bytes, as `python -m pipelines.keys` prints it"
    ]


def test_signed_without_keys_does_not_start_and_says_what_to_do(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVING_TRUST", "signed")

    (line,) = refused()

    assert line.startswith(
        "SERVING_TRUST_KEYS: not set, and SERVING_TRUST=signed trusts only what its keys have signed"
    )
    assert line.endswith("`python -m pipelines.keys` prints the line to set")


def test_another_word_for_trust_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVING_TRUST", "maybe")

    assert [line.partition(":")[0] for line in refused()] == ["SERVING_TRUST"]


def test_without_a_word_versions_bring_no_code_and_need_what_is_nearly_installed() -> None:
    assert Rules.set_by(settings.read()) == Rules(code=False, types=(), packages="compatible")


def test_what_versions_may_be_made_of_is_read(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVING_ALLOW_CODE", "true")
    environment.setenv("SERVING_SKOPS_TYPES", "numpy.mean, mine.models._Own,")
    environment.setenv("SERVING_PACKAGES", "exact")

    assert Rules.set_by(settings.read()) == Rules(code=True, types=("numpy.mean", "mine.models._Own"), packages="exact")


@pytest.mark.parametrize("types", ["Own", "numpy.*", "a b.C", "numpy.", ".mean", "numpy.mean;os.system", "1.2"])
def test_what_is_no_type_is_refused_by_name(environment: pytest.MonkeyPatch, types: str) -> None:
    environment.setenv("SERVING_SKOPS_TYPES", types)

    assert refused() == [f"SERVING_SKOPS_TYPES: not a type's full name, such as package.module.Class: {types!r}"]


@pytest.mark.parametrize(("name", "value"), [("SERVING_ALLOW_CODE", "perhaps"), ("SERVING_PACKAGES", "nearly")])
def test_another_word_for_what_is_allowed_is_refused(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)

    assert [line.partition(":")[0] for line in refused()] == [name]
