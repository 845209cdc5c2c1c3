import pytest

from serving import settings
from tests.serving.settings.refusal import refused


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


@pytest.mark.parametrize("value", ["abc", "5", '"text"'])
def test_the_name_of_a_group_is_a_line_that_says_what_to_set(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("SERVING_LIMITS", value)

    (line,) = refused()

    assert line.startswith("SERVING_LIMITS: ")
    assert "SERVING_LIMITS__..." in line


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SERVING_WORKRES", "SERVING_WORKERS"),
        ("SERVING_TLS_CERTIFICATE", "SERVING_TLS__CERTIFICATE"),
        ("SERVING_AUTH_KEYS", "SERVING_AUTH__KEYS"),
        ("SERVING_LIMITS__BRUST", "SERVING_LIMITS__BURST"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_one_that_was_meant(
    environment: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    """Without TLS, or without keys, because of an underscore: nobody would notice."""
    environment.setenv(name, "3")

    assert refused() == [f"{name}: there is no such setting; did you mean {meant}?"]


@pytest.mark.parametrize(
    "name",
    [
        *("SERVING_SERVICE_HOST", "SERVING_SERVICE_PORT", "SERVING_SERVICE_PORT_REST", "SERVING_PORT_8000_TCP"),
        *("SERVING_PORT_8000_TCP_PORT", "SERVING_GRPC_SERVICE_PORT", "SERVING_GRPC_PORT_8001_TCP", "SERVING_URL"),
    ],
)
def test_names_of_others_are_let_alone(environment: pytest.MonkeyPatch, name: str) -> None:
    """Those that Kubernetes makes for services, and the pipelines' own."""
    environment.setenv(name, "tcp://10.0.0.1:8000")

    assert settings.read()


def test_what_is_no_number_is_said_in_words(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVING_WORKERS", "many")
    environment.setenv("SERVING_POLL_SECONDS", "soon")
    environment.setenv("SERVING_OFFLINE", "perhaps")

    assert sorted(refused()) == [
        "SERVING_OFFLINE: neither true nor false",
        "SERVING_POLL_SECONDS: not a number",
        "SERVING_WORKERS: not a whole number",
    ]
