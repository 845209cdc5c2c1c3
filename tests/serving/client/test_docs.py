"""What docs/client.md shows, run as it is written."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from serving.client import ClientError, Retry
from serving.client.connection import SECONDS
from serving.client.job_conversation import GROWTH, LONGEST_SECONDS, PATIENCE_SECONDS
from serving.client.pieces import BYTES, ROWS
from tests.servers import ROOT
from tests.serving.client.conftest import Running
from tests.serving.working.house import house

TEXT = (ROOT / "docs/client.md").read_text()
PYTHON, BASH, SH = (re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL) for language in ("python", "bash", "sh"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frame = pd.DataFrame({"a": [1.0, 4.0], "b": [2.0, 5.0], "c": [3.0, 6.0]})
    (tmp_path / "reports").mkdir()
    frame.to_csv(tmp_path / "reports/rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_does_what_it_says(running: Running, folder: Path) -> None:
    example, _ = PYTHON
    shown = "\nprint(type(labels).__name__, shares.shape, answer.version, label)"

    assert run(folder, sys.executable, "-c", example.replace("http://127.0.0.1:8000", running.url("http")) + shown) == (
        "Series (2, 2) 7 15\n"
    )


def test_every_command_runs(running: Running, folder: Path) -> None:
    (block,) = BASH
    for line in block.splitlines():
        words = line.partition("#")[0].split()[1:]
        where = [] if "--url" in words else ["--url", running.url("http")]
        known = {"grpc://127.0.0.1:8001": running.url("grpc"), "slipway": "iris"}
        run(folder, sys.executable, *(known.get(word, word) for word in words), *where)

    assert len((folder / "shares.jsonl").read_text().splitlines()) == 2


@pytest.mark.slow
def test_the_examples_of_jobs_do_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/rows.csv").write_text("x,size\n1.5,0\n-2,1\n")
    with house(tmp_path) as built, built.serving() as http, built.workers():
        _, example = PYTHON
        shown = "\nprint(type(labels).__name__, labels.tolist(), failed)"
        there = example.replace("http://127.0.0.1:8000", str(http.base_url))
        assert run(tmp_path, sys.executable, "-c", there + shown).endswith("Series [1.5, -2.0] []\n")

        (lines,) = SH
        python = f'set -e; python() {{ {sys.executable} "$@" --url {http.base_url}; }}\n'
        assert run(tmp_path, "bash", "-c", python + lines) == "id,state,version,rows_done,rows_total,reason\n"
        assert (tmp_path / "labels.csv").read_text() == "prediction\n1.5\n-2.0\n"


def test_every_error_and_number_is_the_code_s() -> None:
    retry = Retry()

    def named(kind: type[ClientError]) -> set[str]:
        return {kind.__name__}.union(*(named(each) for each in kind.__subclasses__()))

    assert all(f"`{name}`" in TEXT for name in named(ClientError))
    assert f"`timeout` ({SECONDS:g} s;" in TEXT
    assert f"up to {ROWS} or {BYTES >> 10} KiB a request" in TEXT
    assert (GROWTH, LONGEST_SECONDS, PATIENCE_SECONDS) == (1.25, 30, 60)
    assert (retry.attempts, retry.first_seconds, retry.longest_seconds) == (5, 0.1, 5)
