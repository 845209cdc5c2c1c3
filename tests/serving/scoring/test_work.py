"""A file is scored: whole or not at all, from where an earlier run stopped, and the same wherever it is cut."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pyarrow import csv
from pyarrow import parquet as pq

from serving.errors import NoProbabilities
from serving.protocol import Model, NotRows
from serving.scoring.refusal import NotScored
from tests.serving.scoring.acting import acting
from tests.serving.scoring.files import a_table, comma_separated, left_beside, parquet, scored


@pytest.mark.parametrize("read", ["rows.csv", "rows.parquet"])
@pytest.mark.parametrize("written", ["out.csv", "out.parquet"])
def test_predictions_stand_beside_the_keys(read: str, written: str, slope_of_three: Model, tmp_path: Path) -> None:
    write = comma_separated if read.endswith("csv") else parquet
    out = tmp_path / written

    done = scored(write(tmp_path / read, a_table(10)), out, slope_of_three, keys=("id",), chunk_rows=3)

    found = csv.read_csv(out) if written.endswith("csv") else pq.read_table(out)
    assert found.column_names == ["id", "y"]
    assert [int(each) for each in found.column("id").to_pylist()] == list(range(10))
    assert found.column("y").to_pylist() == [row * 1.5 for row in range(10)]
    assert (done.rows, done.rows_before, str(done.predictions.columns["y"])) == (10, 0, "mean 6.75, min 0, max 13.5")
    assert left_beside(out) == []


@settings(max_examples=40)
@given(
    rows=some.integers(1, 50), group_rows=some.integers(1, 60), chunk_rows=some.integers(1, 60), is_text=some.booleans()
)
def test_the_output_is_the_same_wherever_the_file_is_cut(
    rows: int, group_rows: int, chunk_rows: int, is_text: bool, slope_of_three: Model
) -> None:
    with TemporaryDirectory() as folder:
        given_rows = a_table(rows)
        file = Path(folder) / ("rows.csv" if is_text else "rows.parquet")
        write: Any = comma_separated if is_text else parquet
        write(file, given_rows, **({} if is_text else {"group_rows": group_rows}))
        out = Path(folder) / "out.csv"

        scored(file, out, slope_of_three, keys=("id", "size"), chunk_rows=chunk_rows)
        cut = out.read_bytes()
        scored(file, out, slope_of_three, keys=("id", "size"), chunk_rows=1000)

        assert out.read_bytes() == cut


@pytest.mark.parametrize("value", [None, float("inf")])
def test_a_row_that_the_model_refuses_is_named_and_the_former_output_stays(
    value: float | None, slope_of_three: Model, tmp_path: Path
) -> None:
    xs = [float(row) for row in range(50)]
    table = pa.table({"x": pa.array([*xs[:37], value, *xs[38:]], pa.float64()), "size": xs})
    file, out = parquet(tmp_path / "rows.parquet", table), tmp_path / "out.csv"
    out.write_text("what was here before")

    with pytest.raises(NotScored) as refused:
        scored(file, out, slope_of_three, chunk_rows=20)

    assert str(refused.value).startswith(f"{file}: row 38: the model cannot predict this input; column 'x': expected")
    assert out.read_text() == "what was here before"
    assert left_beside(out) == []


def test_a_value_of_another_type_is_named(slope_of_three: Model, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("x,size\n" + "1,2\n" * 25 + "secret,2\n")

    with pytest.raises(NotScored) as refused:
        scored(file, tmp_path / "out.csv", slope_of_three, chunk_rows=10)

    assert str(refused.value) == f"{file}: row 26, column 'x': expected a double, got another text"


def test_a_model_that_fails_leaves_what_is_done_to_the_next_run(slope_of_three: Model, tmp_path: Path) -> None:
    def broken(call: int) -> None:
        if call == 2:
            raise MemoryError("no room")

    file, out = parquet(tmp_path / "rows.parquet", a_table(50)), tmp_path / "out.csv"

    with pytest.raises(NotScored, match=r"rows 21 to 30: the version failed .MemoryError: no room."):
        scored(file, out, acting(slope_of_three, broken), chunk_rows=10)

    assert scored(file, out, slope_of_three, chunk_rows=10).rows_before == 20


def test_answers_that_are_not_one_a_row_are_refused(slope_of_three: Model, tmp_path: Path) -> None:
    def other(_call: int) -> None:
        raise NotRows

    with pytest.raises(NotScored, match="rows 1 to 5: the version's answers are not one a row"):
        scored(parquet(tmp_path / "rows.parquet", a_table(5)), tmp_path / "out.csv", acting(slope_of_three, other))


def test_an_input_that_changes_while_it_is_read_is_refused(slope_of_three: Model, tmp_path: Path) -> None:
    file, out = comma_separated(tmp_path / "rows.csv", a_table(50)), tmp_path / "out.csv"

    def appended(_call: int) -> None:
        with file.open("a") as more:
            more.write('"9999",1,1\n')

    with pytest.raises(NotScored, match="it was changed while it was read"):
        scored(file, out, acting(slope_of_three, appended), chunk_rows=10)

    assert (out.exists(), left_beside(out)) == (False, [])


def test_a_file_without_rows_is_refused(slope_of_three: Model, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"

    with pytest.raises(NotScored, match="it has no rows"):
        scored(parquet(tmp_path / "rows.parquet", a_table(0)), out, slope_of_three)

    assert (out.exists(), left_beside(out)) == (False, [])


def test_a_model_without_probabilities_is_not_asked_for_them(slope_of_three: Model, tmp_path: Path) -> None:
    with pytest.raises(NoProbabilities):
        scored(parquet(tmp_path / "rows.parquet", a_table(5)), tmp_path / "out.csv", slope_of_three, probabilities=True)
