"""Which columns of a file a model is asked about, and what they become."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from serving.decoding import plan
from serving.protocol import PREDICT_PROBA, Column, Signature, Tensor
from serving.scoring.questions import Question
from serving.scoring.refusal import BadInput, NotScored
from tests.fakes import FakeModel


def of(*inputs: Column | Tensor) -> FakeModel:
    signature = Signature(inputs)
    return FakeModel(signature=signature, plan=plan.compile(signature))


@dataclass
class Asked:
    columns: tuple[str, ...]
    blocks: list[list[Any]]


def asked(model: FakeModel, chunk: Any, keys: tuple[str, ...] = ()) -> Asked:
    question = Question(model, chunk.column_names, keys=keys, is_text=False)
    return Asked(question.columns, [block.tolist() for block in question.rows(chunk, 0).blocks])


def test_columns_are_found_by_name_wherever_they_are() -> None:
    chunk = pa.table({"kind": ["a", "b"], "other": [0, 0], "y": [3, 4], "x": [1.0, 2.0]})

    found = asked(of(Column("x", "double"), Column("kind", "string"), Column("y", "double")), chunk)

    assert found == Asked(("x", "kind", "y"), [[[1.0, 3.0], [2.0, 4.0]], [["a"], ["b"]]])


def test_inputs_without_names_are_the_first_columns_that_are_no_keys() -> None:
    chunk = pa.table({"a": [1.0], "id": [7], "b": [2.0], "c": [3.0]})

    found = asked(of(Column(None, "double"), Column(None, "double")), chunk, keys=("id",))

    assert found == Asked(("a", "b"), [[[1.0, 2.0]]])


@pytest.mark.parametrize("shape", [(-1, 2), (-1, -1)])
@pytest.mark.parametrize("name", [None, "pixels"])
def test_a_tensor_is_columns_side_by_side(shape: tuple[int, ...], name: str | None) -> None:
    chunk = pa.table({"id": [7, 8], "a": [1.0, 3.0], "b": [2, 4]})

    found = asked(of(Tensor(name, "float32", shape)), chunk, keys=("id",))

    assert found == Asked(("a", "b"), [[[1.0, 2.0], [3.0, 4.0]]])


def test_probabilities_are_asked_for_by_name() -> None:
    question = Question(of(Column("x", "double")), ["x"], is_text=False)

    assert question.rows(pa.table({"x": [1.0]}), 0, probabilities=True).method == PREDICT_PROBA


def test_a_bad_value_is_named_by_its_row_in_the_whole_file() -> None:
    question = Question(of(Column("x", "long")), ["x"], is_text=True)

    with pytest.raises(BadInput, match="row 1003, column 'x': expected a long, got another text"):
        question.rows(pa.table({"x": ["1", "2", "three"]}), 1000)


def test_a_column_of_another_type_is_named() -> None:
    question = Question(of(Column("x", "double")), ["x"], is_text=False)

    with pytest.raises(BadInput, match="column 'x': expected a double, and the file has string there"):
        question.rows(pa.table({"x": ["a"]}), 0)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (FakeModel(), "no signature of plain columns"),
        (FakeModel(plan=plan.FreePlan()), "no signature of plain columns"),
        (of(Tensor("a", "float32", (-1, 2)), Tensor("b", "float32", (-1, 2))), "tensors that are no table"),
        (of(Tensor("a", "float32", (-1, 2, 2))), "tensors that are no table"),
        (of(Tensor("a", "uint8", (-1, 2))), "a tensor of uint8"),
        (of(*[Column(None, "double")] * 3), "takes 3 columns, and the file has 2 that are no keys"),
    ],
)
def test_what_no_table_can_hold_is_refused(model: FakeModel, reason: str) -> None:
    with pytest.raises(NotScored, match=reason):
        Question(model, ["a", "b"], is_text=False)


def test_rows_are_the_same_array_that_a_request_becomes() -> None:
    model = of(Column("x", "double"), Column("y", "double"))
    assert isinstance(model.plan, plan.Plan)
    body = b'{"dataframe_split": {"columns": ["x", "y"], "data": [[1.5, null], [2, 3]]}}'

    (sent,) = model.plan.rows("application/json", body).blocks
    (read,) = Question(model, ["x", "y"], is_text=False).rows(pa.table({"x": [1.5, 2], "y": [None, 3]}), 0).blocks

    np.testing.assert_array_equal(sent, read)
    assert sent.dtype == read.dtype
