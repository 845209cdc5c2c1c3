"""Chunks of a file: whatever it is cut into, the same rows in the same order."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some

from serving.scoring.reading import regrouped
from serving.scoring.refusal import BadInput
from tests.serving.scoring.files import a_table, comma_separated, parquet, source


@given(some.lists(some.integers(0, 30), max_size=12), some.integers(1, 40))
def test_batches_become_chunks_of_one_size(lengths: list[int], rows: int) -> None:
    values = iter(range(sum(lengths)))
    batches = [
        pa.record_batch({"x": pa.array([next(values) for _ in range(length)], pa.int64())}) for length in lengths
    ]

    chunks = list(regrouped(batches, rows))

    assert [value for chunk in chunks for value in chunk.column("x").to_pylist()] == list(range(sum(lengths)))
    assert all(len(chunk) == rows for chunk in chunks[:-1])
    assert all(0 < len(chunk) <= rows for chunk in chunks)


@pytest.mark.parametrize("write", [comma_separated, parquet])
@pytest.mark.parametrize("skip", [0, 1, 99, 100, 150, 249, 250])
def test_reading_goes_on_after_rows_that_are_done(write: object, skip: int, tmp_path: Path) -> None:
    assert callable(write)
    options = {"group_rows": 100} if write is parquet else {}
    file = write(tmp_path / f"rows.{'csv' if write is comma_separated else 'parquet'}", a_table(250), **options)

    chunks = list(source(file).chunks(["id"], rows=40, skip=skip))

    assert [each for chunk in chunks for each in chunk.column("id").to_pylist()] == [
        f"{at:04}" for at in range(skip, 250)
    ]


def test_columns_come_as_they_were_asked_for_and_a_csv_as_texts(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text('id,x\r\n007,"1,5"\r\n,two\nlines,x\n')

    (chunk,) = source(file).chunks(["x", "id"], rows=10)

    assert chunk.to_pydict() == {"x": ["1,5", "two", "x"], "id": ["007", "", "lines"]}


def test_a_dictionary_column_is_read_as_its_values(tmp_path: Path) -> None:
    kinds = pa.array(["a", "b", "a"]).dictionary_encode()
    file = parquet(tmp_path / "rows.parquet", pa.table({"kind": kinds}), group_rows=2)

    (chunk,) = source(file).chunks(["kind"], rows=3)

    assert chunk.schema.field("kind").type == pa.string()


def test_only_a_parquet_file_says_how_many_rows_it_has(tmp_path: Path) -> None:
    assert source(parquet(tmp_path / "rows.parquet", a_table(5))).rows == 5
    assert source(comma_separated(tmp_path / "rows.csv", a_table(5))).rows is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,b\n1,2\n3\n", "row 2 has 1 fields, and the header has 2"),
        (b"a,b\n1,2\n3,4\n5,6,7\n", "row 3 has 3 fields, and the header has 2"),
        (b"a,b\n1,2\n3,\xff\n", "row 2, column 'b': expected text in UTF-8, got other bytes"),
    ],
)
def test_a_row_that_is_no_csv_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(content)

    with pytest.raises(BadInput, match=f"rows.csv: {reason}"):
        list(source(file).chunks(["a", "b"], rows=1))


def test_a_bad_row_is_counted_over_all_of_a_large_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"a,b\n" + b'1,"two\nlines"\n' * 200_000 + b"1,\xff\n")

    with pytest.raises(BadInput, match="row 200001, column 'b'"):
        list(source(file).chunks(["a", "b"], rows=70_000))


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_a_file_that_is_not_what_it_is_called_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")

    with pytest.raises(BadInput, match="it cannot be read as"):
        source(tmp_path / name)


def test_columns_that_are_missing_or_there_twice_are_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,b,b\n1,2,3\n")

    with pytest.raises(BadInput, match="column 'c' is missing; there are 'a', 'b', 'b'"):
        source(file).require(["a", "c"])
    with pytest.raises(BadInput, match="column 'b' is there twice"):
        source(file).require(["a", "b"])
