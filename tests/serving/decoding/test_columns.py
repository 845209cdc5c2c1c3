"""The values of one column, put into DataFrames too."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.decoding.columns import Misfit, cast, convert, enforce, inferred

VALUES = st.sampled_from(
    [
        0,
        1,
        -1,
        1.5,
        -0.0,
        2**53 + 1,
        2**63,
        2**64,
        -(2**63) - 1,
        1e40,
        float("nan"),
        float("inf"),
        "",
        "1",
        " 2 ",
        "1.5",
        "1_0",
        "nan",
        "a",
        None,
        True,
        False,
    ]
)


def outcome(make: Any) -> Any:
    try:
        return make()
    except (ValueError, TypeError, OverflowError):
        return None


@settings(max_examples=1000, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=4), st.sampled_from(["float64", "float32", "int64", "int32", "bool"]))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_are_cast_as_a_data_frame_casts_them(values: list[Any], dtype: str) -> None:
    names = {"float64": "double", "float32": "float", "int64": "long", "int32": "integer", "bool": "boolean"}
    expected = outcome(lambda: pd.DataFrame({"x": values})["x"].astype(np.dtype(dtype)).to_numpy())

    got = outcome(lambda: cast(values, names[dtype]))

    assert (got is None) == (expected is None)
    if got is not None:
        np.testing.assert_array_equal(got, expected, strict=True)


@settings(max_examples=500, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=4))
def test_a_column_is_of_the_type_that_pandas_infers(values: list[Any]) -> None:
    expected = pd.DataFrame([[value] for value in values])[0]

    assert inferred(values).dtype == (object if isinstance(expected.dtype, pd.StringDtype) else expected.dtype)


def test_a_missing_text_is_none_and_a_number_stays_a_number() -> None:
    assert cast(["a", None, float("nan"), 1, True], "string").tolist() == ["a", None, None, 1, True]
    assert cast([1, None], "string").tolist() == [1.0, None]


def test_bytes_are_base64() -> None:
    assert cast(["YQ==", ""], "binary").tolist() == [b"a", b""]
    for wrong in ("a", None, 1):
        with pytest.raises((ValueError, TypeError)):
            cast([wrong], "binary")


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-02-29"],
        ["2024-01-01 10:20", "2024-01-02 11:21"],
        ["2024-01-01T01:02:03.5", "2024-01-01T01:02:03.123456789"],
    ],
)
def test_dates_of_one_iso_form_are_read_to_the_nanosecond(texts: list[Any]) -> None:
    expected = pd.to_datetime(pd.Series([*texts, None])).dt.as_unit("ns").to_numpy()

    np.testing.assert_array_equal(cast([*texts, None], "datetime"), expected, strict=True)


@pytest.mark.parametrize(
    "values",
    [
        ["2024-01-01", "2024-01-01T00:00"],
        ["01/02/2024"],
        ["2024-02-30"],
        ["2024-01-01T00:00:00Z"],
        ["1500-01-01"],
        [True],
    ],
)
def test_other_dates_are_refused(values: list[Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        cast(values, "datetime")


def test_numpy_reads_null_as_a_text_and_cuts_nothing_else() -> None:
    assert convert([None, 1.5, "a"], "string").tolist() == ["None", "1.5", "a"]
    assert convert(["1.5", None], "double").tolist()[0] == 1.5
    assert convert(1.9, "long").tolist() == 1
    with pytest.raises(OverflowError):
        convert([2**31], "integer")


def test_arrays_widen_but_never_narrow() -> None:
    assert enforce(np.array([1, 2], np.int32), "double").dtype == np.float64
    assert enforce(np.array([0, 1]), "float").dtype == np.float32
    for values, type_name in ((np.array([1.0]), "long"), (np.array([2]), "double"), (np.array([1.0]), "float")):
        with pytest.raises(Misfit):
            enforce(values, type_name)
