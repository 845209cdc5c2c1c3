import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.decoding.fields import called, elements, fits, kind, shape, summary, type_of
from serving.protocol import Column, Tensor


@pytest.mark.parametrize(
    ("type_name", "taken", "refused"),
    [
        ("double", [1, 1.5, True, None, "1.5", "nan"], ["one", [], {}]),
        ("long", [1, 1.5, "12"], [None, "1.5", "", [1]]),
        ("string", ["a", 1, None], [["a"], {"a": 1}]),
        ("boolean", [True, 0, "yes", None], [[], {}]),
        ("datetime", ["2026-01-31", "2026-01-31T10:00:00", None, 0], ["tomorrow", []]),
        ("array", [[], [1], None], ["a", {}]),
        ("object", [{}, None], ["a", []]),
        ("any", [[], {}, 1, "a", None], []),
        ("a type of MLflow 4", [1, "a", None], [[]]),
    ],
)
def test_a_type_takes_what_mlflow_would_convert(type_name: str, taken: list[object], refused: list[object]) -> None:
    assert [value for value in taken if not fits(type_name, value)] == []
    assert [value for value in refused if fits(type_name, value)] == []


NESTED: st.SearchStrategy[object] = st.recursive(st.integers(), lambda inner: st.lists(inner, min_size=1, max_size=3))


@given(NESTED)
def test_a_shape_is_numpys_and_none_for_a_ragged_list(value: object) -> None:
    try:
        expected = np.array(value).shape
    except ValueError:
        assert shape(value) is None
    else:
        assert shape(value) == expected
        assert len(list(elements(value))) == np.array(value).size


def test_words_for_people() -> None:
    assert [called("integer"), called("double")] == ["an integer", "a double"]
    values: list[object] = [None, True, 1, "a", [], {}]
    assert [kind(value) for value in values] == [
        "null",
        "a boolean",
        "a number",
        "a string",
        "a list",
        "an object",
    ]
    many = tuple(Column(f"c{number}", "double") for number in range(12))
    assert summary(many).endswith("c9 (double) and 2 more")
    assert summary((Tensor(None, "float32", (-1, 2)),)) == "1 (float32 of shape (-1, 2))"


@pytest.mark.parametrize(
    ("dtype", "column_type"), [("float16", "double"), ("uint8", "long"), ("bool", "boolean"), ("str", "any")]
)
def test_elements_of_a_tensor_are_checked_like_a_column(dtype: str, column_type: str) -> None:
    assert type_of(Tensor(None, dtype, (-1,))) == column_type
