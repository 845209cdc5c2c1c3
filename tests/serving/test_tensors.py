import json
import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from serving.errors import InvalidInput
from serving.listed import CONTENTS, from_json, from_values, to_json
from serving.protocol import Array
from serving.tensors import BYTES, DTYPES, datatype_named, from_binary, portable, to_binary

SHAPES = nps.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


@st.composite
def tensors(draw: st.DrawFn, *, text: bool = False) -> tuple[str, Array]:
    """Of every datatype and shape; `text`: BYTES are UTF-8."""
    datatype, dtype = draw(st.sampled_from(sorted(DTYPES.items())))
    if datatype != BYTES:
        # A NaN's own bits are not what JSON can carry.
        return datatype, draw(nps.arrays(dtype, SHAPES, elements=nps.from_dtype(dtype, allow_infinity=False)))
    shape = draw(SHAPES)
    element = st.text(st.characters(codec="utf-8")).map(str.encode) if text else st.binary()
    count = int(np.prod(shape))
    values = draw(st.lists(element, min_size=count, max_size=count))
    array = np.empty(count, object)
    array[:] = values
    return datatype, array.reshape(shape)


def same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)


def equal(one: Array, other: Array) -> bool:
    return same(one, other) if one.dtype != object else one.shape == other.shape and one.tolist() == other.tolist()


@given(tensors())
def test_every_tensor_survives_its_binary_form(tensor: tuple[str, Array]) -> None:
    datatype, array = tensor

    data = to_binary(datatype, array)

    assert equal(from_binary("x", datatype, array.shape, data), array)
    assert equal(from_binary("x", datatype, array.shape, memoryview(b"{}" + data)[2:]), array)


@given(tensors(text=True), st.booleans())
def test_every_tensor_survives_json_flat_or_nested(tensor: tuple[str, Array], nested: bool) -> None:
    datatype, array = tensor
    values: Any = to_json(datatype, array)
    if nested:
        values = np.array(values, object).reshape(array.shape).tolist()

    data = msgspec.json.encode(values)  # NaN becomes null

    assert equal(from_json("x", datatype, array.shape, data), array)


@given(tensors())
def test_every_tensor_survives_contents(tensor: tuple[str, Array]) -> None:
    datatype, array = tensor

    assert equal(from_values("x", datatype, array.shape, array.reshape(-1).tolist()), array)
    assert datatype in CONTENTS or datatype == "FP16"


@given(tensors())
def test_a_portable_array_stays_what_it_is(tensor: tuple[str, Array]) -> None:
    datatype, array = tensor

    found, carried = portable(array)

    assert found == datatype
    assert equal(carried, array)


@given(st.sampled_from([*sorted(DTYPES), "BF16", ""]), st.lists(st.integers(-2, 2**70), max_size=5), st.binary())
def test_any_bytes_are_a_tensor_or_invalid_input(datatype: str, shape: list[int], data: bytes) -> None:
    for read in (from_binary, from_json):
        try:
            array = read("x", datatype, shape, data)
        except InvalidInput:
            continue
        assert array.shape == tuple(shape)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=12,
)


@given(st.sampled_from(sorted(DTYPES)), nps.array_shapes(min_side=0, max_side=3), JSON)
def test_any_json_is_a_tensor_or_invalid_input(datatype: str, shape: tuple[int, ...], value: object) -> None:
    try:
        array = from_json("x", datatype, shape, json.dumps(value).encode())
    except InvalidInput:
        return
    assert array.shape == shape


