"""Files of rows, read and written without pandas."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from serving.client import files
from serving.client.files import NotAFile


def read(path: Path, *texts: str) -> list[Any]:
    return list(files.read(path, texts=lambda: frozenset(texts)))


def a_file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_csv_has_numbers_booleans_gaps_and_texts_where_the_model_wants_them(tmp_path: Path) -> None:
    content = '\ufeffa,b,c,"d ""x"""\n1,1.5e3,00123,TRUE\n\n-2,NaN,NA,false\n,inf,x,"a,b"\n'

    (chunk,) = read(a_file(tmp_path, "rows.CSV", content), "c")

    assert chunk == {
        "a": [1, -2, None],
        "b": [1500.0, None, float("inf")],
        "c": ["00123", None, "x"],
        'd "x"': [True, False, "a,b"],
    }


def test_a_csv_of_numbers_is_read_as_pandas_reads_it(tmp_path: Path) -> None:
    path = a_file(tmp_path, "rows.csv", "a,b\n1,0.1\n2,\n3,1e-320\n4,123456789.123456789\n")

    (chunk,) = read(path)

    pd.testing.assert_frame_equal(pd.DataFrame(chunk), pd.read_csv(path))


def test_parquet_and_lines_of_json_are_read_as_they_are(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    frame.to_parquet(tmp_path / "rows.parquet")

    assert read(tmp_path / "rows.parquet") == [{"a": [1, 2], "b": ["x", None]}]
    assert read(a_file(tmp_path, "rows.jsonl", '{"a": 1}\n\n[1, "é"]\n')) == [[{"a": 1}, [1, "é"]]]


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.ndjson"])
def test_a_large_file_comes_in_chunks(tmp_path: Path, name: str) -> None:
    frame, path = pd.DataFrame({"a": range(2500)}), tmp_path / name
    if name.endswith("csv"):
        frame.to_csv(path, index=False)
    elif name.endswith("parquet"):
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)

    sizes = [len(chunk["a"]) if isinstance(chunk, dict) else len(chunk) for chunk in read(path)]

    assert sizes == [1000, 1000, 500]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rows.txt", "a\n1\n", "the name of a file of rows ends in .csv, .parquet, .jsonl or .ndjson"),
        ("rows.csv", "", "the first line of a CSV names its columns, each once"),
        ("rows.csv", "a,a\n1,2\n", "the first line of a CSV names its columns, each once"),
        ("rows.csv", "a,b\n1,2\nsecret\n", "row 2 has 1 fields, the header has 2"),
        ("rows.csv", 'a,b\n1,"secret\n', "the file is not CSV"),
        ("rows.csv", b"a\n\xff\n", "the file is not UTF-8"),
        ("rows.jsonl", '{"a": 1}\nsecret\n', "line 2 is not JSON"),
        ("rows.parquet", "secret", "the file is not Parquet"),
    ],
)
def test_a_bad_file_is_told_by_its_row_and_never_by_its_values(
    tmp_path: Path, name: str, content: str | bytes, reason: str
) -> None:
    with pytest.raises(NotAFile) as refusal:
        read(a_file(tmp_path, name, content))

    assert str(refusal.value) == reason


@pytest.mark.parametrize(
    ("name", "predictions", "written"),
    [
        ("out.csv", [1.5, None, "a,b"], 'prediction\n1.5\n""\n"a,b"\n'),
        ("out.csv", [[0.25, 0.75]], "0,1\n0.25,0.75\n"),
        ("out.csv", [{"y": 1, "z": "a"}], "y,z\n1,a\n"),
        ("out.jsonl", [1.5, None, {"y": "é"}, [0.5]], '1.5\nnull\n{"y": "é"}\n[0.5]\n'),
    ],
)
def test_predictions_are_written_a_row_a_line(tmp_path: Path, name: str, predictions: list[Any], written: str) -> None:
    with files.written(tmp_path / name) as write:
        for each in predictions:
            write([each])

    assert (tmp_path / name).read_text() == written
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_half_a_file_never_takes_the_place_of_a_whole_one(tmp_path: Path) -> None:
    path = a_file(tmp_path, "out.csv", "whole")

    def half() -> None:
        with files.written(path) as write:
            write([1, 2])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()

    assert path.read_text() == "whole"
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]
