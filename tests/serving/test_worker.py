"""One worker by itself, as its supervisor starts it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT


@pytest.mark.parametrize(("content", "event"), [("no keys", "no keys to start with"), (None, "the settings are wrong")])
def test_one_that_starts_while_the_file_of_keys_is_bad_says_so_in_one_line(
    tmp_path: Path, content: str | None, event: str
) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    names = {"SERVING_MODELS": "iris", "MLFLOW_TRACKING_URI": "http://x", "SERVING_AUTH__KEYS": str(path)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SERVING_", "SLIPWAY_"))}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        words = ("--listen", str(listener.fileno()), "--hosts", str(tmp_path / "hosts"))
        ended = subprocess.run(
            [sys.executable, "-m", "serving.worker", *words],
            cwd=tmp_path,
            env={**inherited, "PYTHONPATH": str(ROOT), **names},
            pass_fds=(listener.fileno(),),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert json.loads(line)["event"] == event
    assert "keys.json" in json.loads(line)["reason"]
