"""`python -m serving` itself: how it starts, refuses to start, and ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.servers import ROOT, Server, free_port

Process = Callable[..., AbstractContextManager[tuple[Server, httpx.Client]]]


def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """In `folder`, whose .env counts."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("SERVING_", "MLFLOW_", "SLIPWAY_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "serving", *words],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_its_help_tells_of_serving_and_of_scoring(tmp_path: Path) -> None:
    told = run(tmp_path, "--help").stdout

    assert "SERVING_MODELS" in told
    assert "score a CSV or Parquet file" in told
    assert "--chunk-rows" in run(tmp_path, "score", "--help").stdout


def test_a_wrong_environment_is_told_line_by_line(tmp_path: Path) -> None:
    ended = run(tmp_path, SERVING_PORT="eighty")

    assert ended.returncode == 2
    assert [line.split(": ")[1] for line in ended.stderr.splitlines()] == [
        "SERVING_MODELS",
        "MLFLOW_TRACKING_URI",
        "SERVING_PORT",
    ]


def test_dot_env_is_read_and_the_environment_wins_in_it_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / ".env").write_text(
        "SLIPWAY_STATE=elsewhere\nSERVING_MODELS=iris\nMLFLOW_TRACKING_URI=http://x\nSERVING_STORE=${SLIPWAY_STATE}/store\n"
    )

    ended = run(tmp_path, SLIPWAY_STATE="file")

    assert (ended.returncode, ended.stderr) == (2, "serving: SERVING_STORE: file/store: Not a directory\n")


def test_a_placeholder_secret_is_refused_outside_local(tmp_path: Path) -> None:
    placeholder = {"AWS_SECRET_ACCESS_KEY": "change-me-s3"}

    ended = run(tmp_path, SERVING_MODELS="iris", MLFLOW_TRACKING_URI="http://x", **placeholder)

    assert ended.returncode == 2
    assert ended.stderr.startswith("serving: AWS_SECRET_ACCESS_KEY: still the placeholder")


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run(tmp_path, SERVING_MODELS="iris", MLFLOW_TRACKING_URI="http://x", SERVING_PORT=port)

    assert ended.returncode == 1
    assert (
        ended.stderr == f"serving: cannot listen on 127.0.0.1:{port}: Address already in use; SERVING_PORT moves it\n"
    )


@pytest.mark.parametrize("registry", ["up", "silent"])
def test_sigterm_ends_it_promptly_with_status_0(process: Process, stack: object, registry: str) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as silent:  # accepts, and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with process(**({"MLFLOW_TRACKING_URI": address} if registry == "silent" else {})) as (running, http):
            assert http.get("/v2/health/live").json() == {"live": True}

            running.process.send_signal(signal.SIGTERM)

            assert running.process.wait(5) == 0
