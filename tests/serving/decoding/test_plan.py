"""Whatever `Plan` answers is also put to MLflow: same accepts, same refusals, same numbers."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from serving.decoding import plan
from serving.errors import InvalidInput
from serving.protocol import JSON, MEDIA_TYPES, PREDICT, PREDICT_PROBA, Column, Param, Rows, Signature, Tensor
from tests.serving.decoding.oracle import Oracle, difference

MARKER = "secret-payload"
MEASURES = Signature((Column("x", "double"), Column("y", "double")))
MIXED = Signature(
    (Column("age", "double"), Column("kind", "string"), Column("rooms", "long"), Column("new", "boolean"))
)
PARAMS = Signature(
    (Column("x", "double"),),
    params=(Param("factor", "double", 2.0), Param("names", "string", ["a"], is_list=True), Param("top", "long", 3)),
)
PICTURE = Signature((Tensor(None, "float32", (-1, 2, 2)),))
NAMED = Signature((Tensor("a", "float64", (-1, 2)), Tensor("b", "int64", (-1,))))


def planned(signature: Signature) -> plan.Plan:
    made = plan.compile(signature)
    assert made is not None
    return made


def body(payload: Any) -> bytes:
    return json.dumps(payload).encode()


def split(columns: list[Any] | None, *data: list[Any], **more: Any) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": data, **more}}


def arrays(rows: Rows) -> list[Any]:
    return [array.tolist() for array in rows.blocks]


# Blocks


def test_columns_of_one_type_stand_side_by_side_in_the_signatures_order() -> None:
    signature = Signature(
        tuple(Column(name, of) for name, of in zip("abcd", ("long", "double", "long", "string"), strict=True))
    )

    made = planned(signature)

    assert [(block.dtype, block.names, block.at, block.shape) for block in made.blocks] == [
        ("int64", ("a", "c"), (0, 2), (2,)),
        ("float64", ("b",), (1,), (1,)),
        ("object", ("d",), (3,), (1,)),
    ]
    rows = made.fast(body(split(list("dcba"), ["z", 3, 2.5, 1])))
    assert arrays(rows) == [[[1, 3]], [[2.5]], [["z"]]]
    assert [array.dtype for array in rows.blocks] == [np.int64, np.float64, object]


def test_each_tensor_is_a_block() -> None:
    assert [(block.names, block.shape) for block in planned(NAMED).blocks] == [(("a",), (2,)), (("b",), ())]
    assert planned(PICTURE).blocks[0].shape == (2, 2)


@pytest.mark.parametrize(
    "signature",
    [
        Signature(),
        Signature((Column("x", "array"),)),
        Signature((Column("x", "any"),)),
        Signature((Tensor(None, "float32", (3, 2)),)),
        Signature((Tensor("a", "float32", ()),)),
        Signature((Column("x", "double"),), params=(Param("p", "object", None),)),
    ],
)
def test_what_only_mlflow_can_check_has_no_plan(signature: Signature) -> None:
    assert plan.compile(signature) is None


# The usual bodies


@pytest.mark.parametrize(
    "payload",
    [
        split(["x", "y"], [1.5, 2], [3, 4.5]),
        split(["x", "y"], [1.5, 2], [3, 4.5], index=[7, 8]),
        split(["y", "x"], [2, 1.5], [4.5, 3]),
        split(["id", "y", "x"], ["a", 2, 1.5], ["b", 4.5, 3]),
        {"dataframe_records": [{"x": 1.5, "y": 2}, {"y": 4.5, "x": 3}]},
        {"dataframe_records": [{"x": 1.5, "y": 2, "id": "a"}, {"y": 4.5, "x": 3}]},
        {"instances": [{"x": 1.5, "y": 2}, {"y": 4.5, "x": 3}]},
        {"inputs": [{"x": 1.5, "y": 2}, {"y": 4.5, "x": 3}]},
        {"inputs": {"y": [2, 4.5], "x": [1.5, 3]}},
        {**split(["x", "y"], [1.5, 2], [3, 4.5]), "params": {"ignored": MARKER}},
    ],
)
def test_usual_bodies_are_decoded_fast(payload: Any) -> None:
    rows = planned(MEASURES).fast(body(payload))

    assert arrays(rows) == [[[1.5, 2], [3, 4.5]]]
    assert (rows.count, rows.method, rows.params) == (2, PREDICT, {})
    assert rows.blocks[0].flags.c_contiguous
    assert rows.blocks[0].flags.writeable


def test_a_null_among_numbers_is_fast_and_nan() -> None:
    rows = planned(MEASURES).fast(body(split(["x", "y"], [None, 2], [3, None])))

    np.testing.assert_array_equal(rows.blocks[0], [[np.nan, 2], [3, np.nan]])


def test_tensors_are_decoded_fast() -> None:
    assert arrays(planned(PICTURE).fast(body({"instances": [[[1, 2], [3, 4]]]}))) == [[[[1, 2], [3, 4]]]]
    assert arrays(planned(NAMED).fast(body({"inputs": {"b": [1], "a": [[1, 2]]}}))) == [[[1, 2]], [1]]


@pytest.mark.parametrize(
    "sent",
    [
        body(split(["x", "y"], [1.5, "2"])),
        body(split(["x", "y"], [1.5, True])),
        body(split(["x", "y"], [1.5])),
        body(split(["x"], [1.5])),
        body(split(["x", "y", "y"], [1.5, 2, 3])),
        body(split(["x", "y"])),
        body(split(["x", "y"], [1.5, 2], index=[])),
        body({**split(["x", "y"], [1.5, 2]), "prompt": 1}),
        body({**split(["x", "y"], [1.5, 2]), "inputs": []}),
        body({"inputs": {"x": [1], "y": [1, 2]}}),
        body({"inputs": {"x": [1], "y": [1], "id": ["a", "b"]}}),
        b'{"dataframe_records": [{"x": 1, "y": NaN}]}',
        b'{"dataframe_records": [{"x": 1, "y": 2, "id": "\xff"}]}',
        b'{"dataframe_records": [{"x": 1, "y": 2, "id": ' + b"1" * 5000 + b"}]}",
        b"",
    ],
)
def test_what_is_in_doubt_is_left_to_the_complete_way(sent: bytes) -> None:
    with pytest.raises(plan.Unplanned):
        planned(MEASURES).fast(sent)


def test_many_orders_of_columns_are_remembered_and_none_wrongly() -> None:
    signature = Signature(tuple(Column(name, "double") for name in "abcde"))
    made = planned(signature)

    for shift in range(100):
        names = ["abcde"[(at + shift) % 5] + "" for at in range(5)] + [f"extra{shift}"]
        payload = split(names, [ord(name[0]) for name in names])
        assert arrays(made.fast(body(payload))) == [[[97, 98, 99, 100, 101]]]


# Params


@pytest.mark.parametrize(
    ("params", "own", "method"),
    [
        (None, {"factor": 2.0, "names": ["a"], "top": 3}, PREDICT),
        ({"factor": 3, "other": MARKER}, {"factor": 3.0, "names": ["a"], "top": 3}, PREDICT),
        ({"names": [], "predict_proba": True}, {"factor": 2.0, "names": [], "top": 3}, PREDICT_PROBA),
        ({"predict_proba": False}, {"factor": 2.0, "names": ["a"], "top": 3}, PREDICT),
    ],
)
def test_params_are_checked_filled_in_and_may_ask_for_probabilities(params: Any, own: Any, method: str) -> None:
    sent = body({**split(["x"], [1.5]), "params": params})

    for rows in (planned(PARAMS).fast(sent), planned(PARAMS).rows(JSON, sent)):
        assert (rows.params, rows.method) == (own, method)


@pytest.mark.parametrize("params", [{"factor": "1"}, {"names": "b"}, {"top": True}, [MARKER], {"predict_proba": 1}])
def test_wrong_params_are_refused(params: Any) -> None:
    sent = body({**split(["x"], [1.5]), "params": params})

    with pytest.raises(plan.Unplanned):
        planned(PARAMS).fast(sent)
    with pytest.raises(InvalidInput, match="param"):
        planned(PARAMS).rows(JSON, sent)


def test_a_models_own_param_of_that_name_is_its_own() -> None:
    signature = Signature((Column("x", "double"),), params=(Param("predict_proba", "string", "no"),))
    sent = body({**split(["x"], [1.5]), "params": {"predict_proba": "yes"}})

    rows = planned(signature).fast(sent)

    assert (rows.method, rows.params) == (PREDICT, {"predict_proba": "yes"})


# Reasons


def test_a_refusal_gives_the_reason_and_never_what_was_sent() -> None:
    with pytest.raises(InvalidInput, match="row 2, column 'rooms': expected a long, got a string") as refused:
        planned(MIXED).rows(
            JSON, body(split(["age", "kind", "rooms", "new"], [1, "a", 2, True], [1, "a", MARKER, True]))
        )

    assert MARKER not in str(refused.value)


def test_an_optional_column_may_be_null_but_not_left_out() -> None:
    made = planned(Signature((Column("x", "double", required=False), Column("kind", "string", required=False))))

    assert arrays(made.rows(JSON, body(split(["x", "kind"], ["1.5", None])))) == [[[1.5]], [[None]]]
    with pytest.raises(InvalidInput, match="column 'kind' is missing"):
        made.rows(JSON, body(split(["x"], [1.5])))


# Open Inference


@pytest.mark.parametrize("type_name", ["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"])
@pytest.mark.parametrize("values", [[0, 1], [0, 3]])
@pytest.mark.parametrize(
    "dtype", ["bool", *(f"{sign}{size}" for sign in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8"]
)
def test_a_tensor_fits_a_column_as_mlflow_lets_that_dtype_in(type_name: str, values: list[int], dtype: str) -> None:
    signature = Signature((Column("x", type_name),))
    tensor = np.array(values).astype(dtype)
    arrived = Oracle(signature).frame(pd.DataFrame({"x": tensor}))

    if arrived is None:
        with pytest.raises(InvalidInput, match=r"column 'x': expected an? "):
            planned(signature).tensors({"x": tensor})
    else:
        rows = planned(signature).tensors({"x": tensor})
        assert difference(signature, planned(signature).blocks, rows, arrived) is None


def test_tensors_come_a_column_each_or_all_in_one() -> None:
    made, table = planned(MEASURES), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    for tensors in ({"y": table[:, 1], "x": table[:, :1], "other": np.zeros(9)}, {"input": table}):
        rows = made.tensors(tensors)
        np.testing.assert_array_equal(rows.blocks[0], table)
        assert rows.count == 3


def test_texts_come_as_bytes() -> None:
    signature = Signature((Column("kind", "string"), Column("raw", "binary")))

    rows = planned(signature).tensors({each: np.array(["é".encode()], object) for each in ("kind", "raw")})

    assert arrays(rows) == [[["é"]], [["é".encode()]]]


def test_a_signatures_own_tensors_must_fit_exactly() -> None:
    rows = planned(NAMED).tensors({"a": np.ones((2, 2)), "b": np.ones(2, np.int64)}, {"predict_proba": True})

    assert (rows.count, rows.method) == (2, PREDICT_PROBA)
    for wrong in (np.ones((2, 2), np.float32), np.ones((2, 3)), np.ones(2), np.ones((3, 2))):
        with pytest.raises(InvalidInput, match=r"input 'a': expected|number of rows"):
            planned(NAMED).tensors({"a": wrong, "b": np.ones(2, np.int64)})


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({}, "column 'x' is missing"),
        ({"x": np.ones(2)}, "column 'y' is missing"),
        ({"x": np.ones(2), "y": np.ones(3)}, "differ in their number of rows"),
        ({"x": np.ones((2, 2)), "y": np.ones(2)}, r"column 'x': expected shape \[n\] or \[n, 1\], got \[2, 2\]"),
        ({"table": np.ones((2, 3))}, "expected 2 columns, got 3"),
        ({"x": np.array([b"a"], object), "y": np.ones(1)}, "column 'x': expected a double, got texts"),
    ],
)
def test_tensors_that_do_not_fit_are_told_why(tensors: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        planned(MEASURES).tensors(tensors)


def test_a_model_without_a_signature_takes_any_tensors_and_nothing_else() -> None:
    free = plan.FreePlan()

    assert free.tensors({"x": np.ones((2, 3))}).names is None
    assert free.tensors({"x": np.ones(2), "y": np.ones((2, 1))}).names == ("x", "y")
    with pytest.raises(InvalidInput):
        free.tensors({"x": np.ones(2), "y": np.ones(3)})
    with pytest.raises(InvalidInput):
        free.rows(JSON, b"{}")
    with pytest.raises(plan.Unplanned):
        free.fast(b"{}")


# Beside MLflow


TYPES = ("double", "float", "long", "integer", "boolean", "string", "binary", "datetime")
NUMBERS = [0, 1, -1, 2, 1.5, -0.0, 0.1, 2**31, 2**53 + 1, 2**60 + 12345, 2**63, -(2**63), 2**64, 1e40, 1e300, 10**30]
TEXTS = ["", "a", "1", " 2 ", "1.5", "nan", "-inf", "1_0", "é", "a\0", "True", "YQ==", "2024-01-01"]
NATURAL: dict[str, st.SearchStrategy[Any]] = {
    "double": st.none() | st.floats() | st.integers(-9, 9),
    "float": st.none() | st.floats(width=32) | st.integers(-9, 9),
    "long": st.integers(-9, 9),
    "integer": st.integers(-9, 9),
    "boolean": st.booleans(),
    "string": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    "binary": st.sampled_from(["", "YQ==", "YWI="]),
    "datetime": st.none() | st.sampled_from(["2024-01-01", "1999-12-31"]),
}
ODD = st.sampled_from([*NUMBERS, *TEXTS, None, True, False, float("nan"), float("inf")])
NESTED = st.sampled_from([[], [1], [[1.5]], {}, {"a": 1}])
NAMES = st.sampled_from(["x", "y", "a b", "é", "0", 'q"', "input"])


@st.composite
def tables(draw: st.DrawFn, types: tuple[str, ...] = TYPES) -> Signature:
    of = draw(
        st.lists(st.sampled_from(types), min_size=1, max_size=4) | st.sampled_from(types).map(lambda each: [each] * 3)
    )
    names: list[Any] = draw(st.lists(NAMES, min_size=len(of), max_size=len(of), unique=True))
    if draw(st.integers(0, 4)) == 0:
        names = [None] * len(of)
    return Signature(tuple(Column(name, each) for name, each in zip(names, of, strict=True)))


@st.composite
def payloads(draw: st.DrawFn, signature: Signature, odd: st.SearchStrategy[Any]) -> Any:
    """Near what fits: columns in any order, now and then one too many or too few, and odd values."""
    inputs = [(each.name or str(at), each) for at, each in enumerate(signature.inputs)]
    chosen = draw(st.permutations(inputs))
    if draw(st.integers(0, 9)) == 0:
        chosen = chosen[1:]
    if draw(st.integers(0, 5)) == 0:
        chosen = [*chosen, ("extra", Column("extra", draw(st.sampled_from(TYPES))))]
    is_odd = st.sampled_from([False] * draw(st.sampled_from([1, 4, 30])) + [True])
    names = [name for name, _ in chosen]
    data = [[draw(odd if draw(is_odd) else _cell(each)) for _, each in chosen] for _ in range(draw(st.integers(0, 3)))]
    return draw(st.sampled_from(FORMS))(draw, names, data)


def _cell(each: Column | Tensor) -> st.SearchStrategy[Any]:
    if isinstance(each, Column):
        return NATURAL[each.type]
    of: st.SearchStrategy[Any] = st.integers(0, 3) | st.just(1.5)
    for length in reversed(each.shape[1:]):
        of = st.lists(of, min_size=max(length, 1), max_size=max(length, 1))
    return of


def _split(draw: st.DrawFn, names: list[str], data: list[list[Any]]) -> Any:
    index = draw(st.sampled_from([None, list(range(len(data))), list(range(1, len(data) + 1))]))
    columns = draw(st.sampled_from([names, names, names, list(range(len(names))), None]))
    if data and draw(st.integers(0, 9)) == 0:
        data = [*data[:-1], data[-1][: draw(st.integers(0, 2))]]
    return split(columns, *data, **({} if index is None else {"index": index}))


def _records(form: str) -> Callable[[st.DrawFn, list[str], list[list[Any]]], Any]:
    return lambda _draw, names, data: {form: [dict(zip(names, row, strict=True)) for row in data]}


def _lists(form: str) -> Callable[[st.DrawFn, list[str], list[list[Any]]], Any]:
    return lambda _draw, names, data: {form: {name: [row[at] for row in data] for at, name in enumerate(names)}}


def _bare(form: str) -> Callable[[st.DrawFn, list[str], list[list[Any]]], Any]:
    return lambda draw, _names, data: {form: draw(st.sampled_from([data, [row[0] for row in data if row]]))}


def _single(_draw: st.DrawFn, names: list[str], data: list[list[Any]]) -> Any:
    return {"inputs": dict(zip(names, data[0], strict=True)) if data else {}}


FORMS = [
    _split,
    _split,
    _records("dataframe_records"),
    _records("instances"),
    _records("inputs"),
    _lists("inputs"),
    _lists("instances"),
    _bare("inputs"),
    _bare("instances"),
    _single,
]


@st.composite
def nests(draw: st.DrawFn) -> Signature:
    shapes = st.lists(st.sampled_from([1, 2, 3, -1]), max_size=2).map(lambda rest: (-1, *rest))
    dtypes = st.sampled_from(["float64", "float32", "int64", "int32", "uint8", "bool", "float16", "str", "object"])
    names = draw(st.just([None]) | st.lists(NAMES, min_size=1, max_size=2, unique=True))
    return Signature(tuple(Tensor(name, draw(dtypes), draw(shapes)) for name in names))


modest = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def agreed(signature: Signature, sent: bytes, *, alike: bool) -> None:
    """What is accepted here reaches MLflow's model just so; `alike`: and MLflow accepts no more than that."""
    made, theirs = planned(signature), Oracle(signature)(JSON, sent)
    try:
        ours = made.rows(JSON, sent)
    except InvalidInput:
        assert theirs is None or not alike, f"MLflow takes {theirs}"
        with pytest.raises(plan.Unplanned):
            made.fast(sent)
        return
    assert theirs is not None, "MLflow refuses"
    assert difference(signature, made.blocks, ours, theirs[0]) is None
    assert ours.params == theirs[1]
    try:
        quick = made.fast(sent)
    except plan.Unplanned:
        return
    assert (quick.count, quick.method, quick.params) == (ours.count, ours.method, ours.params)
    for fast, slow in zip(quick.blocks, ours.blocks, strict=True):
        assert fast.shape == slow.shape
        np.testing.assert_array_equal(fast, slow, strict=slow.dtype.kind not in "US")


