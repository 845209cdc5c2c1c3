"""Results that are kept as files give what would have come at once as JSON."""

import json
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from serving.client import UnreadableAnswer
from serving.client.kept import OUTPUTS, reader
from serving.protocol import CSV, JSON, PARQUET
from tests.servers import ROOT
from tests.serving.client.test_imports import WITHOUT


def parquet(columns: dict[str, Any], noted: Any = None) -> bytes:
    table = pa.table(columns)
    if noted is not None:
        table = table.replace_schema_metadata({OUTPUTS: json.dumps(noted)})
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    content: bytes = buffer.getvalue().to_pybytes()
    return content


@pytest.mark.parametrize(
    ("columns", "noted", "predictions"),
    [
        ({"y": [1, 2]}, None, [1, 2]),
        ({"y": [1.5, float("nan"), float("inf")]}, None, [1.5, None, None]),
        ({"y_0": [0.25], "y_1": [0.75]}, None, [[0.25, 0.75]]),
        ({"id": ["a"], "y": [1]}, None, [{"id": "a", "y": 1}]),
        ({"y_1": [1], "y_0": [2]}, None, [{"y_1": 1, "y_0": 2}]),
        ({"y": [1, 2]}, [[None, None]], [1, 2]),
        ({"y": [1, 2]}, [["y", None]], [{"y": 1}, {"y": 2}]),
        ({"y": [1, 2]}, [[None, 1]], [[1], [2]]),
        ({"y_0": [1], "y_1": [2]}, [["y_0", None], ["y_1", None]], [{"y_0": 1, "y_1": 2}]),
        ({"y_0": [1], "y_1": [2], "z": ["a"]}, [["y", 2], ["z", None]], [{"y": [1, 2], "z": "a"}]),
    ],
)
def test_a_table_is_what_the_answer_was(columns: dict[str, Any], noted: Any, predictions: list[Any]) -> None:
    assert reader(PARQUET)(parquet(columns, noted)) == predictions


def test_json_and_csv_are_read_as_they_are() -> None:
    assert reader(JSON)(b'{"predictions": [1, {"y": "\xc3\xa9"}]}') == [1, {"y": "é"}]
    assert reader(CSV)(b'y_0,y_1\n0.25,0.75\n"",1\n') == [[0.25, 0.75], [None, 1]]
    assert reader(CSV)(b"id,y\n7,a\n") == [{"id": 7, "y": "a"}]
    assert reader(CSV)(b"y\n") == []


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        (PARQUET, b"secret"),
        (PARQUET, parquet({"y": [1]}, "secret")),
        (PARQUET, parquet({"y": [1]}, [["y", None], ["z", None]])),
        (JSON, b"secret"),
        (JSON, b"[]"),
        (CSV, b""),
        (CSV, b"a,b\n1\n"),
        (CSV, b"\xff"),
    ],
)
def test_what_is_not_whole_is_told_and_not_repeated(media_type: str, content: bytes) -> None:
    with pytest.raises(UnreadableAnswer) as refusal:
        reader(media_type)(content)

    assert "secret" not in str(refusal.value)


def test_a_form_that_is_not_known_is_refused_before_it_is_fetched() -> None:
    with pytest.raises(UnreadableAnswer, match="a form that this client does not know"):
        reader("text/html")


def test_parquet_without_pyarrow_says_what_is_missing() -> None:
    code = f"""
from serving.client.kept import reader
try:
    reader({PARQUET!r})
except ImportError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", WITHOUT + code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout == "a result this large is Parquet, which needs the package pyarrow\n"
