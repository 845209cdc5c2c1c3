"""The engine `ray` on a cluster of two nodes, and on a Ray of its own: what the local engine writes, and as safely."""

import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from pyarrow import parquet as pq

from serving.scoring.places import place
from tests.servers import Stack, eventually
from tests.serving.scoring.clusters import KEY, two_nodes
from tests.serving.scoring.commands import score, stopped
from tests.serving.scoring.files import a_table, comma_separated, left_beside, parquet
from tests.serving.scoring.meetings import post_a_meeting

pytestmark = pytest.mark.slow

ROWS = 2_000
WORDS = ("--model", "iris", "--keys", "id,size", "--chunk-rows", "50")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with two_nodes(tmp_path_factory.mktemp("ray")) as head:
        yield head


@pytest.fixture
def env(offline: Mapping[str, str]) -> Mapping[str, str]:
    return {**offline, **KEY}


def on(address: str) -> tuple[str, ...]:
    return ("--engine", "ray", "--ray-address", address)


def test_the_output_is_the_local_engines(address: str, env: Mapping[str, str], tmp_path: Path) -> None:
    parquet(tmp_path / "rows.parquet", a_table(ROWS), group_rows=330)  # chunks begin in one group and end in the next

    done = score(env, "rows.parquet", "ray.parquet", *WORDS, *on(address), cwd=tmp_path)
    score(env, "rows.parquet", "local.parquet", *WORDS, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ray.parquet").read_bytes() == (tmp_path / "local.parquet").read_bytes()
    assert said(done.stdout) == {"rows": "2,000", "runtime": "onnx", "y": "mean 1499.25, min 0, max 2998.5"}
    assert done.stderr.splitlines()[0] == "score: iris, version 7; trust: none; runtime: onnx"
    assert re.search(r"score: Ray answered \d+ chunks on node [0-9a-f]{8}", done.stderr)
    assert left_beside(tmp_path / "ray.parquet") == []


def test_a_version_without_a_twin_runs_in_hosts_of_both_nodes(
    address: str, env: Mapping[str, str], tmp_path: Path
) -> None:
    post_a_meeting(tmp_path / "store", tmp_path / "met")
    parquet(tmp_path / "rows.parquet", a_table(ROWS))
    allowed = {**env, "SERVING_ALLOW_CODE": "true", "SERVING_PACKAGES": "off"}
    words = ("--model", "meeting", "--chunk-rows", "100")

    done = score(allowed, "rows.parquet", "out.parquet", *words, *on(address), cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "runtime   pyfunc\n" in done.stdout
    assert done.stderr.count(" chunks on node ") == 2
    assert pq.read_table(tmp_path / "out.parquet").column(0).to_pylist() == [row * 1.5 for row in range(ROWS)]


def test_nodes_that_know_nothing_of_s3_read_a_file_there(
    address: str, stack: Stack, env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = {name: value for name, value in stack.env.items() if name.startswith("AWS_")}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    files = place("s3://dvc/any.csv").files
    with files.open_output_stream("dvc/ray/rows.parquet") as stream:
        pq.write_table(a_table(ROWS), stream, row_group_size=500)
    given, out = "s3://dvc/ray/rows.parquet", "s3://dvc/ray/out.parquet"

    done = score({**env, **keys, "SLIPWAY_ENV": "local"}, given, out, *WORDS, *on(address), cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    with files.open_input_file("dvc/ray/out.parquet") as file:
        assert pq.read_table(file).column("y").to_pylist() == [row * 1.5 for row in range(ROWS)]


def test_a_run_that_is_killed_is_gone_on_with_by_either_engine(
    address: str, env: Mapping[str, str], tmp_path: Path
) -> None:
    rows = 10_000
    file, out, unbroken = tmp_path / "rows.csv", tmp_path / "out.csv", tmp_path / "unbroken.csv"
    comma_separated(file, a_table(rows))

    status = stopped(env, file, out, *WORDS, *on(address), cwd=tmp_path, parts=5, by=signal.SIGKILL)
    assert (status, out.exists()) == (-signal.SIGKILL, False)
    status = stopped(env, file, out, *WORDS, cwd=tmp_path, parts=len(left_beside(out)) + 5, by=signal.SIGTERM)
    assert status == 130
    resumed = score(env, file, out, *WORDS, *on(address), cwd=tmp_path)

    score(env, file, unbroken, *WORDS, cwd=tmp_path)

    assert resumed.returncode == 0, resumed.stderr
    assert "going on after row" in resumed.stderr
    assert out.read_bytes() == unbroken.read_bytes()
    assert left_beside(out) == []


def test_of_two_bad_rows_the_first_is_named_and_nothing_is_left(
    address: str, env: Mapping[str, str], tmp_path: Path
) -> None:
    rows = [f"{row},{row},1" for row in range(ROWS)]
    rows[777], rows[1900] = "777,secret,1", "1900,other,1"
    (tmp_path / "rows.csv").write_text("\n".join(["id,x,size", *rows]))

    there = score(env, "rows.csv", "out.csv", *WORDS, *on(address), cwd=tmp_path)

    assert there.returncode == 1
    told = there.stderr.splitlines()[-1]
    assert told == "score: rows.csv: row 778, column 'x': expected a double, got another text"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["rows.csv", "store"]


def test_without_an_address_ray_is_started_here_and_ended_again(offline: Mapping[str, str], tmp_path: Path) -> None:
    parquet(tmp_path / "rows.parquet", a_table(ROWS))
    # Short, as it is where nobody has set it: a socket's path may not be long.
    env = {**offline, "TMPDIR": "/tmp"}  # noqa: S108

    done = score(env, "rows.parquet", "out.parquet", *WORDS, "--engine", "ray", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "out.parquet").column("y").to_pylist() == [row * 1.5 for row in range(ROWS)]
    eventually(lambda: not any(is_rays(each, tmp_path) for each in psutil.process_iter()))


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:9", "Connection refused"),
        ("ray://127.0.0.1:10001", "its client (ray://) is not spoken here"),
        ("nowhere", ""),
    ],
)
def test_a_cluster_that_is_not_there_is_a_sentence(
    address: str, reason: str, env: Mapping[str, str], tmp_path: Path
) -> None:
    parquet(tmp_path / "rows.parquet", a_table(5))

    refused = score(env, "rows.parquet", "out.csv", *WORDS, *on(address), cwd=tmp_path)

    assert refused.returncode == 1
    told = refused.stderr.splitlines()[-1]
    assert told.startswith(f"score: Ray at {address} cannot be used: ")
    assert reason in told


def said(stdout: str) -> dict[str, str]:
    """What the summary says that does not depend on the machine."""
    lines = dict(line.split(maxsplit=1) for line in stdout.splitlines())
    return {name: lines[name] for name in ("rows", "runtime", "y")}


def is_rays(process: psutil.Process, cwd: Path) -> bool:
    """Is it one that a command in `cwd` has left?"""
    try:
        return bool(process.cwd() == str(cwd))
    except psutil.Error:
        return False
