import numpy as np
import pytest

from serving.protocol import Answer
from serving.trials.agreement import agree, agree_as_json

LABELS = np.array(["a", None, "b"], object)
NUMBERS = np.array([1.0, -2.5, np.nan])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NUMBERS, NUMBERS * (1 + 9e-6)),
        (NUMBERS, NUMBERS.astype(np.float32)),
        (np.array([1, 2]), np.array([1.0, 2.0])),
        (np.array([0.0]), np.array([1e-15])),
        (LABELS, LABELS.copy()),
        (np.array([1.0, float("nan")], object), np.array([1.000001, float("nan")], object)),
        (np.array([True]), np.array([1])),
    ],
)
def test_the_same_labels_and_nearly_the_same_numbers_agree(one: np.ndarray, other: np.ndarray) -> None:
    assert agree(Answer((one,)), Answer((other,)))
    assert agree(Answer((other,)), Answer((one,)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NUMBERS, NUMBERS * (1 + 2e-5)),
        (NUMBERS, np.array([1.0, -2.5, 0.0])),
        (np.array([1_000_000]), np.array([1_000_001])),
        (LABELS, np.array(["a", None, "c"], object)),
        (LABELS, np.array(["a", "", "b"], object)),
        (np.array([1, 2]), np.array([1, 2, 3])),
        (np.array([1, 2]), np.array([[1, 2]])),
        (np.array([1.5]), np.array(["1.5"], object)),
    ],
)
def test_another_label_number_or_shape_disagrees(one: np.ndarray, other: np.ndarray) -> None:
    assert not agree(Answer((one,)), Answer((other,)))
    assert not agree(Answer((other,)), Answer((one,)))


def test_tables_are_compared_by_column() -> None:
    table = Answer((np.array([1.0]), np.array(["x"], object)), ("score", "label"))
    turned = Answer((np.array(["x"], object), np.array([1.0])), ("label", "score"))

    assert agree(table, turned)
    assert not agree(table, Answer(turned.outputs, ("score", "label")))
    assert not agree(table, Answer(table.outputs, ("score", "other")))
    assert not agree(table, Answer(table.outputs))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (b'{"predictions": [{"a": 1.0, "b": "x"}]}', b'{"predictions":[{"b":"x","a":1.000001}]}', True),
        (b'{"predictions": [NaN]}', b'{"predictions": [NaN]}', True),
        (b'{"predictions": [[1, 2]]}', b'{"predictions": [[1, 3]]}', False),
        (b'{"predictions": [1]}', b'{"predictions": [1, 1]}', False),
        (b'{"predictions": [1.5]}', b'{"predictions": [null]}', False),
        (b"plain", b"plain", True),
        (b"plain", b"other", False),
    ],
)
def test_what_mlflow_wrote_is_compared_by_its_values(one: bytes, other: bytes, *, alike: bool) -> None:
    assert agree_as_json(one, other) is alike
