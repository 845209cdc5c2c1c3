"""What `validate` finds out about a table, and what it refuses by file, column, row and rule."""

from typing import Any

import pandas as pd
import pytest

from pipelines.data import About, typed
from pipelines.errors import BadData
from pipelines.settings import Validate
from pipelines.validate import examine

ROWS = 60


def a_table(**columns: Any) -> pd.DataFrame:
    """Sixty rows: a number, a category, a text target; `columns` are added or replaced."""
    base: dict[str, Any] = {
        "age": [float(20 + row) for row in range(ROWS)],
        "city": ["Rome", "Oslo", None] * (ROWS // 3),
        "bought": ["yes", "no"] * (ROWS // 2),
    }
    return pd.DataFrame({**base, **columns})


def examined(frame: pd.DataFrame, **params: Any) -> Any:
    about = About(source="people.csv", rows=len(frame), columns=list(frame.columns))
    return examine(frame, about, Validate.model_validate({"task": "classification", "target": "bought", **params}))


def test_kinds_follow_the_data() -> None:
    schema = examined(a_table(member=[True, False] * (ROWS // 2)))

    assert {column.name: column.kind for column in schema.columns} == {
        "age": "number",
        "city": "category",
        "member": "number",
    }
    assert schema.classes == ["no", "yes"]


def test_a_dropped_column_is_not_learnt_from() -> None:
    schema = examined(a_table(id=[f"id-{row}" for row in range(ROWS)]), drop=["id"])

    assert "id" not in schema.names


def test_a_rule_may_say_that_numbers_are_categories() -> None:
    schema = examined(a_table(zip=[1010, 1020] * (ROWS // 2)), columns={"zip": {"kind": "category"}})

    assert schema.of_kind("category") == ["city", "zip"]


@pytest.mark.parametrize("values", [[1e300, 2.0], [2**63 + 1, 1]], ids=["float", "unsigned"])
def test_classes_too_large_for_an_integer_column_are_texts(values: list[float]) -> None:
    frame = a_table(bought=values * (ROWS // 2))

    schema = examined(frame)

    assert schema.classes == sorted(str(int(value)) for value in values)
    assert sorted(set(typed(frame, schema)["bought"])) == schema.classes


def test_truth_values_are_classes() -> None:
    assert examined(a_table(bought=[True, False] * (ROWS // 2))).classes == [0, 1]


def test_integer_classes_stay_integers_in_order() -> None:
    schema = examined(a_table(bought=[2, 10] * (ROWS // 2)))

    assert schema.classes == [2, 10]


def with_value(column: str, row: int, value: Any) -> pd.DataFrame:
    frame = a_table()
    frame[column] = frame[column].astype(object)
    frame.at[row - 1, column] = value  # not loc, which would spread a list over rows
    return frame


@pytest.mark.parametrize(
    ("frame", "params", "says"),
    [
        (
            with_value("age", 17, "seventeen"),
            {},
            "people.csv: column 'age', row 17: 'seventeen' is not a finite number",
        ),
        (with_value("age", 3, float("inf")), {}, "people.csv: column 'age', row 3: inf is not a finite number"),
        (with_value("age", 1, -4.0), {"columns": {"age": {"min": 0}}}, "column 'age', row 1: -4.0 is below min 0"),
        (
            with_value("age", 60, 140.0),
            {"columns": {"age": {"max": 120}}},
            "column 'age', row 60: 140.0 is above max 120",
        ),
        (with_value("age", 5, None), {"columns": {"age": {"nullable": False}}}, "column 'age', row 5: is missing"),
        (with_value("age", 2, [1, 2]), {}, "people.csv: column 'age', row 2: [1, 2] is not a single value"),
        (with_value("bought", 4, {"a": 1}), {}, "column 'bought', row 4: {'a': 1} is not a single value"),
        (with_value("age", 2, 10**400), {}, "people.csv: column 'age': 'OverflowError"),
        (
            with_value("city", 2, "Atlantis"),
            {"columns": {"city": {"allowed": ["Rome", "Oslo"]}}},
            "column 'city', row 2: 'Atlantis' is not one of ['Rome', 'Oslo']",
        ),
        (with_value("bought", 9, None), {}, "column 'bought', row 9: is missing"),
        (a_table().drop(columns="bought"), {}, "no column 'bought', which params.yaml names in validate.target"),
        (a_table(), {"columns": {"height": {}}}, "no column 'height', which params.yaml names in validate.columns"),
        (a_table(), {"drop": ["id"]}, "no column 'id', which params.yaml names in validate.drop"),
        (a_table().head(9), {}, "9 rows, and validate.min_rows is 50"),
        (a_table(bought="yes"), {}, "holds 1 class; classification needs two"),
        (a_table(bought=[*["no"] * (ROWS - 2), *["yes"] * 2]), {}, "class 'yes' of column 'bought' has 2 rows"),
        (a_table(bought=[row * 1.5 for row in range(ROWS)]), {}, "is the task a regression?"),
        (
            pd.concat(
                [a_table(note=[f"prose {part} {row}" for row in range(ROWS)]) for part in range(3)], ignore_index=True
            ),
            {},
            "that is an id or prose, not a category: name it in validate.drop",
        ),
    ],
)
def test_what_does_not_hold_is_refused_with_file_column_row_and_rule(
    frame: pd.DataFrame, params: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadData) as refused:
        examined(frame, **params)

    assert says in str(refused.value)
    assert "people.csv" in str(refused.value)


def test_many_mistakes_are_counted_and_the_first_shown() -> None:
    with pytest.raises(BadData) as refused:
        examined(a_table(), columns={"age": {"min": 1000}})

    lines = str(refused.value).splitlines()
    assert lines[0].startswith("60 values break a rule")
    assert lines[-1].strip() == "… and 50 more"


def test_one_mistake_is_one_value() -> None:
    table = a_table()
    table["age"] = table["age"].where(table.index != 3, -1)

    with pytest.raises(BadData, match=r"^1 value breaks a rule \(row 1 is the first below the header\)\n"):
        examined(table, columns={"age": {"min": 0}})


def test_a_regression_needs_a_number_to_predict() -> None:
    with pytest.raises(BadData, match="column 'bought', row 1: 'yes' is not a finite number"):
        examined(a_table(), task="regression")
