"""Equal, or by how much two things differ."""

import numpy as np
import pytest

from pipelines.reproduction import comparison
from pipelines.reproduction.comparison import Answers, Row, Verdict

LABELS = Answers(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]))


def only(rows: list[Row]) -> Row:
    assert len(rows) == 1
    return rows[0]


def test_metrics_with_the_same_bits_are_equal() -> None:
    rows = comparison.metrics({"test_f1": 0.1 + 0.2}, {"test_f1": 0.1 + 0.2, "test_other": 1.0})

    assert (only(rows).equal, only(rows).how) == (True, "equal")


def test_a_rounding_difference_is_told_and_still_equal() -> None:
    row = only(comparison.metrics({"rmse": 1000.0}, {"rmse": 1000.0 + 1e-7}))

    assert row.equal
    assert row.how == "differs by 1e-07; within 1e-09"


@pytest.mark.parametrize(("now", "how"), [(0.96, "differs by 0.01"), (float("nan"), "is none on the other")])
def test_a_metric_that_is_another_differs(now: float, how: str) -> None:
    row = only(comparison.metrics({"test_f1": 0.95}, {"test_f1": now}))

    assert not row.equal
    assert how in row.how


def test_a_metric_that_is_nan_on_both_sides_is_equal() -> None:
    assert only(comparison.metrics({"roc_auc": float("nan")}, {"roc_auc": float("nan")})).equal


def test_a_metric_that_was_not_measured_again_differs() -> None:
    assert not only(comparison.metrics({"test_f1": 0.95}, {})).equal


def test_params_that_differ_are_named_by_their_path() -> None:
    row = comparison.values(
        "params",
        {"train": {"seed": 1, "forest": {"trees": 5}}},
        {"train": {"seed": 1, "forest": {"trees": 6}, "linear": None}},
    )

    assert not row.equal
    assert row.how == "train.forest.trees is 6, was 5"


def test_the_same_labels_and_probabilities_are_equal() -> None:
    rows = comparison.answers("3 rows", LABELS, LABELS)

    assert [(row.name, row.equal) for row in rows] == [
        ("predictions on 3 rows", True),
        ("probabilities on 3 rows", True),
    ]


def test_another_label_is_counted_and_the_first_is_named() -> None:
    row = comparison.answers("3 rows", LABELS, Answers(np.array([0, 0, 0]), LABELS.probabilities))[0]

    assert not row.equal
    assert row.how == "2 of 3 differ; row 2 is 0, was 1"


def test_labels_of_text_read_back_from_a_file_are_the_same_labels() -> None:
    recorded = Answers(np.array(["yes", "no"], dtype=object), None)

    assert only(comparison.answers("2 rows", recorded, Answers(np.array(["yes", "no"]), None))).equal


def test_probabilities_near_zero_are_held_against_the_largest_not_against_themselves() -> None:
    near = Answers(LABELS.predictions, LABELS.probabilities + np.array([1e-12, -1e-12]))
    far = Answers(LABELS.predictions, LABELS.probabilities + np.array([1e-3, -1e-3]))

    assert comparison.answers("3 rows", LABELS, near)[1].equal
    assert not comparison.answers("3 rows", LABELS, far)[1].equal


@pytest.mark.parametrize("other", [Answers(np.array([0, 1]), None), Answers(np.array([0, 1, 1]), None)])
def test_answers_of_another_shape_differ(other: Answers) -> None:
    assert not all(row.equal for row in comparison.answers("3 rows", LABELS, other))


def test_values_of_a_regression_are_compared_as_numbers() -> None:
    recorded, again = Answers(np.array([1.5, 2.5]), None), Answers(np.array([1.5, 2.75]), None)

    row = only(comparison.answers("2 rows", recorded, again))

    assert not row.equal
    assert row.how == "differs by 0.25, 0.09 of the largest"


def test_a_verdict_says_which_rows_differ_and_is_none_while_something_was_not_tried() -> None:
    same, other = comparison.identity("commit", "a", "a"), comparison.identity("data", "b", "c", how="byte 3")

    assert Verdict(of="x", rows=[same], notes=[], not_tried=[]).reproduced
    assert not Verdict(of="x", rows=[same], notes=[], not_tried=["train"]).reproduced
    assert Verdict(of="x", rows=[same, other], notes=[], not_tried=[]).refusal == "data: byte 3"
