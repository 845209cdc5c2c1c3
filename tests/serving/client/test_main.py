"""`python -m serving.client`, as a process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from serving.client import AsyncClient, Client
from serving.protocol import Answer, Column, Signature
from tests.servers import ROOT, free_port
from tests.serving.client.conftest import Running, Transport
from tests.serving.tensor_models import TensorModel
from tests.serving.test_supervisor import serving

FRAME = pd.DataFrame({"a": [1.0, 4.0], "b": [2.0, 5.0], "c": [3.0, 6.0]})


def command(*words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "serving.client", *map(str, words)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    FRAME.to_csv(path, index=False)
    return path


def test_it_prints_a_prediction_for_each_row(running: Running, transport: Transport, rows: Path) -> None:
    done = command("predict", rows, "--url", running.url(transport), "--model", "iris")

    assert (done.returncode, done.stdout, done.stderr) == (0, "prediction\n6\n15\n", "")


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_parquet_and_lines_give_what_csv_gives(running: Running, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        FRAME.to_parquet(path)
    else:
        FRAME.to_json(path, orient="records", lines=True)

    assert command("predict", path, "--url", running.url("http")).stdout == "prediction\n6\n15\n"


def test_probabilities_go_to_a_file(running: Running, rows: Path) -> None:
    out = rows.with_name("out.csv")

    done = command("predict", rows, "--url", running.url("http"), "--proba", "--out", out)

    assert (done.returncode, done.stdout) == (0, "")
    assert out.read_text() == "0,1\n0.06,0.94\n0.15,0.85\n"


def test_texts_that_look_like_numbers_stay_texts(running: Running, tmp_path: Path) -> None:
    signature = Signature((Column("code", "string"),), (Column("same", "string"),))
    running.put(TensorModel(signature, lambda rows: Answer((rows.blocks[0][:, 0],))))
    path = tmp_path / "rows.csv"
    path.write_text("code\n00123\nx\n")
    try:
        assert command("predict", path, "--url", running.url("http")).stdout == "prediction\n00123\nx\n"
    finally:
        running.put(TensorModel())


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["rows.csv", "--url", "http://127.0.0.1:1", "--timeout", "20"], 1, "error: the server cannot be reached"),
        (["rows.csv", "--url", "ftp://here"], 2, "error: the address of a server is http://"),
        (["rows.csv", "--url", "grpc://127.0.0.1:1"], 2, "error: over gRPC the model has to be named"),
        (["rows.csv", "--ca", "rows.csv"], 2, "error: ca, certificate and certificate_key are for https://"),
        (["rows.csv", "--url", "https://here", "--ca", "no.pem"], 2, "error: ca: no.pem: No such file"),
        (["rows.csv", "--url", "https://here", "--certificate", "no.pem"], 2, "certificate_key go together"),
        (["nothing.jsonl"], 1, "nothing.jsonl: No such file or directory"),
        (["nothing.parquet"], 1, "nothing.parquet"),
        (["rows.jsonl", "--out", "nowhere/out.csv"], 1, "nowhere/.out.csv.part: No such file or directory"),
        (["rows.txt"], 1, "error: the name of a file of rows ends in"),
        (["rows.csv", "--out", "out.xls"], 1, "error: the name of a file of predictions ends in"),
    ],
)
def test_what_fails_is_one_line_and_a_status(rows: Path, words: list[str], status: int, said: str) -> None:
    file, *more = words

    done = command("predict", rows.with_name(file), *more)

    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_a_refused_row_is_named_and_leaves_no_file(running: Running, tmp_path: Path) -> None:
    path, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    path.write_text("a,b,c\n" + "1,2,3\n" * 1500 + "1,secret,3\n")

    done = command("predict", path, "--url", running.url("http"), "--out", out)

    assert done.returncode == 1
    assert "from row 1001: row 501, column 'b': expected a double" in done.stderr
    assert "secret" not in done.stderr
    assert not out.exists()


def test_a_reader_that_has_seen_enough_is_no_error_message(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b,c\n" + "1,2,3\n" * 50_000)
    line = f"{sys.executable} -m serving.client predict {path} --url {running.url('http')} | head -n 2"

    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("prediction\n6\n", "")


async def test_the_real_server_answers_clients_and_command_alike(tmp_path: Path) -> None:
    port = free_port()
    frame = pd.DataFrame({"x": [1.5, -2.0], "size": [0.0, 1.0]})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    with serving(tmp_path, workers=1, SERVING_GRPC_PORT=str(port)) as server:
        for url in (server.url, f"grpc://127.0.0.1:{port}"):
            with Client(url, model="iris") as client:
                answer = client.ask(frame)
                np.testing.assert_array_equal(client.predict(frame.to_numpy()), [4.5, -6])
                assert list(client.stream(frame)) == [4.5, -6]
            async with AsyncClient(url, model="iris") as asynchronous:
                assert await asynchronous.predict(frame.to_dict("list")) == [4.5, -6]

            assert (answer.predictions.tolist(), answer.version) == ([4.5, -6], "1")
            done = command("predict", tmp_path / "rows.csv", "--url", url, "--model", "iris")
            assert (done.returncode, done.stdout) == (0, "prediction\n4.5\n-6.0\n")
