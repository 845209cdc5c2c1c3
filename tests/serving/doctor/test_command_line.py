"""`python -m serving doctor` beside real servers: a healthy stack, and each failure provoked."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

from serving.doctor.finding import secrets_of
from tests import servers
from tests.servers import ROOT, Stack, free_port, stack_environment
from tests.serving.conftest import Registrar, slope
from tests.serving.twins import post

PASSWORD = "a-password-of-the-tests"  # noqa: S105 - looked for in what is printed


@dataclass
class Told:
    status: int
    findings: list[dict[str, str]]
    seconds: float

    @property
    def codes(self) -> set[str]:
        return {each["code"] for each in self.findings if each["code"]}

    def said(self, code: str) -> str:
        return " ".join(each["said"] for each in self.findings if each["code"] == code)


def doctor(folder: Path, env: Mapping[str, str], *words: str) -> Told:
    """Run in `folder`, which it must leave as it was; it may print no secret."""
    before = files(folder)
    began = time.monotonic()
    ran = run(folder, env, "--json", *words)
    seconds = time.monotonic() - began
    assert not ran.stderr
    assert files(folder) == before
    assert not [each for each in secrets_of(env) if each in ran.stdout]
    assert PASSWORD not in ran.stdout
    found: list[dict[str, str]] = json.loads(ran.stdout)["findings"]
    assert json.loads(ran.stdout)["healthy"] is (ran.returncode == 0)
    assert all(each["remedy"] for each in found if each["mark"] in {"warning", "failed"})
    return Told(ran.returncode, found, seconds)


def run(folder: Path, env: Mapping[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "serving", "doctor", *words],
        cwd=folder,
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def files(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(each): (each.stat().st_size, each.stat().st_mtime_ns) for each in sorted(folder.rglob("*"))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command runs."""
    made = tmp_path / "here"
    made.mkdir()
    return made


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """A deployment that asks no registry, with version 1 in its store."""
    env = stack_environment(tmp_path)
    del env["AWS_ENDPOINT_URL"]
    store = tmp_path / "store"
    store.mkdir()
    post(store, 1)
    return {**env, "SERVING_OFFLINE": "true", "SERVING_MODELS": "iris", "SERVING_STORE": str(store)}