TEXT = Signature((Column("kind", "string"),))
FLAG = Signature((Column("new", "boolean"),))


@pytest.mark.parametrize(
    ("signature", "sent"),
    [
        # Rounding to 64 bits first would round it to another float.
        (Signature((Column("x", "float"),)), body(split(["x"], [2**60 + 2**36 + 1]))),
        (TEXT, body({"inputs": {"kind": ["a\0"]}})),
        (TEXT, body({"inputs": {"kind": [None]}})),
        (TEXT, body({"inputs": {"kind": ["\ud800"]}})),
        (TEXT, b'{"dataframe_records": [{"kind": "\xed\xa0\x80"}]}'),
        (FLAG, body({"dataframe_records": [{"new": False}, {}]})),
        (FLAG, body({"dataframe_records": [{"new": False}, {"new": None}]})),
        (MEASURES, body(split(["x", "y", "y"], [1, 2, 3]))),
        (MEASURES, body(split(["x", "y"], [1, 2], [3, 4], index=[0, 1, 2]))),
        (MEASURES, body({"inputs": {"x": [1, 2], "y": [1]}})),
        (MEASURES, body({"inputs": {"x": [1, 2], "y": 1}})),
        (MEASURES, body({**split(["x", "y"], [1, 2]), "prompt": 1})),
        (MEASURES, json.dumps(split(["x", "y"], [1, 2])).encode("utf-16")),
    ],
)
def test_mlflow_agrees_on_the_odd_ones(signature: Signature, sent: bytes) -> None:
    agreed(signature, sent, alike=True)


