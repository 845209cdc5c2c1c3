import pytest

from serving import settings
from tests.serving.settings.refusal import refused


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


def test_a_file_of_keys_that_is_not_there_is_named_with_the_command_that_makes_it(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("SERVING_AUTH__KEYS", "/not/there.json")

    (line,) = refused()

    assert line == "SERVING_AUTH__KEYS: there is no file /not/there.json; `python -m serving keys create` makes it"
