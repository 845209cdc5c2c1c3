"""`python -m serving score` as people run it: killed, on S3, with a registry and without."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs
from pyarrow import parquet as pq

from serving.scoring.places import place
from tests.servers import ROOT, Stack, eventually
from tests.serving.conftest import Registrar, slope
from tests.serving.scoring.commands import command, score, stopped
from tests.serving.scoring.files import a_table, comma_separated, left_beside, parquet

ROWS = 20_000
CUT = ("--keys", "id", "--chunk-rows", "20")
"""So many parts that a run can be killed between two of them."""


def test_a_run_that_is_killed_again_and_again_ends_like_one_that_is_not(
    offline: dict[str, str], tmp_path: Path
) -> None:
    file = parquet(tmp_path / "rows.parquet", a_table(ROWS))
    out, unbroken = tmp_path / "out.parquet", tmp_path / "unbroken.parquet"

    for parts in (3, 100, 350):
        status = stopped(offline, file, out, "--model", "iris", *CUT, cwd=tmp_path, parts=parts, by=signal.SIGKILL)
        assert status == -signal.SIGKILL
        assert not out.exists()
    resumed = score(offline, file, out, "--model", "iris", *CUT, cwd=tmp_path)
    score(offline, file, unbroken, "--model", "iris", *CUT, cwd=tmp_path)

    assert resumed.returncode == 0, resumed.stderr
    assert "going on after row" in resumed.stderr
    assert "by an earlier run" in resumed.stdout
    assert out.read_bytes() == unbroken.read_bytes()
    assert pq.read_table(out).column("y").to_pylist() == [row * 1.5 for row in range(ROWS)]
    assert left_beside(out) == []


def test_a_run_that_is_asked_to_end_says_how_to_go_on(offline: dict[str, str], tmp_path: Path) -> None:
    file, out = comma_separated(tmp_path / "rows.csv", a_table(ROWS)), tmp_path / "out.csv"

    status = stopped(offline, file, out, "--model", "iris", *CUT, cwd=tmp_path, parts=5, by=signal.SIGTERM)

    assert status == 130
    assert score(offline, file, out, "--model", "iris", *CUT, cwd=tmp_path).returncode == 0
    assert len(out.read_text().splitlines()) == ROWS + 1


def test_the_summary_says_what_was_done_and_by_what(offline: dict[str, str], tmp_path: Path) -> None:
    parquet(tmp_path / "rows.parquet", a_table(100))

    done = score(offline, "rows.parquet", "out.csv", "--model", "iris", cwd=tmp_path)

    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert {name: said[name] for name in ("rows", "version", "runtime", "y", "written")} == {
        "rows": "100",
        "version": "iris 7",
        "runtime": "onnx",
        "y": "mean 74.25, min 0, max 148.5",
        "written": "out.csv",
    }
    assert done.stderr == "score: iris, version 7; trust: none; runtime: onnx\n"


def test_a_refusal_is_one_sentence_and_leaves_nothing(offline: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x,size\n1,2\nsecret,3\n")

    refused = score(offline, "rows.csv", "out.csv", "--model", "iris", cwd=tmp_path)

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == "score: rows.csv: row 2, column 'x': expected a double, got another text"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["rows.csv", "store"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("rows.csv", "out.csv"), "required: --model"),
        (("rows.csv", "out.csv", "--model", "iris", "--chunk-rows", "0"), "invalid"),
        (("rows.csv", "out.csv", "--model", "iris/wine"), "SERVING_MODELS: not a registered model's name"),
    ],
)
def test_words_that_cannot_be_meant_are_refused(
    words: tuple[str, ...], reason: str, offline: dict[str, str], tmp_path: Path
) -> None:
    refused = score(offline, *words, cwd=tmp_path)

    assert refused.returncode == 2
    assert reason in refused.stderr


def test_files_on_s3_are_scored_and_a_killed_run_goes_on_there(
    stack: Stack, bucket: Any, offline: dict[str, str], tmp_path: Path
) -> None:
    env = {**stack.env, **{name: offline[name] for name in ("PYTHONPATH", "SERVING_OFFLINE", "SERVING_STORE")}}
    with bucket.open_output_stream("dvc/scoring/rows.parquet") as stream:
        pq.write_table(a_table(2_000), stream)
    words = ("s3://dvc/scoring/rows.parquet", "s3://dvc/scoring/out.parquet", "--model", "iris", *CUT)
    with subprocess.Popen(command(*words), cwd=tmp_path, env=env, stderr=subprocess.DEVNULL) as running:
        eventually(lambda: len(objects(bucket, "dvc/scoring/out.parquet.parts")) > 5, seconds=60)
        running.kill()
    assert objects(bucket, "dvc/scoring/out.parquet") == []

    resumed = score(env, *words, cwd=tmp_path)

    assert resumed.returncode == 0, resumed.stderr
    assert "going on after row" in resumed.stderr
    with bucket.open_input_file("dvc/scoring/out.parquet") as file:
        found = pq.read_table(file)
    assert found.column("y").to_pylist() == [row * 1.5 for row in range(2_000)]
    assert objects(bucket, "dvc/scoring") == ["dvc/scoring/out.parquet", "dvc/scoring/rows.parquet"]


def test_the_production_version_is_fetched_checked_and_run_in_a_host(
    stack: Stack, registrar: Registrar, tmp_path: Path
) -> None:
    registrar.stage(registrar.register(slope(3)))
    registrar.register(slope(5))
    parquet(tmp_path / "rows.parquet", a_table(100))
    env = {**stack.env, "PYTHONPATH": str(ROOT), "SERVING_STORE": "nowhere"}

    production = score(env, "rows.parquet", "out.parquet", "--model", registrar.name, cwd=tmp_path)
    other = score(env, "rows.parquet", "other.parquet", "--model", registrar.name, "--version", "2", cwd=tmp_path)

    assert production.returncode == 0, production.stderr
    assert f"version   {registrar.name} 1\nruntime   native\n" in production.stdout
    assert other.returncode == 0, other.stderr
    for file, factor in (("out.parquet", 3), ("other.parquet", 5)):
        (answers,) = pq.read_table(tmp_path / file).columns
        assert answers.to_pylist() == pytest.approx([factor * row / 2 for row in range(100)])


@pytest.fixture
def bucket(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The file system that leads there by the names that serving reads."""
    for name, value in stack.env.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return place("s3://dvc/any.csv").files


def objects(bucket: Any, below: str) -> list[str]:
    selector = fs.FileSelector(below, allow_not_found=True, recursive=True)
    return sorted(each.path for each in bucket.get_file_info(selector) if each.type == fs.FileType.File)