def tensor(shape: tuple[int, ...], dtype: str = "float64", name: str | None = "a") -> Signature:
    return Signature((Tensor(name, dtype, shape),))


@pytest.mark.parametrize(
    ("signature", "payload"),
    [
        (NAMED, {"instances": [{"a": [1, 2], "b": 1}, {"a": [3, 4], "b": 2}]}),
        (tensor((-1,)), {"inputs": []}),
        (tensor((-1,), "str"), {"inputs": {"a": ["a", "bc"]}}),
        (tensor((-1,), "str"), {"instances": [{"a": "a"}, {"a": "bc"}]}),
        (tensor((-1,), "float32"), {"inputs": {"a": [1e300]}}),
        (tensor((-1,), "datetime64[ns]"), {"inputs": {"a": ["2024-01-01T00:00:00Z"]}}),
        (tensor((-1, -1), "object"), {"inputs": {"a": [["a", "c"], ["b"]]}}),
        (tensor((-1,), "bool"), split(["a"], [True], [False])),
        (tensor((-1, 1)), split(["a"], [1], [2])),
        (tensor((-1, 2, 2)), {"dataframe_records": [{"a": [1, 2, 3, 4]}]}),
        (tensor((-1, 2), "float32"), {"dataframe_records": [{"a": [1e300, 2]}]}),
        (tensor((-1, 2)), split(["a"], [[1, 2]], [[[3, 4]]], index=[0, 1])),
        (tensor((-1,), name=None), split(["x"], [1], [2])),
        (tensor((-1, 2), name=None), split(["x"], [[1, 2]], [[3, 4]])),
        (tensor((-1, 2), name=None), split(["x", "y"], [1, 2])),
    ],
)
def test_every_form_that_mlflow_takes_for_tensors_is_taken(signature: Signature, payload: dict[str, Any]) -> None:
    planned(signature).rows(JSON, body(payload))

    agreed(signature, body(payload), alike=True)