@contextmanager
def registry(*, ahead_seconds: float = 0, version: str = "3.17.2", gateway: bool = False) -> Iterator[str]:
    """A server that answers as MLflow would, with a clock of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said: Any = {"registered_models": [], "features_enabled": {"gateway": gateway}}
            body = version if self.path == "/version" else json.dumps(said)
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate((timestamp or time.time()) + ahead_seconds, usegmt=True)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        running.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            running.join()


def test_a_healthy_stack_has_no_failure_and_is_left_as_it_was(folder: Path, stack: Stack, registrar: Registrar) -> None:
    registrar.stage(registrar.register(slope(1)))
    place = f"s3://dvc/{registrar.name}"
    env = {
        **stack.env,
        "SERVING_PORT": str(free_port()),
        "SERVING_GRPC_PORT": str(free_port()),
        "SERVING_MODELS": registrar.name,
        "SERVING_STORE": "store",
        "SERVING_JOBS__DATABASE": "sqlite:///jobs.sqlite",
        "SERVING_JOBS__PLACE": place,
    }

    told = doctor(folder, env, "--write")

    assert told.status == 0, told.findings
    assert {each["check"] for each in told.findings if each["mark"] == "ok"} >= {
        *("settings", "trust", "ports", "store", "registry", "models", "s3", "clock")
    }
    assert told.codes <= {"jobs-file-missing", "workers-many", "memory-short", "descriptors-few", "temporary-full"}
    assert f"{place}: an object was written, read and deleted" in [each["said"] for each in told.findings]
    keys = env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    s3 = Minio(f"127.0.0.1:{env['S3_PORT']}", *keys, secure=False, region=env["AWS_DEFAULT_REGION"])
    assert not list(s3.list_objects("dvc", registrar.name, recursive=True))


def test_a_stack_that_is_down_is_told_of_at_once_and_all_together(folder: Path, stack: Stack) -> None:
    (folder / "file").write_text("no folder")
    (folder / "jobs.sqlite").write_bytes(b"no database, whatever its name says" * 100)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = {
            **{name: value for name, value in stack.env.items() if "CHECKSUM" not in name},
            "MLFLOW_TRACKING_URI": f"http://me:{PASSWORD}@127.0.0.1:{free_port()}",
            "AWS_SECRET_ACCESS_KEY": "not-that-users-secret",
            "POSTGRES_PASSWORD": "change-me-postgres",
            "SERVING_PORT": str(taken.getsockname()[1]),
            "SERVING_MODELS": "iris",
            "SERVING_STORE": "file/store",
            "SERVING_JOBS__DATABASE": "sqlite:///jobs.sqlite",
            "SERVING_JOBS__PLACE": "s3://dvc/jobs",
            "SERVING_TRACING__ENDPOINT": f"http://127.0.0.1:{free_port()}",
            "TMPDIR": str(folder / "file"),
        }

        told = doctor(folder, env)

    assert told.status == 1
    assert told.codes >= {
        "registry-unreachable",
        "s3-secret-wrong",
        "s3-checksums",
        "secret-placeholder",
        "port-taken",
        "store-not-a-folder",
        "jobs-file-broken",
        "collector-unreachable",
        "temporary-unusable",
    }, told.findings
    assert "SERVING_PORT" in told.said("port-taken")
    assert told.said("secret-placeholder").startswith("POSTGRES_PASSWORD")


@pytest.mark.slow
def test_servers_that_take_connections_and_never_answer_make_nobody_wait(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        env = {
            **stack_environment(folder),
            "MLFLOW_TRACKING_URI": f"http://{address}",
            "AWS_ENDPOINT_URL": f"http://{address}",
            "SERVING_MODELS": "iris",
            "SERVING_JOBS__PLACE": "s3://jobs/here",
            "SERVING_JOBS__DATABASE": f"postgresql+psycopg://me:{PASSWORD}@{address}/jobs",
        }

        told = doctor(folder, env, "--seconds", "4")

    assert told.status == 1
    assert told.codes & {"registry-unreachable", "s3-unreachable", "not-known"}
    assert "no answer" in told.said("registry-unreachable")
    assert told.seconds < 4 + 12, "the interpreter's own start is none of it"


def test_a_bucket_that_is_not_there_is_named(folder: Path, alone: dict[str, str], stack: Stack) -> None:
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    env = {**alone, **{name: stack.env[name] for name in names}, "SERVING_JOBS__FILES": "s3://dvc/x,s3://no-such/files"}

    told = doctor(folder, env)

    assert (told.status, told.codes & {"s3-bucket-missing", "s3-secret-wrong"}) == (1, {"s3-bucket-missing"})
    assert told.said("s3-bucket-missing").startswith("s3://no-such/files")


def test_a_user_that_s3_does_not_know_is_told_from_a_wrong_secret(
    folder: Path, alone: dict[str, str], stack: Stack
) -> None:
    env = {
        **alone,
        "AWS_ENDPOINT_URL": stack.s3_url,
        "AWS_ACCESS_KEY_ID": "nobody",
        "SERVING_JOBS__PLACE": "s3://dvc/jobs",
    }

    assert "s3-key-unknown" in doctor(folder, env).codes


def test_a_wrong_clock_an_old_server_and_what_it_runs_for_nothing_are_seen(folder: Path) -> None:
    env = {**stack_environment(folder), "SERVING_MODELS": "iris"}
    with registry(ahead_seconds=-1200, version="2.9.0", gateway=True) as url:
        told = doctor(folder, {**env, "MLFLOW_TRACKING_URI": url})

    assert told.codes >= {"clock-wrong", "registry-version", "registry-extras"}
    assert told.said("clock-wrong") == "the registry's clock is 20 minutes behind this machine's"


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ({"SERVING_TRUST_KEYS": "no-key"}, "SERVING_TRUST_KEYS: not public keys"),
        (
            {"SLIPWAY_ENV": "production", "AWS_SECRET_ACCESS_KEY": "change-me-s3"},
            "AWS_SECRET_ACCESS_KEY: still the pla",
        ),
        ({"SERVING_JOBS__DATABASE": f"postgresql://me:{PASSWORD}@db/jobs"}, "SERVING_JOBS__DATABASE: must begin with"),
        ({"SERVING_PORT": "eighty"}, "SERVING_PORT: "),
    ],
)
def test_settings_that_are_not_right_end_it_with_2(
    folder: Path, alone: dict[str, str], names: dict[str, str], line: str
) -> None:
    told = doctor(folder, {**alone, **names})

    assert (told.status, told.codes) == (2, {"settings-invalid"})
    assert told.said("settings-invalid").startswith(line)


def test_what_serves_from_a_store_needs_nothing_else(folder: Path, alone: dict[str, str]) -> None:
    told = doctor(folder, alone)

    assert told.status == 0, told.findings
    skipped = {each["check"] for each in told.findings if each["mark"] == "skipped"}
    assert skipped == {"registry", "models", "s3", "jobs", "clock", "traces"}
    lacking = doctor(folder, {**alone, "SERVING_MODELS": "iris,wine"})
    assert (lacking.status, lacking.codes & {"store-lacks"}) == (1, {"store-lacks"})


def test_a_placeholder_that_no_setting_knows_is_a_failure_outside_local(folder: Path, alone: dict[str, str]) -> None:
    told = doctor(folder, {**alone, "SLIPWAY_ENV": "production", "POSTGRES_PASSWORD": "change-me-postgres"})

    assert told.status == 1
    assert told.codes >= {"secret-placeholder-outside", "trust-loose"}


def test_people_read_a_line_and_a_remedy_each(folder: Path, alone: dict[str, str]) -> None:
    ran = run(folder, {**alone, "SERVING_MODELS": "iris,wine", "COLUMNS": "60"})

    lines = ran.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("failed   store"))
    assert "has no version of 'wine'" in lines[at]
    assert lines[at + 1].strip().startswith("=> `python -m serving.bake FOLDER`")
    assert lines[-1].endswith("1 failed")
    assert "\x1b" not in ran.stdout, "colours are for terminals"


def test_dot_env_is_read(folder: Path, alone: dict[str, str]) -> None:
    (folder / ".env").write_text("SERVING_PORT=eighty\n")
    env = {name: value for name, value in alone.items() if name != "SERVING_PORT"}

    assert doctor(folder, env).said("settings-invalid").startswith("SERVING_PORT: ")


@pytest.mark.slow
@pytest.mark.parametrize("size", ["full", "read-only"])
def test_a_store_on_a_disk_that_takes_nothing_is_told(
    folder: Path, alone: dict[str, str], small_disk: Path, size: str
) -> None:
    if size == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    env = {
        **alone,
        "SERVING_OFFLINE": "false",
        "MLFLOW_TRACKING_URI": "sqlite:///none",
        "SERVING_STORE": str(small_disk),
    }

    told = doctor(folder, {**env, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"})

    assert {"full": "store-full", "read-only": "store-read-only"}[size] in told.codes


@pytest.mark.slow
def test_an_mlflow_that_does_not_go_by_that_name_is_told_from_one_that_is_down(folder: Path, tmp_path: Path) -> None:
    """Its /health is fine."""
    env = {**stack_environment(tmp_path), "MLFLOW_SERVER_ALLOWED_HOSTS": "elsewhere"}
    with servers.mlflow(env, tmp_path):
        told = doctor(folder, {**env, "SERVING_MODELS": "iris"})

    assert (told.status, told.codes & {"registry-hosts", "registry-unreachable"}) == (1, {"registry-hosts"})