def test_numbers_are_read_in_place() -> None:
    data = np.arange(6.0).tobytes()

    array = from_binary("x", "FP64", [2, 3], data)

    assert np.shares_memory(array, np.frombuffer(data))


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "reason"),
    [
        ("FP64", [2], "[1]", "tensor 'x': its shape needs 2 values, it has 1"),
        ("FP64", [1, 2], "[[1, 2], [3, 4]]", "tensor 'x': its data is no list of FP64 values, flat or of its shape"),
        ("FP64", [2, 2], "[[1, 2], [3]]", "tensor 'x': its data is no list of FP64 values, flat or of its shape"),
        ("FP64", [1], '["secret"]', "tensor 'x': its data is no list of FP64 values, flat or of its shape"),
        ("INT64", [1], "[1.5]", "tensor 'x': its data is no list of INT64 values, flat or of its shape"),
        ("INT64", [1], "[null]", "tensor 'x': its data is no list of INT64 values, flat or of its shape"),
        ("BOOL", [1], "[1]", "tensor 'x': its data is no list of BOOL values, flat or of its shape"),
        ("UINT8", [1], "[256]", "tensor 'x': a value is out of the range of UINT8"),
        ("FP32", [1], "[1e300]", "tensor 'x': a value is out of the range of FP32"),
        ("FP64", [], "[]", "tensor 'x': shape must have 1 to 32 lengths"),
        ("FP64", [-1], "[]", "tensor 'x': a length of its shape is out of range"),
        ("FP64", [0, 2**62], "[]", "tensor 'x': a length of its shape is out of range"),
        ("REAL", [1], "[1]", "tensor 'x': datatype must be one of BOOL, UINT8"),
    ],
)
def test_a_misfit_is_named_and_never_repeated(datatype: str, shape: list[int], data: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        from_json("x", datatype, shape, data.encode())

    assert str(refused.value).startswith(reason)
    assert "secret" not in str(refused.value)


def test_binary_data_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidInput, match="its shape and datatype need 16 bytes, it has 15"):
        from_binary("x", "FP64", [2], b"123456781234567")
    for data in (b"", b"\1\0\0\0", b"\1\0\0\0ab", b"\xff\xff\xff\xffa"):
        with pytest.raises(InvalidInput, match="its data is not 1 texts, each behind its length in 4 bytes"):
            from_binary("x", BYTES, [1], data)


def test_a_name_that_could_be_anything_is_not_repeated() -> None:
    with pytest.raises(InvalidInput, match=r"^a tensor: "):
        from_binary("<script>\n" * 20, "FP64", [2], b"")


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 3.140625, float("inf"), 2.0**-133])
def test_a_bf16_is_the_upper_half_of_an_fp32(value: float) -> None:
    upper = struct.pack("<f", value)[2:]

    array = from_binary("x", "BF16", [1, 2], upper + upper)

    assert (array.dtype.name, array.tolist()) == ("float32", [[value, value]])


def test_any_byte_but_zero_is_true() -> None:
    assert from_binary("x", "BOOL", [3], b"\0\1\2").tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("array", "datatype", "values"),
    [
        (np.array(["a", "ü"]), "BYTES", ["a", "ü"]),
        (np.array(["a", None, b"b"], object), "BYTES", ["a", "", "b"]),
        (np.array([1, 2], object), "INT64", [1, 2]),
        (np.array([1, 2.5], object), "FP64", [1.0, 2.5]),
        (np.array([True], object), "BOOL", [True]),
        (np.array([{"a": 1}], object), "BYTES", ['{"a":1}']),
        (np.array([1.5], ">f8"), "FP64", [1.5]),
        (np.array([1.5], np.longdouble), "FP64", [1.5]),
    ],
)
def test_every_answer_travels(array: Array, datatype: str, values: list[object]) -> None:
    found, carried = portable(array)

    assert (found, to_json(found, carried)) == (datatype, values)


def test_bytes_that_are_no_text_travel_only_as_binary_data() -> None:
    found, carried = portable(np.array([b"\xff"], object))

    assert to_binary(found, carried) == b"\1\0\0\0\xff"
    with pytest.raises(InvalidInput, match="ask for binary data"):
        to_json(found, carried)


@pytest.mark.parametrize(("dtype", "datatype"), [("float64", "FP64"), ("bool", "BOOL"), ("str", BYTES), ("any", BYTES)])
def test_a_dtype_of_a_signature_has_a_datatype(dtype: str, datatype: str) -> None:
    assert datatype_named(dtype) == datatype