@pytest.mark.parametrize(
    ("signature", "payload"),
    [
        (NAMED, {"inputs": {"a": [[1, 2]]}}),
        (NAMED, {"inputs": [[1, 2]]}),
        (tensor((-1,)), {"inputs": None}),
        (tensor((-1,), name=None), {"inputs": []}),
        (tensor((-1, 2), "int64", None), {"inputs": {"": [[1, 2]]}}),
        (tensor((-1, 2), "int64", None), {"instances": [{"": [1, 2]}]}),
        (tensor((-1,)), {"instances": [{"a": 1}, 5]}),
        (tensor((-1, 2), "object"), {"inputs": {"a": ["a", "b"]}}),
        (tensor((-1, -1), "object"), {"inputs": {"a": [[["a"]], [["b"]]]}}),
        (tensor((-1,)), {"dataframe_records": []}),
        (tensor((-1, 2)), split(["a"], [1], [2])),
        (tensor((-1, 2)), {"dataframe_records": [{"a": []}]}),
        (tensor((-1, 2)), {"dataframe_records": [{"a": [1, 2, 3, 4]}]}),
        (tensor((-1, -1)), {"dataframe_records": [{"a": [1, 2]}, {"a": [3, 4]}]}),
        (tensor((-1, 2, 2)), {"dataframe_records": [{"a": [[1, 2], [3, 4]]}]}),
        (tensor((-1, 2)), split(["a"], [[1, 2]], [[3, 4]], index=[0, 0])),
        (tensor((-1, 2)), split(["a"], [[1, 2]], [[[3, 4]]], index=[1, 0])),
        (tensor((-1, 1)), split(["a"], [1], [[2]], index=[1, 0])),
        (tensor((-1, 3), name=None), split(["x", "y"], [1, 2])),
        (tensor((-1, 2), name=None), split(["x", "y"], [[1], [2]])),
    ],
)
def test_what_mlflow_refuses_for_tensors_is_refused(signature: Signature, payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        planned(signature).rows(JSON, body(payload))

    agreed(signature, body(payload), alike=True)


@pytest.mark.parametrize(
    ("signature", "payload"),
    [
        (NAMED, {"inputs": {"a": [[1, 2], [3, 4]], "b": [1]}}),
        (tensor((-1,), "object"), {"inputs": {"a": "x"}}),
        (tensor((-1, 2)), split(["a"], [[1, 2]], [[3, 4]], index=[0.0, 1])),
    ],
)
def test_tensors_that_mlflow_alone_takes_are_refused(signature: Signature, payload: dict[str, Any]) -> None:
    assert Oracle(signature)(JSON, body(payload)) is not None

    with pytest.raises(InvalidInput):
        planned(signature).rows(JSON, body(payload))


@modest
@given(st.data())
def test_mlflow_accepts_and_refuses_the_same_tables(data: st.DataObject) -> None:
    signature = data.draw(tables(("double", "float", "long", "integer", "boolean", "string")))
    payload = data.draw(payloads(signature, ODD))
    content = payload.get("inputs", payload.get("instances"))
    # What `plan.py` lists: objects for columns without names, and lists in columns of text or booleans.
    assume(content is None or signature.inputs[0].name is not None)
    kept = {each.type for each in signature.inputs if isinstance(each, Column)} & {"boolean", "string"}
    assume(not kept or not isinstance(content, list) or not any(isinstance(each, list) for each in content))

    agreed(signature, body(payload), alike=True)


@modest
@given(st.data())
def test_whatever_table_is_accepted_reaches_mlflows_model_just_so(data: st.DataObject) -> None:
    signature = data.draw(tables())

    agreed(signature, body(data.draw(payloads(signature, ODD | NESTED))), alike=False)


@modest
@given(st.data())
def test_whatever_tensor_is_accepted_reaches_mlflows_model_just_so(data: st.DataObject) -> None:
    signature = data.draw(nests())
    numbers = all(isinstance(each, Tensor) and np.dtype(each.dtype).kind in "biuf" for each in signature.inputs)
    payload = data.draw(payloads(signature, ODD | NESTED))

    agreed(signature, body(payload), alike=numbers and "dataframe_split" not in payload and len(signature.inputs) == 1)


@modest
@given(st.data())
def test_params_are_mlflows(data: st.DataObject) -> None:
    value = ODD | st.lists(ODD, max_size=2) | st.just(10**400)
    params = data.draw(st.none() | st.dictionaries(st.sampled_from(["factor", "names", "top", "other"]), value) | value)

    agreed(PARAMS, body({**split(["x"], [1.5]), "params": params}), alike=True)


JUNK = st.recursive(
    ODD | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "columns", "data", "index"])
            | st.sampled_from(["params", "x", "y", "prompt"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@modest
@given(
    st.sampled_from([MEASURES, MIXED, PARAMS, PICTURE, NAMED]),
    st.sampled_from(MEDIA_TYPES),
    st.binary(max_size=60) | JUNK.map(body) | st.text(max_size=30).map(str.encode),
)
def test_nothing_but_a_refusal_is_ever_raised(signature: Signature, media_type: str, sent: bytes) -> None:
    made = planned(signature)
    with suppress(InvalidInput):
        made.rows(media_type, sent)
    with suppress(plan.Unplanned):
        made.fast(sent)


@pytest.mark.parametrize("sent", [b'{"inputs": ' + b"[" * 100_000, b'{"inputs": ' + b"1" * 5000 + b"}", b"\xff\xfe{"])
def test_hostile_bodies_are_only_refused(sent: bytes) -> None:
    for signature in (MEASURES, NAMED):
        with pytest.raises(InvalidInput):
            planned(signature).rows(JSON, sent)
        with pytest.raises(plan.Unplanned):
            planned(signature).fast(sent)


def test_decoding_imports_neither_pandas_nor_mlflow(tmp_path: Any) -> None:
    pd.DataFrame({"x": [1.5, None], "kind": ["a", None]}).to_parquet(tmp_path / "x.parquet")
    script = """
import sys
from pathlib import Path
from serving.decoding.plan import compile
from serving.protocol import CSV, JSON, PARQUET, Column, Signature

made = compile(Signature((Column("x", "double"), Column("kind", "string"))))
made.rows(JSON, b'{"inputs": {"x": ["1"], "kind": ["a"]}}')
made.rows(CSV, b"x,kind\\n1,a\\n")
assert made.rows(PARQUET, Path(sys.argv[1]).read_bytes()).count == 2
sys.exit(" ".join(each for each in ("pandas", "mlflow", "sklearn") if each in sys.modules))
"""
    asked = [sys.executable, "-c", script, str(tmp_path / "x.parquet")]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "") or done.stderr == "\n"
