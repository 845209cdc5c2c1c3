"""What becomes of a value, which depends on nothing beside it."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some

from serving.decoding.columns import DTYPES
from serving.scoring.casting import Misfit, array


@pytest.mark.parametrize(
    ("values", "type_name", "expected"),
    [
        (["1", " 2.5 ", "-3e2", "+4", "inf"], "double", [1.0, 2.5, -300.0, 4.0, np.inf]),
        (["", "NA", "null", "1"], "double", [np.nan, np.nan, np.nan, 1.0]),
        (["1.5", "NaN"], "float", [1.5, np.nan]),
        (["+7", "-8", " 9"], "long", [7, -8, 9]),
        (["7"], "integer", [7]),
        (["true", "False", "TRUE"], "boolean", [True, False, True]),
        (["a", "", " b ", "NA"], "string", ["a", None, " b ", None]),
        (["2026-11-23", "2026-11-23T10:00:01.5"], "datetime", ["2026-11-23", "2026-11-23T10:00:01.5"]),
    ],
)
def test_texts_of_a_csv_are_read(values: list[str], type_name: str, expected: list[Any]) -> None:
    found = array(pa.array(values), type_name, is_text=True)

    assert found.dtype == np.dtype(DTYPES[type_name])
    np.testing.assert_array_equal(found, np.array(expected, found.dtype))


@pytest.mark.parametrize(
    ("values", "type_name", "expected"),
    [
        (pa.array([1, None, 3]), "double", [1.0, np.nan, 3.0]),
        (pa.array([1.0, 2.0]), "long", [1, 2]),
        (pa.array([1, 2], pa.uint8()), "integer", [1, 2]),
        (pa.array([0.1], pa.float64()), "float", [np.float32(0.1)]),
        (pa.array(["a", None], pa.large_string()), "string", ["a", None]),
        (pa.array([b"a"]), "binary", [b"a"]),
        (pa.nulls(2), "double", [np.nan, np.nan]),
        (pa.chunked_array([[1.0], [2.0]]), "double", [1.0, 2.0]),
    ],
)
def test_a_value_is_converted_where_it_stays_the_same(values: Any, type_name: str, expected: list[Any]) -> None:
    found = array(values, type_name, is_text=False)

    assert found.dtype == np.dtype(DTYPES[type_name])
    np.testing.assert_array_equal(found, np.array(expected, found.dtype))


@pytest.mark.parametrize(
    ("values", "type_name", "row", "reason"),
    [
        (pa.array([1.0, 2.5]), "long", 1, "expected a long, got a value of double that does not fit"),
        (pa.array([1, 2**53 + 1]), "double", 1, "expected a double, got a value of int64 that does not fit"),
        (pa.array([1, 2, 1 << 40]), "integer", 2, "expected an integer"),
        (pa.array([1, 2, None]), "long", 2, "expected a long, got null"),
        (pa.array([True, None]), "boolean", 1, "expected a boolean, got null"),
        (pa.array(["1"]), "double", None, "expected a double, and the file has string there"),
        (pa.array([1]), "string", None, "expected a string, and the file has int64 there"),
        (pa.array([1]), "boolean", None, "expected a boolean, and the file has int64 there"),
    ],
)
def test_a_value_that_would_change_is_refused(values: Any, type_name: str, row: int | None, reason: str) -> None:
    with pytest.raises(Misfit, match=reason) as refused:
        array(values, type_name, is_text=False)

    assert refused.value.row == row


@pytest.mark.parametrize(
    ("values", "type_name", "row"),
    [
        (["1", "2", "three", "four"], "double", 2),
        (["1", "2.5"], "long", 1),
        (["1", ""], "long", 1),
        (["yes"], "boolean", 0),
        (["2026-11-23", "yesterday"], "datetime", 1),
        (["bytes"], "binary", None),
    ],
)
def test_a_text_that_cannot_be_read_is_named_and_not_repeated(
    values: list[str], type_name: str, row: int | None
) -> None:
    with pytest.raises(Misfit) as refused:
        array(pa.array(values), type_name, is_text=True)

    assert refused.value.row == row
    assert not any(value and value in str(refused.value) for value in values if value != "bytes")


@given(some.lists(some.sampled_from(["1", "2.5", "", "x", "+3", "-", "1e400"]), min_size=1, max_size=40))
def test_the_first_misfit_is_found_wherever_it_is(values: list[str]) -> None:
    fine = {"1", "2.5", "", "+3", "1e400"}
    first = next((at for at, value in enumerate(values) if value not in fine), None)

    if first is None:
        assert len(array(pa.array(values), "double", is_text=True)) == len(values)
        return
    with pytest.raises(Misfit) as refused:
        array(pa.array(values), "double", is_text=True)
    assert refused.value.row == first
