"""What a caller may give, and what it gets back for it."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serving.client import InvalidInput
from serving.client.given import Nested, Records, Table, Tensors, read, row, rows_of

FRAME = pd.DataFrame({"x": [1, 2], "name": ["a", None]}, index=[7, 9])


@pytest.mark.parametrize(
    ("rows", "form"),
    [
        (FRAME, Table({"x": [1, 2], "name": ["a", None]})),
        (pd.DataFrame({0: [1.5]}), Table({"0": [1.5]})),
        (pd.DataFrame({"x": pd.array([1, None], "Int64")}), Table({"x": [1, None]})),
        (pd.DataFrame({"x": pd.Categorical(["b", "a"])}), Table({"x": ["b", "a"]})),
        ({"x": [1, 2]}, Table({"x": [1, 2]})),
        ({"x": pd.Series([1.0, float("nan")])}, Table({"x": [1.0, None]})),
        ({"x": np.float32(0.5), "y": True}, Records([{"x": 0.5, "y": True}])),
        ([{"x": 1}, {"y": np.int64(2)}], Records([{"x": 1}, {"y": 2}])),
        ([[1, 2], (3, 4)], Nested([[1, 2], [3, 4]])),
        ([1, None], Nested([1, None])),
        (np.array([[1, 2]]), Nested([[1, 2]])),
        (np.array(["2026-01-02"], "datetime64[D]"), Nested(["2026-01-02T00:00:00.000000000"])),
        ({"x": [[1, 2], [3, 4]]}, Tensors({"x": [[1, 2], [3, 4]]})),
        ([], Nested([])),
    ],
)
def test_it_is_one_of_four_forms_of_plain_values(rows: Any, form: object) -> None:
    assert read(rows).rows == form


@pytest.mark.parametrize(
    "rows",
    [
        "text",
        7,
        None,
        {"x": [1], "y": 2},
        {"x": [1], "y": [1, 2]},
        [{"x": 1}, [1]],
        pd.DataFrame([[1, 2]], columns=["x", "x"]),
    ],
)
def test_anything_else_is_refused_without_repeating_it(rows: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read(rows)

    assert "text" not in str(refusal.value)


def test_a_frame_is_answered_by_a_series_or_a_frame_with_its_index() -> None:
    natural = read(FRAME).natural

    pd.testing.assert_series_equal(natural([1.5, None]), pd.Series([1.5, np.nan], index=[7, 9], name="prediction"))
    pd.testing.assert_frame_equal(natural([[1, 2], [3, 4]]), pd.DataFrame([[1, 2], [3, 4]], index=[7, 9]))
    named = pd.DataFrame({"y": [1, 2], "z": ["a", "b"]}, index=[7, 9])
    pd.testing.assert_frame_equal(natural([{"y": 1, "z": "a"}, {"y": 2, "z": "b"}]), named)


@pytest.mark.parametrize(
    ("predictions", "array"),
    [
        ([1, 2], np.array([1, 2])),
        ([[0.5, 0.5]], np.array([[0.5, 0.5]])),
        ([1.5, None], np.array([1.5, np.nan])),
        ([[1.5, None]], np.array([[1.5, np.nan]])),
        (["a", "b"], np.array(["a", "b"])),
        ([{"y": 1, "z": 2}], np.array([[1, 2]])),
    ],
)
def test_an_array_is_answered_by_an_array(predictions: list[Any], array: Any) -> None:
    found = read(np.zeros((1, 1))).natural(predictions)

    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_dicts_and_lists_are_answered_by_a_list() -> None:
    for rows in ({"x": [1]}, {"x": 1}, [{"x": 1}], [[1]]):
        assert read(rows).natural([1.5]) == [1.5]


def test_single_values_are_plain() -> None:
    given = [np.float64(1), float("nan"), pd.NaT, pd.NA, date(2026, 1, 2), datetime(2026, 1, 2), pd.Timestamp(0)]
    dates = ["2026-01-02", "2026-01-02T00:00:00.000000", "1970-01-01T00:00:00.000000000"]

    assert row(given) == [1.0, None, None, None, *dates]
    assert row({"x": (1, 2)}) == {"x": [1, 2]}
    assert row(FRAME.iloc[0]) == {"x": 1, "name": "a"}


def test_the_rows_of_a_streamed_frame_are_dicts() -> None:
    frame = pd.DataFrame({"x": range(3000)})

    assert [each["x"] for each in rows_of(frame)] == list(range(3000))


def test_what_json_cannot_hold_is_refused_as_a_body() -> None:
    from serving.client.over_http import line

    with pytest.raises(InvalidInput, match="a value is there that JSON cannot hold"):
        line([Decimal("1.5")])
