"""What a run leaves beside its output, and how the next one goes on from there."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from serving.decoding import plan
from serving.protocol import Answer, Model, Rows
from serving.scoring.refusal import NotScored
from tests.fakes import ONE_COLUMN, FakeModel, a_version
from tests.serving.scoring.acting import acting, dies_at
from tests.serving.scoring.files import Saying, a_table, parquet, scored


@pytest.mark.parametrize("written", ["out.csv", "out.parquet"])
def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_bytes(
    written: str, slope_of_three: Model, tmp_path: Path
) -> None:
    file, out, unbroken = (
        parquet(tmp_path / "rows.parquet", a_table(100)),
        tmp_path / written,
        tmp_path / f"un{written}",
    )
    options: dict[str, Any] = {"keys": ("id",), "chunk_rows": 10}
    with pytest.raises(KeyboardInterrupt):
        scored(file, out, acting(slope_of_three, dies_at(4)), **options)
    assert not out.exists()

    resumed, saying = acting(slope_of_three), Saying()
    done = scored(file, out, resumed, saying, **options)
    scored(file, unbroken, slope_of_three, **options)

    assert resumed.calls == [10] * 6
    assert saying.lines == ["going on after row 40, where an earlier run stopped"]
    assert (done.rows, done.rows_before) == (100, 40)
    assert str(done.predictions.columns["y"]) == "mean 74.25, min 0, max 148.5"  # of all rows
    assert out.read_bytes() == unbroken.read_bytes()


@pytest.mark.parametrize("changed", ["input", "version", "keys", "chunk rows", "manifest"])
def test_a_run_of_something_else_starts_anew_and_says_so(changed: str, slope_of_three: Model, tmp_path: Path) -> None:
    file, out = parquet(tmp_path / "rows.parquet", a_table(100)), tmp_path / "out.csv"
    options: dict[str, Any] = {"keys": ("id",), "chunk_rows": 10, "version": a_version(7)}
    with pytest.raises(KeyboardInterrupt):
        scored(file, out, acting(slope_of_three, dies_at(4)), **options)
    if changed == "input":
        parquet(file, a_table(90))
    now: dict[str, dict[str, Any]] = {
        "version": {"version": a_version(8)},
        "manifest": {"version": replace(a_version(7), tags={"slipway.manifest": "another"})},
        "keys": {"keys": ("size",)},
        "chunk rows": {"chunk_rows": 20},
    }

    saying = Saying()
    done = scored(file, out, slope_of_three, saying, **options | now.get(changed, {}))

    assert "starting anew" in saying.lines[0]
    assert (done.rows, done.rows_before) == (90 if changed == "input" else 100, 0)


def test_half_a_part_does_not_count(slope_of_three: Model, tmp_path: Path) -> None:
    file, out = parquet(tmp_path / "rows.parquet", a_table(100)), tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        scored(file, out, acting(slope_of_three, dies_at(4)), chunk_rows=10)
    last = tmp_path / "out.csv.parts" / "00000003.parquet"
    last.write_bytes(last.read_bytes()[:-20])

    done = scored(file, out, slope_of_three, chunk_rows=10)

    assert (done.rows, done.rows_before) == (100, 30)


def test_answers_that_change_their_type_are_refused(tmp_path: Path) -> None:
    @dataclass(frozen=True, eq=False)
    class Fickle(FakeModel):
        def predict(self, rows: Rows) -> Answer:
            return Answer((np.zeros(rows.count, float if rows.blocks[0][0, 0] else int),))

    model = Fickle(plan=plan.compile(ONE_COLUMN))

    with pytest.raises(NotScored, match=r"rows from 11 on are of other types .* y double, not y int64"):
        scored(parquet(tmp_path / "rows.parquet", a_table(20)), tmp_path / "out.csv", model, chunk_rows=10)


def test_two_runs_do_not_write_one_output(slope_of_three: Model, tmp_path: Path) -> None:
    file, out = parquet(tmp_path / "rows.parquet", a_table(50)), tmp_path / "out.csv"
    refusals = []

    def beside(call: int) -> None:
        if call == 1:
            with pytest.raises(NotScored) as refused:
                scored(file, out, slope_of_three, chunk_rows=10)
            refusals.append(str(refused.value))

    done = scored(file, out, acting(slope_of_three, beside), chunk_rows=10)

    assert refusals == [f"{out}: another run is writing it just now"]
    assert done.rows == 50


def test_keys_that_a_csv_cannot_hold_are_refused(slope_of_three: Model, tmp_path: Path) -> None:
    table = a_table(3).append_column("many", pa.array([[1], [2], [3]]))
    out = tmp_path / "out.csv"

    with pytest.raises(NotScored, match="a csv file cannot hold many list"):
        scored(parquet(tmp_path / "rows.parquet", table), out, slope_of_three, keys=("many",))

    assert not out.exists()


def test_an_output_that_is_a_folder_is_refused(slope_of_three: Model, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.mkdir()

    with pytest.raises(NotScored, match="is a folder"):
        scored(parquet(tmp_path / "rows.parquet", a_table(3)), out, slope_of_three)


def test_what_no_run_has_put_there_is_left_alone(slope_of_three: Model, tmp_path: Path) -> None:
    mine = tmp_path / "out.csv.parts" / "mine.txt"
    mine.parent.mkdir()
    mine.touch()

    with pytest.raises(NotScored, match=r"out.csv.parts has something in it that no run has put there: mine.txt"):
        scored(parquet(tmp_path / "rows.parquet", a_table(3)), tmp_path / "out.csv", slope_of_three)

    assert mine.exists()
