"""What is given as a DataFrame, an array, a dict or rows is the same question, over HTTP and gRPC: properties.

The other end is serving's own decoding, so that no server is needed.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example
from hypothesis import given as for_all
from hypothesis import strategies as st

from serving import interface as theirs
from serving.client import InvalidInput
from serving.client.given import read
from serving.client.interface import Input, Interface
from serving.client.over_grpc import OverGrpc
from serving.client.over_http import OverHttp
from serving.decoding import plan
from serving.protocol import JSON, Column, Signature, Tensor
from serving.rpc.codec import params_of, tensors_of
from serving.rpc.generated.open_inference_pb2 import ModelInferRequest

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "double": st.floats(allow_infinity=False) | st.integers(-(2**31), 2**31 - 1).map(float),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "long": st.integers(-(2**63), 2**63 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "boolean": st.booleans(),
    "string": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[Signature, dict[str, list[Any]]]:
    """A signature of columns, and values by column, at least a row."""
    types = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    names = draw(st.lists(st.text("abc \"é'", min_size=1, max_size=4), min_size=len(types), max_size=4, unique=True))
    count = draw(st.integers(1, 4))
    columns = tuple(Column(name, kind) for name, kind in zip(names, types, strict=False))
    values = {str(each.name): draw(st.lists(VALUES[each.type], min_size=count, max_size=count)) for each in columns}
    return Signature(columns), values


def described(signature: Signature) -> Interface:
    """As the server's metadata does."""
    inputs = tuple(Input(each.name, each.datatype, each.shape) for each in theirs.inputs(signature))
    return Interface("7", inputs, isinstance(signature.inputs[0], Column))


def over_http(signature: Signature, rows: Any, params: dict[str, Any] | None = None) -> Any:
    """The blocks that the model gets, and the method that it is asked for."""
    compiled = plan.compile(signature)
    assert compiled is not None
    question = OverHttp("iris").asks(read(rows).rows, described(signature), params or {}, "id")
    found = compiled.rows(JSON, question.request.body)
    return [block.tolist() for block in found.blocks], found.method


def over_grpc(signature: Signature, rows: Any, params: dict[str, Any] | None = None) -> Any:
    compiled = plan.compile(signature)
    assert compiled is not None
    question = OverGrpc("iris").asks(read(rows).rows, described(signature), params or {}, "id")
    message = ModelInferRequest.FromString(question.request.message.SerializeToString())
    found = compiled.tensors(dict(tensors_of(message)), params_of(message))
    return [block.tolist() for block in found.blocks], found.method


def forms(values: dict[str, list[Any]]) -> dict[str, Any]:
    rows = [list(row) for row in zip(*values.values(), strict=True)]
    array = np.empty((len(rows), len(values)), object)
    for at, row in enumerate(rows):
        array[at] = row
    return {
        "frame": pd.DataFrame(values),
        "columns": values,
        "arrays by column": {name: np.array(column) for name, column in values.items()},
        "records": [dict(zip(values, row, strict=True)) for row in rows],
        "rows": rows,
        "tuples": [tuple(row) for row in rows],
        "array": array,
    }


@for_all(tables())
@example((Signature((Column("a", "double"),)), {"a": [float("nan"), 1e308]}))
@example((Signature((Column("a", "string"), Column("b", "long"))), {"a": ["00123"], "b": [2**63 - 1]}))
def test_every_form_over_either_protocol_is_the_same_question(table: tuple[Signature, dict[str, list[Any]]]) -> None:
    signature, values = table
    wanted = over_http(signature, values)

    for name, form in forms(values).items():
        assert repr(over_http(signature, form)) == repr(wanted), name
        assert repr(over_grpc(signature, form)) == repr(wanted), name


@for_all(tables())
def test_the_values_arrive_as_they_are(table: tuple[Signature, dict[str, list[Any]]]) -> None:
    signature, values = table
    ((block, *others), _) = over_grpc(signature, values)

    if not others:
        assert repr([list(row) for row in zip(*values.values(), strict=True)]) == repr(block)


@for_all(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.booleans(), st.data())
def test_a_tensor_arrives_in_its_shape(count: int, high: int, wide: int, named: bool, data: st.DataObject) -> None:
    signature = Signature((Tensor("picture" if named else None, "float32", (-1, high, wide)),))
    flat = data.draw(st.lists(VALUES["float"], min_size=count * high * wide, max_size=count * high * wide))
    picture = np.array(flat, np.float32).reshape(count, high, wide)
    given = [picture, picture.tolist(), *([{"picture": picture}] if named else [])]

    for each in given:
        assert over_http(signature, each) == ([picture.tolist()], "predict")
        assert over_grpc(signature, each) == ([picture.tolist()], "predict")


def test_several_tensors_are_given_by_name() -> None:
    signature = Signature((Tensor("a", "float64", (-1, 2)), Tensor("b", "int64", (-1,))))
    given = {"a": np.array([[1.0, 2], [3, 4]]), "b": [5, 6]}

    assert over_http(signature, given) == over_grpc(signature, given) == ([[[1, 2], [3, 4]], [5, 6]], "predict")
    with pytest.raises(InvalidInput, match="give them by name"):
        over_grpc(signature, given["a"])


@pytest.mark.parametrize("number", [1e300, -1e300, 1e-300, 2**53 + 1, 16_777_217])
def test_a_number_that_is_too_much_for_the_column_is_rounded_alike(number: float) -> None:
    signature, given = Signature((Column("a", "float"), Column("b", "double"))), {"a": [number], "b": [number]}

    assert over_http(signature, given) == over_grpc(signature, given)


def test_params_ask_for_probabilities_over_both() -> None:
    signature, given = Signature((Column("a", "double"),)), {"a": [1.0]}
    params = {"predict_proba": True}

    assert over_http(signature, given, params) == over_grpc(signature, given, params) == ([[[1.0]]], "predict_proba")


@pytest.mark.parametrize("value", [[1], None, 2**63, "\ud800"])
def test_a_param_that_grpc_has_no_place_for_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidInput, match="param 'odd': gRPC takes a boolean, a number of 64 bits or a text"):
        over_grpc(Signature((Column("a", "double"),)), {"a": [1.0]}, {"odd": value})


def test_dates_of_a_frame_arrive_whether_they_have_a_fraction_or_not() -> None:
    signature = Signature((Column("when", "datetime"),))
    when = pd.to_datetime(["2026-01-02", "2026-01-02 03:04:05.000000006"], format="ISO8601")
    nanoseconds = [when.as_unit("ns").asi8.tolist()]

    ((block,), _) = over_http(signature, pd.DataFrame({"when": when}))

    assert np.array(block, "datetime64[ns]").astype(int).T.tolist() == nanoseconds


def test_what_the_model_does_not_take_is_left_aside_over_both() -> None:
    signature, given = Signature((Column("a", "double"),)), {"a": [1.0], "id": ["x"]}

    assert over_http(signature, given) == over_grpc(signature, given) == ([[[1.0]]], "predict")


def test_a_missing_text_is_sent_over_http_and_refused_for_grpc() -> None:
    signature, given = Signature((Column("a", "string"),)), pd.DataFrame({"a": ["x", None]})

    assert over_http(signature, given) == ([[["x"], [None]]], "predict")
    with pytest.raises(InvalidInput, match="input 'a': a text is missing"):
        over_grpc(signature, given)
