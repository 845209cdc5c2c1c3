"""Chunks that are with the model at once: their order, their errors, and how many there are."""

from pathlib import Path
from threading import Barrier, Event

import pytest

from serving.protocol import Model
from serving.scoring.asking import Asking, Task
from serving.scoring.here import calls_for, overlapping
from serving.scoring.places import place
from serving.scoring.refusal import NotScored
from tests.fakes import FakeModel
from tests.serving.scoring.acting import acting
from tests.serving.scoring.files import a_table, parquet, source


def answers(model: Model, file: Path, *, calls: int, chunk_rows: int = 10) -> list[list[object]]:
    task = Task(source(file), place("out.parquet"), chunk_rows=chunk_rows)
    return [each.column("y").to_pylist() for each in overlapping(calls)(task, Asking(task, model), 0)]


def test_the_order_is_the_files_whoever_answers_first(slope_of_three: Model, tmp_path: Path) -> None:
    second = Event()

    def the_first_waits(call: int) -> None:
        if call:
            second.set()
        assert second.wait(20)

    found = answers(acting(slope_of_three, the_first_waits), parquet(tmp_path / "rows.parquet", a_table(95)), calls=2)

    assert [value for chunk in found for value in chunk] == [row * 1.5 for row in range(95)]


def test_so_many_calls_run_at_once(slope_of_three: Model, tmp_path: Path) -> None:
    meeting = Barrier(3)

    def meets(_call: int) -> None:
        meeting.wait(20)

    model = acting(slope_of_three, meets)

    assert len(answers(model, parquet(tmp_path / "rows.parquet", a_table(60)), calls=3)) == 6


def test_a_bad_row_is_told_before_a_later_one_that_cannot_be_read(slope_of_three: Model, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"x,size\n" + b"1,2\n" * 15 + b"secret,2\n" + b"1,2\n" * 300_000 + b"1\n")

    with pytest.raises(NotScored, match="row 16, column 'x'"):
        answers(slope_of_three, file, calls=2)


def test_no_more_is_read_than_is_being_answered(slope_of_three: Model, tmp_path: Path) -> None:
    model = acting(slope_of_three)
    task = Task(source(parquet(tmp_path / "rows.parquet", a_table(1000))), place("out.parquet"), chunk_rows=10)

    running = overlapping(2)(task, Asking(task, model), 0)
    next(running)
    running.close()

    assert len(model.calls) <= 3


def test_a_model_whose_rows_do_not_join_gets_one_call_at_a_time() -> None:
    assert calls_for(FakeModel(joins=False)) == 1
    assert calls_for(FakeModel()) >= 1
