"""What docker-compose.yml's containers run, outside of them."""

# mypy: allow-untyped-calls
# Half of MLflow's functions have no annotations.

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from minio import Minio
from mlflow.store.artifact.artifact_repo import MultipartDownloadMixin, MultipartUploadMixin, PresignedUploadMixin
from sqlalchemy import make_url

from infra.compose import buckets, tracking
from infra.compose.artifacts import SCHEME, ProxiedS3
from infra.local.buckets import BUCKETS
from tests.servers import ROOT, Stack, server, stack_environment
from tests.workspace import quiet_environment


def run(job: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`python -m infra.compose.JOB`, as the container does."""
    return subprocess.run(
        [sys.executable, "-m", f"infra.compose.{job}"],
        cwd=ROOT,
        env={**quiet_environment(), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_placeholders_are_refused_in_one_line_that_names_them() -> None:
    names = {"SLIPWAY_ENV": "production", "AWS_SECRET_ACCESS_KEY": "realreal", "POSTGRES_PASSWORD": "change-me-pg"}

    refused = run("placeholders", names)

    assert refused.returncode == 1
    assert refused.stderr.startswith("slipway: SLIPWAY_ENV is production")
    assert "POSTGRES_PASSWORD still begins with change-me" in refused.stderr
    assert "AWS_SECRET_ACCESS_KEY" not in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_grafanas_password_is_one_of_them() -> None:
    refused = run("placeholders", {"SLIPWAY_ENV": "production", "GRAFANA_ADMIN_PASSWORD": "change-me-grafana"})

    assert refused.returncode == 1
    assert "GRAFANA_ADMIN_PASSWORD still begins with change-me" in refused.stderr


@pytest.mark.parametrize(("place", "secret"), [("local", "change-me-s3"), ("production", "a-secret-of-ones-own")])
def test_placeholders_pass_at_home_and_secrets_everywhere(place: str, secret: str) -> None:
    passed = run("placeholders", {"SLIPWAY_ENV": place, "AWS_SECRET_ACCESS_KEY": secret, "POSTGRES_PASSWORD": secret})

    assert (passed.returncode, passed.stderr) == (0, "")


def test_a_password_that_a_server_will_not_take_is_refused_in_one_line() -> None:
    names = {"SLIPWAY_ENV": "local", "MLFLOW_TRACKING_PASSWORD": "x" * 11, "S3_ROOT_PASSWORD": "x" * 8}

    refused = run("placeholders", names)

    assert refused.returncode == 1
    assert refused.stderr == "slipway: too few characters in .env: MLFLOW_TRACKING_PASSWORD (at least 12)\n"


def test_trust_in_no_ones_signature_is_refused_in_one_line_that_says_what_to_do() -> None:
    secrets = {"SLIPWAY_ENV": "local", "AWS_SECRET_ACCESS_KEY": "change-me-s3", "POSTGRES_PASSWORD": "change-me"}

    refused = run("placeholders", {**secrets, "SERVING_TRUST": "signed", "SERVING_TRUST_KEYS": ""})

    assert refused.returncode == 1
    assert refused.stderr.startswith("slipway: SERVING_TRUST is signed in containers")
    assert "`make compose-up` makes a key" in refused.stderr
    assert refused.stderr.count("\n") == 1
    for chosen in ({"SERVING_TRUST": "signed", "SERVING_TRUST_KEYS": "a key"}, {"SERVING_TRUST": "digest"}):
        assert run("placeholders", {**secrets, **chosen}).returncode == 0


def test_one_user_of_postgresql_for_everybody_is_refused_in_one_line() -> None:
    """Without asking the server: else a superuser would be made of the role, or none of the superuser."""
    names = {f"POSTGRES_{name}": "slipway" for name in ("HOST", "USER", "PASSWORD", "SERVING_USER", "SERVING_PASSWORD")}

    refused = run("jobs_database", names)

    assert refused.returncode == 1
    assert refused.stderr.endswith(
        "POSTGRES_SERVING_USER has to be another than POSTGRES_USER, who may do anything there\n"
    )
    assert refused.stderr.count("\n") == 1


def test_a_postgresql_that_is_not_there_is_an_end_with_one_line() -> None:
    names = {"HOST": "127.0.0.1", "USER": "one", "PASSWORD": "x", "SERVING_USER": "other", "SERVING_PASSWORD": "x"}

    refused = run("jobs_database", {**{f"POSTGRES_{name}": value for name, value in names.items()}, "PGPORT": "9"})

    assert refused.returncode == 1
    assert refused.stderr.startswith("slipway: PostgreSQL has no place for serving's jobs: ")
    assert refused.stderr.count("\n") == 1


def pairs(env: Mapping[str, str]) -> list[str]:
    """The key pairs of the stack's users, by which rclone is told of them."""
    return [word for names in buckets.USERS.values() for word in ("--auth-key", ",".join(env[name] for name in names))]


def users_of(env: Mapping[str, str]) -> dict[str, str]:
    root = {"S3_ROOT_USER": env["AWS_ACCESS_KEY_ID"], "S3_ROOT_PASSWORD": env["AWS_SECRET_ACCESS_KEY"]}
    more = {
        f"S3_{name}_{what}": f"{name.lower()}-{what}" for name in ("MLFLOW", "SERVING") for what in ("USER", "PASSWORD")
    }
    return {**env, **root, **more}


def test_buckets_are_made_once_and_kept_on_a_server_that_has_its_users_from_elsewhere(tmp_path: Path) -> None:
    env = users_of(stack_environment(tmp_path))
    s3 = [*("rclone", "serve", "s3", "--addr", f"127.0.0.1:{env['S3_PORT']}"), *pairs(env), str(tmp_path)]
    with server("s3", s3, port=int(env["S3_PORT"]), env=env, folder=tmp_path, ready="/"):
        buckets.ensure(env)
        buckets.ensure(env)

        client = Minio(
            f"127.0.0.1:{env['S3_PORT']}",
            access_key=env["AWS_ACCESS_KEY_ID"],
            secret_key=env["AWS_SECRET_ACCESS_KEY"],
            region=env["AWS_DEFAULT_REGION"],
            secure=False,
        )
        assert set(BUCKETS) <= {bucket.name for bucket in client.list_buckets()}

        refused = run("buckets", {**env, "S3_ROOT_PASSWORD": "another"})
        assert refused.returncode == 1
        assert refused.stderr.startswith("slipway: s3 does not let us make buckets:")


def test_a_server_that_takes_no_users_and_has_none_is_an_end_that_says_what_to_do(tmp_path: Path) -> None:
    env = users_of(stack_environment(tmp_path))
    with server(
        "s3", [sys.executable, "-m", "infra.local.s3"], port=int(env["S3_PORT"]), env=env, folder=tmp_path, ready="/"
    ):
        refused = run("buckets", env)

    assert refused.returncode == 1
    assert "it takes no users from here" in refused.stderr
    assert "Refused: mlflow, serving" in refused.stderr


def test_files_come_back_as_they_were_through_a_store_that_sends_nobody_to_s3(
    stack: Stack, tmp_path: Path, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, stack.env[name])
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"42")
    store = ProxiedS3(f"{SCHEME}://mlflow/{unique_name}")

    store.log_artifacts(str(tmp_path / "model"), "model")

    assert [found.path for found in store.list_artifacts("model")] == ["model/weights"]
    assert Path(store.download_artifacts("model/weights", str(tmp_path))).read_bytes() == b"42"
    assert not isinstance(store, MultipartDownloadMixin | MultipartUploadMixin | PresignedUploadMixin)
    store.delete_artifacts("model")
    assert store.list_artifacts("model") == []


def test_the_image_registers_the_store_that_the_server_is_told_to_use() -> None:
    dockerfile = (ROOT / "infra" / "docker" / "mlflow.Dockerfile").read_text()

    assert f"{SCHEME} = {ProxiedS3.__module__}:{ProxiedS3.__name__}" in dockerfile
    assert f"{SCHEME}://mlflow" in tracking.command()


def test_any_password_reaches_postgresql_whole() -> None:
    password = "p@ss:/w#rd%41?"  # noqa: S105 - nobody's

    address = make_url(
        tracking.database(
            {
                "POSTGRES_USER": "slip way",
                "POSTGRES_PASSWORD": password,
                "POSTGRES_HOST": "postgres",
                "POSTGRES_DB": "mlflow",
            }
        )
    )

    assert (address.drivername, address.username, address.password) == ("postgresql+psycopg", "slip way", password)
    assert (address.host, address.database) == ("postgres", "mlflow")


def test_the_tracking_servers_command_line_holds_no_address_of_the_database() -> None:
    assert "postgresql" not in " ".join(tracking.command())
