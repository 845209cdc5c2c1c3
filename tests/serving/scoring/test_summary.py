"""What is said of all answers, whatever parts they come in."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some

from serving.scoring.summary import Answers, Done, Predictions


def said(*parts: Any) -> str:
    answers = Answers()
    for part in parts:
        answers.add(pa.chunked_array([part]))
    return str(answers)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([pa.array([1, 0]), pa.array([1])], "1 2 times, 0 1 times"),
        ([pa.array(["yes", None]), pa.array(["no", "yes"])], "yes 2 times, no 1 times, 1 missing"),
        ([pa.array([True])], "True 1 times"),
        ([pa.array([1.0, 2.0]), pa.array([6.0, float("nan")])], "mean 3, min 1, max 6, 1 missing"),
        ([pa.array(range(30))], "mean 14.5, min 0, max 29"),
        ([pa.array([str(at) for at in range(30)])], "30 of more than 20 values"),
        ([pa.nulls(3, pa.float64())], "none, 3 missing"),
    ],
)
def test_classes_are_counted_and_numbers_summed_up(parts: list[Any], expected: str) -> None:
    assert said(*parts) == expected


@given(some.lists(some.integers(-50, 50), min_size=1, max_size=60), some.integers(1, 60))
def test_it_does_not_matter_where_the_parts_are_cut(values: list[int], size: int) -> None:
    parts = [pa.array(values[at : at + size]) for at in range(0, len(values), size)]

    assert said(*parts) == said(pa.array(values))


def test_the_rate_is_this_runs_own() -> None:
    predictions = Predictions(["id"])
    predictions.add(pa.table({"id": [1], "y": [2.5]}))

    lines = list(Done(1000, 400, 2, predictions).lines("churn 3", "onnx", "out.csv"))

    assert lines == [
        "rows      1,000, 400 of them by an earlier run",
        "seconds   2.0",
        "rows/s    300",
        "version   churn 3",
        "runtime   onnx",
        "y         mean 2.5, min 2.5, max 2.5",
        "written   out.csv",
    ]
