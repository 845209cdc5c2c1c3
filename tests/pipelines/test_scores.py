"""Metrics by their standard names, worked out by hand for small cases."""

from itertools import permutations

import numpy as np
import pytest

from pipelines.data import Column, Schema
from pipelines.errors import BadData
from pipelines.scores import best_first, gain, scores

COLUMNS = [Column(name="x", kind="number")]
BINARY = Schema(task="classification", target="y", columns=COLUMNS, classes=["no", "yes"])
THREE = Schema(task="classification", target="y", columns=COLUMNS, classes=[0, 1, 2])
VALUE = Schema(task="regression", target="y", columns=COLUMNS)


def test_two_classes() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]])

    found = scores(BINARY, ["no", "no", "yes", "yes"], ["no", "no", "no", "yes"], probabilities)

    assert found["accuracy"] == 0.75
    assert found["f1_macro"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert found["roc_auc"] == 0.75
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.6, 0.35, 0.8]).mean())


def test_without_probabilities_only_what_labels_can_tell() -> None:
    assert set(scores(BINARY, ["no", "yes"], ["no", "yes"], None)) == {"accuracy", "f1_macro"}


def test_many_classes_average_one_against_the_rest() -> None:
    perfect = scores(THREE, [0, 1, 2], [0, 1, 2], np.eye(3))

    assert (perfect["roc_auc"], perfect["accuracy"]) == (1.0, 1.0)


def test_regression() -> None:
    found = scores(VALUE, [1.0, 2.0, 3.0], [1.0, 2.0, 5.0], None)

    assert found == {"r2": -1.0, "rmse": pytest.approx((4 / 3) ** 0.5), "mae": pytest.approx(2 / 3)}


def test_gain_is_positive_for_the_better_side_whichever_way_the_metric_points() -> None:
    assert gain("r2", 0.9, over=0.8) > 0
    assert gain("rmse", 3.0, over=4.0) > 0


@pytest.mark.parametrize(("metric", "order"), [("r2", ["high", "low", "broken"]), ("rmse", ["low", "high", "broken"])])
def test_the_best_is_first_and_what_is_no_number_last(metric: str, order: list[str]) -> None:
    for names in permutations(order):
        assert best_first(metric, {name: {"high": 0.9, "low": 0.1}.get(name, np.nan) for name in names}) == order


def test_without_any_number_there_is_no_best() -> None:
    with pytest.raises(BadData, match="roc_auc is not a number for linear, forest"):
        best_first("roc_auc", {"linear": np.nan, "forest": np.nan})
