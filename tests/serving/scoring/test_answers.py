"""Predictions as columns beside the keys."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from serving.protocol import Answer, Column, Signature
from serving.scoring.answers import beside
from serving.scoring.refusal import NotScored

CHUNK = pa.table({"id": ["007", "008"], "x": [1.0, 2.0]})
NAMELESS = Signature((Column("x", "double"),))
NAMED = Signature((Column("x", "double"),), (Column("price", "double"),))


def columns(answer: Answer, signature: Signature = NAMELESS, **options: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = beside(
        CHUNK, ["id"], answer, signature, **{"probabilities": False, **options}
    ).to_pydict()
    return found


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer((np.array([1, 2]),)), {"predictions": [1, 2]}),
        (Answer((np.array([[1], [2]]),)), {"predictions": [1, 2]}),
        (Answer((np.array([[1, 2], [3, 4]]),)), {"predictions_0": [1, 3], "predictions_1": [2, 4]}),
        (Answer((np.array(["a", None], object),)), {"predictions": ["a", None]}),
        (Answer((np.array([True, False]),)), {"predictions": [True, False]}),
        (
            Answer((np.array([1, 2]), np.array([[3, 4], [5, 6]])), ("a", "b")),
            {"a": [1, 2], "b_0": [3, 5], "b_1": [4, 6]},
        ),
    ],
)
def test_an_answer_is_a_column_or_several(answer: Answer, expected: dict[str, list[Any]]) -> None:
    assert columns(answer) == {"id": ["007", "008"], **expected}


def test_an_output_has_the_name_that_the_signature_gives_it() -> None:
    assert list(columns(Answer((np.array([1, 2]),)), NAMED)) == ["id", "price"]


def test_probabilities_are_called_so() -> None:
    answer = Answer((np.array([[0.25, 0.75], [0.5, 0.5]]),))

    assert list(columns(answer, NAMED, probabilities=True)) == ["id", "predict_proba_0", "predict_proba_1"]


def test_texts_that_are_all_missing_are_texts() -> None:
    found = beside(CHUNK, [], Answer((np.array([None, None], object),)), NAMELESS, probabilities=False)

    assert found.schema.field("predictions").type == pa.string()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer((np.zeros((2, 2, 2)),)), "which is no row of a table"),
        (Answer((np.array([1, "a"], object),)), "of several types"),
        (Answer((np.array([1, 2]),), ("id",)), "column 'id' is a key"),
    ],
)
def test_what_no_column_can_hold_is_refused(answer: Answer, reason: str) -> None:
    with pytest.raises(NotScored, match=reason):
        columns(answer)
