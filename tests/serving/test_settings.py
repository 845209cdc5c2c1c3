import base64
import os

import pytest

from serving import settings
from serving.admission.rules import Rules
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


def test_a_command_that_is_told_a_model_needs_no_name_for_it(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVING_MODELS", "iris")

    assert settings.read(("wine",)).models == ("wine",)


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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"CERTIFICATE": "a.pem"}, "SERVING_TLS__CERTIFICATE and SERVING_TLS__KEY: one is set without the other"),
        ({"KEY": "a.key"}, "SERVING_TLS__CERTIFICATE and SERVING_TLS__KEY: one is set without the other"),
        ({"CLIENT_CA": "ca.pem"}, "SERVING_TLS__CLIENT_CA: without SERVING_TLS__CERTIFICATE nobody is asked"),
    ],
)
def test_half_of_tls_is_refused(environment: pytest.MonkeyPatch, given: dict[str, str], said: str) -> None:
    for name, value in given.items():
        environment.setenv(f"SERVING_TLS__{name}", value)

    (line,) = refused()

    assert line.startswith(said)


def test_the_names_are_those_of_the_environment() -> None:
    assert settings.env_names() == {
        "AWS_SECRET_ACCESS_KEY",
        "MLFLOW_TRACKING_URI",
        "SERVING_ALLOW_CODE",
        "SERVING_AUTH__ANYONE",
        "SERVING_AUTH__AUDIENCE",
        "SERVING_AUTH__ISSUER",
        "SERVING_AUTH__JWKS",
        "SERVING_AUTH__KEYS",
        "SERVING_BATCHING__MAX_BYTES",
        "SERVING_BATCHING__MAX_ROWS",
        "SERVING_BATCHING__MAX_WAITING_BYTES",
        "SERVING_BATCHING__MAX_WAITING_ROWS",
        "SERVING_BATCHING__MAX_WAITING_SECONDS",
        "SERVING_CANDIDATE__KEY_HEADER",
        "SERVING_CANDIDATE__MAX_ERROR_RATE",
        "SERVING_CANDIDATE__MAX_P99_RATIO",
        "SERVING_CANDIDATE__MIN_REQUESTS",
        "SERVING_DRAIN_SECONDS",
        "SERVING_FINISH_SECONDS",
        "SERVING_GRPC_PORT",
        "SERVING_HOST",
        "SERVING_JOBS__AT_ONCE",
        "SERVING_JOBS__ATTEMPTS",
        "SERVING_JOBS__BACKOFF_SECONDS",
        "SERVING_JOBS__CALLBACK_ATTEMPTS",
        "SERVING_JOBS__CALLBACK_SECRET",
        "SERVING_JOBS__DATABASE",
        "SERVING_JOBS__EXPIRE_SECONDS",
        "SERVING_JOBS__FILES",
        "SERVING_JOBS__INLINE_BYTES",
        "SERVING_JOBS__KEEP_SECONDS",
        "SERVING_JOBS__MOST_STARTS",
        "SERVING_JOBS__MOST_WAITING",
        "SERVING_JOBS__PLACE",
        "SERVING_JOBS__PRIVATE_CALLBACKS",
        "SERVING_JOBS__PUBLIC_S3",
        "SERVING_JOBS__URL_SECONDS",
        "SERVING_JOBS__WORKERS",
        "SERVING_KEEP_VERSIONS",
        "SERVING_LARGEST_BODY",
        "SERVING_LARGEST_VERSION",
        "SERVING_LIMITS__BODY_SECONDS",
        "SERVING_LIMITS__CONNECTIONS",
        "SERVING_LIMITS__HEAD_SECONDS",
        "SERVING_LIMITS__IDLE_SECONDS",
        "SERVING_LIMITS__LAG_SECONDS",
        "SERVING_LINGER_SECONDS",
        "SERVING_LOAD_SECONDS",
        "SERVING_LIMITS__BURST",
        "SERVING_LIMITS__RATE",
        "SERVING_LIMITS__ROWS",
        "SERVING_LOG_FORMAT",
        "SERVING_LOG_LEVEL",
        "SERVING_LOG_REQUESTS",
        "SERVING_MODELS",
        "SERVING_OFFLINE",
        "SERVING_PACKAGES",
        "SERVING_POLL_SECONDS",
        "SERVING_PORT",
        "SERVING_RUNTIME",
        "SERVING_SKOPS_TYPES",
        "SERVING_STORE",
        "SERVING_TRACING__ENDPOINT",
        "SERVING_TRACING__SAMPLE_RATIO",
        "SERVING_TRACING__SERVICE",
        "SERVING_TLS__CERTIFICATE",
        "SERVING_TLS__CLIENT_CA",
        "SERVING_TLS__KEY",
        "SERVING_TRUST",
        "SERVING_TRUST_KEYS",
        "SERVING_WEBHOOK_SECRET",
        "SERVING_WORKERS",
        "SLIPWAY_ENV",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE", "postgresql://slipway@localhost/jobs"),
        ("DATABASE", "jobs.sqlite"),
        ("PLACE", "/var/jobs"),
        ("FILES", "s3://right/,https://wrong"),
        ("AT_ONCE", "0"),
    ],
)
def test_a_wrong_setting_of_jobs_is_named(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(f"SERVING_JOBS__{name}", value)

    with pytest.raises(settings.SettingsInvalid) as refusal:
        settings.read()

    (line,) = refusal.value.lines
    assert line.startswith(f"SERVING_JOBS__{name}: ")


def test_half_of_what_tokens_need_is_refused_with_the_other_half_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVING_AUTH__ISSUER", "https://issuer.example")

    (line,) = refused()

    assert "SERVING_AUTH__AUDIENCE, SERVING_AUTH__JWKS" in line


@pytest.mark.parametrize(
    "place",
    [
        "http://issuer.example/jwks.json",
        "ftp://issuer.example",
        "/not/there.json",
        "http://127.evil.example/jwks.json",
        "http://localhost:pw@evil.example/jwks.json",
        "http://127.0.0.1@evil.example/",
        "http://localhost.evil.example/",
    ],
)
def test_keys_that_anybody_may_have_changed_are_refused(environment: pytest.MonkeyPatch, place: str) -> None:
    environment.setenv("SERVING_AUTH__JWKS", place)

    assert [line.partition(":")[0] for line in refused()] == ["SERVING_AUTH__JWKS"]


@pytest.mark.parametrize(
    "place",
    ["https://issuer.example/jwks.json", "http://127.0.0.1:9000/j", "http://localhost/j", "http://[::1]:9000/j"],
)
def test_keys_that_nobody_between_can_change_are_taken(environment: pytest.MonkeyPatch, place: str) -> None:
    environment.setenv("SERVING_AUTH__JWKS", place)
    environment.setenv("SERVING_AUTH__ISSUER", "https://issuer.example")
    environment.setenv("SERVING_AUTH__AUDIENCE", "slipway")

    assert settings.read().auth.jwks == place


@pytest.mark.parametrize("name", ["SERVING_AUTH__KEYS", "SERVING_AUTH__JWKS"])
def test_a_file_that_may_not_be_looked_at_is_a_line(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "x" * 300)  # what every user, root too, is refused

    (line,) = refused()

    assert line.startswith(f"{name}: xxx")
    assert "must be able to read it" in line


@pytest.mark.parametrize("value", ["abc", "5", '"text"'])
def test_the_name_of_a_group_is_a_line_that_says_what_to_set(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("SERVING_LIMITS", value)

    (line,) = refused()

    assert line.startswith("SERVING_LIMITS: ")
    assert "SERVING_LIMITS__..." in line


def test_a_file_of_keys_that_is_not_there_is_named_with_the_command_that_makes_it(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("SERVING_AUTH__KEYS", "/not/there.json")

    (line,) = refused()

    assert line == "SERVING_AUTH__KEYS: there is no file /not/there.json; `python -m serving keys create` makes it"
