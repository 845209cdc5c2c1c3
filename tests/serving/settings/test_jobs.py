import pytest

from tests.serving.settings.refusal import refused


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

    (line,) = refused()

    assert line.startswith(f"SERVING_JOBS__{name}: ")
