import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.decoding.explain import explain, missing_value
from serving.protocol import CSV, JSON, Column, Param, Signature, Tensor

TABLE = Signature(
    inputs=(Column("mean radius", "double"), Column("count", "long"), Column("kind", "string", required=False)),
    params=(Param("threshold", "double", 0.5), Param("names", "string", ["a"], is_list=True)),
)
PICTURES = Signature((Tensor(None, "float32", (-1, 2, 2)),))
PAIRS = Signature((Tensor("a", "float64", (-1, 2)), Tensor("b", "int64", (-1,))))
NAMELESS = Signature((Column(None, "double"), Column(None, "double")))
MARKER = "secret-payload"


def split(*data: object, columns: object = ("mean radius", "count")) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": data}}


@pytest.mark.parametrize(
    ("signature", "payload", "reason"),
    [
        (TABLE, [], "expected a JSON object with one of"),
        (TABLE, {}, "got none of them"),
        (TABLE, {"inputs": [], "instances": []}, "got instances and inputs"),
        (TABLE, {"dataframe_split": MARKER}, "dataframe_split must be an object with columns and data, got a string"),
        (TABLE, {"dataframe_split": {"rows": []}}, "dataframe_split must have data"),
        (TABLE, split(MARKER), "row 1 of dataframe_split's data must be a list, got a string"),
        (TABLE, split([1, 2], [1, 2, 3]), "row 2 has 3 values for 2 columns"),
        (TABLE, split([1], columns=["count"]), "column 'mean radius' is missing"),
        (TABLE, split([1], columns=[MARKER]), "columns 'mean radius', 'count' are missing"),
        (TABLE, split([1.0, 1], [MARKER, 1]), "row 2, column 'mean radius': expected a double, got a string"),
        (TABLE, split([1.0, None]), "row 1, column 'count': expected a long, got null"),
        (TABLE, split([{"a": MARKER}, 1]), "row 1, column 'mean radius': expected a double, got an object"),
        (TABLE, {"dataframe_records": {}}, "dataframe_records must be a list of objects, got an object"),
        (TABLE, {"dataframe_records": [{}, MARKER]}, "row 2 of dataframe_records must be an object, got a string"),
        (TABLE, {"dataframe_records": [{"count": 1}]}, "column 'mean radius' is missing"),
        (TABLE, {"instances": [{"mean radius": 1, "count": MARKER}]}, "row 1, column 'count': expected a long"),
        (TABLE, {"inputs": {"mean radius": [1], "count": [1, MARKER]}}, "row 2, column 'count': expected a long"),
        (TABLE, {"inputs": [[1, 2]]}, "the model has named inputs"),
        (TABLE, {"inputs": MARKER}, "inputs must be a list, got a string"),
        (TABLE, {**split([1, 1]), "params": [MARKER]}, "params must be an object, got a list"),
        (TABLE, {**split([1, 1]), "params": {"threshold": MARKER}}, "param 'threshold': expected a double"),
        (TABLE, {**split([1, 1]), "params": {"names": [1]}}, "param 'names': expected a string list"),
        (TABLE, split([1.0, 1]), "which expects mean radius (double), count (long), kind (string, optional)"),
        (PICTURES, {"instances": [[1, 2], [3, 4]]}, "the input: expected shape (-1, 2, 2), got (2, 2)"),
        (PICTURES, {"instances": [[[1, 2], [3]]]}, "the input: lists beside each other differ in length"),
        (PICTURES, {"inputs": [[[1, 2], [3, MARKER]]]}, "row 1 of the input: expected float32, got a string"),
        (PAIRS, {"inputs": {"a": [[1, 2]]}}, "column 'b' is missing"),
        (PAIRS, {"inputs": {"a": [[1]], "b": [1]}}, "input 'a': expected shape (-1, 2), got (1, 1)"),
        (PAIRS, {"inputs": {"a": [[1, 2]], "b": [None]}}, "row 1 of input 'b': expected int64, got null"),
        (NAMELESS, split([1.0, MARKER], columns=["p", "q"]), "row 1, column 2: expected a double, got a string"),
        (NAMELESS, split([1.0], columns=["p"]), "column 2 is missing"),
        (Signature(), {"inputs": [MARKER]}, "the model, which does not say what it expects"),
    ],
)
def test_a_json_body_is_told_what_is_wrong_and_where(signature: Signature, payload: object, reason: str) -> None:
    told = explain(signature, JSON, json.dumps(payload).encode())

    assert reason in told
    assert MARKER not in told


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the CSV is empty"),
        (b"x,size1,2", "the CSV has a line of names and no row (curl: --data-binary"),
        (b"count\n1\n", "column 'mean radius' is missing"),
        (
            b"mean radius,count\n1.5,1\n\nsecret-payload,2\n",
            "row 2, column 'mean radius': expected a double, got a string",
        ),
        (b"mean radius,count\n1.5,\n", "row 1, column 'count': expected a long, got null"),
        (b"mean radius,count\n1,2,3\n", "row 1 has 3 values for 2 columns"),
        (b"\xff\xfe", "the body is not UTF-8"),
    ],
)
def test_a_csv_body_is_told_what_is_wrong_and_where(body: bytes, reason: str) -> None:
    told = explain(TABLE, CSV, body)

    assert reason in told
    assert MARKER not in told


def test_a_body_that_is_not_json_is_told_the_place() -> None:
    assert explain(TABLE, JSON, b'{"inputs": \n secret-payload}') == "the body is not JSON: line 2, column 2"


def test_a_body_nested_too_deeply_is_told_so() -> None:
    assert explain(TABLE, JSON, b'{"inputs":' + b"[" * 100_000) == "the body is nested too deeply"


def test_the_missing_number_is_named() -> None:
    body = json.dumps(split([1.0, 1], [None, 1])).encode()

    assert missing_value(TABLE, JSON, body) == "row 2, column 'mean radius': expected a number, got null"
    assert missing_value(TABLE, JSON, json.dumps(split([1.0, 1])).encode()) is None


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.just(MARKER)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["mean radius", "count", "a", "b", "columns", "data", MARKER]), inner, max_size=3
        )
    ),
)
BODIES = st.dictionaries(
    st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params", MARKER]),
    VALUES,
    max_size=3,
)


@given(BODIES | VALUES, st.sampled_from([TABLE, PICTURES, PAIRS, NAMELESS, Signature()]))
def test_every_body_gets_one_reason_that_repeats_nothing(payload: object, signature: Signature) -> None:
    body = json.dumps(payload).encode()

    assert explain(signature, JSON, body)
    assert MARKER not in explain(signature, JSON, body) + (missing_value(signature, JSON, body) or "")


@given(st.binary() | st.text().map(str.encode))
def test_every_csv_gets_one_reason(body: bytes) -> None:
    assert explain(TABLE, CSV, body)
