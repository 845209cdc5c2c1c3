"""What callers of one signature lose by another: by example, and held against MLflow's own check of requests."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from mlflow.models import ModelSignature, validate_schema
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array

from pipelines.promotion.compatibility import breaks

LONG: list[Any] = [ColSpec("long")]


def columns(*inputs: ColSpec, outputs: list[Any] = LONG, params: list[ParamSpec] | None = None) -> ModelSignature:
    schema: Any = None if params is None else ParamSchema(params)  # MLflow types it too narrowly
    return ModelSignature(Schema(list(inputs)), Schema(outputs), schema)


def tensor(dtype: str, *shape: int, name: str | None = None) -> ModelSignature:
    return ModelSignature(Schema([TensorSpec(np.dtype(dtype), shape, name)]), Schema(LONG))


AGE, CITY = ColSpec("double", "age"), ColSpec("string", "city")
BOTH = columns(AGE, CITY)


@pytest.mark.parametrize(
    "new",
    [
        BOTH,
        columns(CITY, AGE),
        columns(CITY),
        columns(ColSpec("double", "age", required=False), CITY),
        columns(AGE, CITY, params=[ParamSpec("threshold", "double", 0.5)]),
    ],
)
def test_what_takes_as_much_and_answers_alike_breaks_nobody(new: ModelSignature) -> None:
    assert breaks(BOTH, new) == []


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (columns(AGE, CITY, ColSpec("long", "size")), "column 'size' is new"),
        (columns(AGE, ColSpec("string", "town")), "column 'town' is new"),
        (
            columns(AGE, CITY, ColSpec("long", "size", required=False)),
            "column 'size' is new, and serving refuses rows without it",
        ),
        (columns(ColSpec("float", "age"), CITY), "column 'age' is float, not double"),
        (columns(AGE, ColSpec("long", "city")), "column 'city' is long, not string"),
        (columns(AGE, CITY, outputs=[ColSpec("string")]), "it answers with string, not long"),
        (columns(AGE, CITY, outputs=[ColSpec("long", "label")]), "it answers with label long, not long"),
        (columns(AGE, CITY, outputs=[*LONG, *LONG]), "it answers with long, long, not long"),
        (columns(ColSpec("double"), ColSpec("string")), "its inputs have no names"),
        (tensor("float64", -1, 2), "it takes a tensor, not columns"),
        (ModelSignature(None, Schema(LONG)), "it does not say what it takes"),
    ],
)
def test_what_breaks_callers_is_named(new: ModelSignature, says: str) -> None:
    assert breaks(BOTH, new) == [says]


def test_no_outputs_any_more_is_another_answer() -> None:
    new = ModelSignature(BOTH.inputs)

    assert breaks(BOTH, new) == ["it answers with nothing it tells of, not long"]


@pytest.mark.parametrize(
    ("old", "new", "takes"),
    [
        ("integer", "long", True),
        ("integer", "double", True),
        ("float", "double", True),
        ("long", "double", False),
        ("integer", "float", False),
        ("long", "integer", False),
        ("double", "float", False),
        ("boolean", "long", False),
        ("double", "string", False),
    ],
)
def test_a_wider_type_takes_what_a_narrower_one_did(old: str, new: str, takes: bool) -> None:
    found = breaks(columns(ColSpec(old, "x"), CITY), columns(ColSpec(new, "x"), CITY))

    assert found == ([] if takes else [f"column 'x' is {new}, not {old}"])


def test_a_column_that_could_be_left_out_and_no_longer_can_breaks() -> None:
    optional = ColSpec("double", "age", required=False)

    assert breaks(columns(optional, CITY), BOTH) == ["column 'age' is no longer optional"]


def test_where_one_tensor_can_stand_for_all_columns_their_places_count() -> None:
    """Serving takes [n, k] for columns of one type, by their places: another order would be answered, and wrongly."""
    old = columns(AGE, ColSpec("double", "height"))

    turned = breaks(old, columns(ColSpec("double", "height"), AGE))
    fewer = breaks(old, columns(AGE))

    assert turned == ["it takes the columns in another order, which one tensor for all of them cannot tell"]
    assert fewer == ["it takes the columns without 'height', which one tensor for all of them cannot tell"]


def test_nested_columns_must_be_the_same() -> None:
    old = columns(ColSpec(Array(DataType.double), "spectrum"), CITY)

    assert breaks(old, old) == []
    assert breaks(old, columns(ColSpec(Array(DataType.string), "spectrum"), CITY)) == [
        "column 'spectrum' is Array(string), not Array(double)"
    ]


def test_columns_without_names_count_by_their_places() -> None:
    old = columns(ColSpec("integer"), ColSpec("string"))

    assert breaks(old, columns(ColSpec("long"), ColSpec("string"))) == []
    assert breaks(old, columns(ColSpec("string"), ColSpec("string"))) == ["column 0 is string, not integer"]
    assert breaks(old, columns(ColSpec("integer"))) == ["it takes 1 columns, not 2"]


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (tensor("float32", -1, 3), []),
        (tensor("float32", -1, -1), []),
        (tensor("float64", -1, 3), ["the tensor is float64, not float32"]),
        (tensor("float32", -1, 4), ["the tensor has the shape [-1, 4], not [-1, 3]"]),
        (tensor("float32", 1, 3), ["the tensor has the shape [1, 3], not [-1, 3]"]),
        (tensor("float32", -1, 3, 1), ["the tensor has the shape [-1, 3, 1], not [-1, 3]"]),
        (tensor("float32", -1, 3, name="x"), ["its inputs have names, which callers do not send"]),
    ],
)
def test_a_tensor_must_fit_where_the_former_did(new: ModelSignature, says: list[str]) -> None:
    assert breaks(tensor("float32", -1, 3), new) == says


def test_a_model_that_takes_anything_has_no_callers_to_break_but_for_its_answers() -> None:
    assert breaks(ModelSignature(None, Schema(LONG)), BOTH) == []


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ([ParamSpec("k", "long", 3)], []),
        ([ParamSpec("k", "double", 3.0), ParamSpec("new", "string", "a")], []),
        ([ParamSpec("k", "string", "3")], ["param 'k' is string, not long"]),
        ([ParamSpec("k", "long", [3], shape=(-1,))], ["param 'k' is a list, not one value"]),
        ([], ["param 'k' is gone"]),
        (None, ["param 'k' is gone"]),
    ],
)
def test_params_that_callers_send_must_go_on_to_count(after: list[ParamSpec] | None, says: list[str]) -> None:
    assert breaks(columns(AGE, CITY, params=[ParamSpec("k", "long", 3)]), columns(AGE, CITY, params=after)) == says


TYPES = {
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "string": st.text(max_size=3),
}
LIKELY = {"integer": ["long", "double", "float"], "long": ["double", "integer"], "float": ["double", "long"]}
"""What people change a type to."""


@st.composite
def changed(draw: st.DrawFn, old: list[Any]) -> list[Any]:
    """As people change signatures: most columns stay, some go, come, change their type or become optional."""
    new: list[Any] = []
    for column in draw(st.permutations(old)):
        what = draw(st.sampled_from(["keep", "keep", "type", "type", "optional", "drop"]))
        kind = draw(st.sampled_from(LIKELY.get(column.type.name, ["double"]))) if what == "type" else column.type.name
        if what != "drop":
            new.append(ColSpec(kind, column.name, required=column.required and what != "optional"))
    if draw(st.integers(0, 4)) == 0:
        new.append(ColSpec("double", "new", required=draw(st.booleans())))
    return new


@st.composite
def signatures(draw: st.DrawFn) -> tuple[ModelSignature, ModelSignature, pd.DataFrame]:
    """Before, after, and rows that fit the one before."""
    names = draw(st.lists(st.sampled_from("abc"), min_size=1, unique=True))
    old: list[Any] = [ColSpec(draw(st.sampled_from(sorted(TYPES))), name) for name in names]
    new = draw(changed(old))
    assume(new)
    rows = {
        str(column.name): pd.Series(draw(st.lists(TYPES[column.type.name], min_size=2, max_size=2))).astype(
            object if column.type.name == "string" else column.type.to_numpy()
        )
        for column in old
    }
    return columns(*old), columns(*new), pd.DataFrame(rows)


@settings(max_examples=300)
@given(case=signatures())
def test_what_is_called_compatible_mlflow_lets_in(case: tuple[ModelSignature, ModelSignature, pd.DataFrame]) -> None:
    old, new, rows = case
    validate_schema(rows, old.inputs)

    found = breaks(old, new)

    event("compatible" if not found else "broken")
    if not found:
        validate_schema(rows, new.inputs)
