"""Pre-processing that travels inside the model."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.data import Column, Schema
from pipelines.training.features import preprocessor

SCHEMA = Schema(
    task="classification",
    target="y",
    columns=[Column(name="age", kind="number"), Column(name="city", kind="category")],
    classes=[0, 1],
)
ROWS = pd.DataFrame({"age": [20.0, 30.0, 40.0], "city": pd.Series(["Rome", "Oslo", None], dtype=object)})


def test_a_missing_number_becomes_the_training_median() -> None:
    prepare = preprocessor(SCHEMA).fit(ROWS)

    missing, median = prepare.transform(pd.DataFrame({"age": [np.nan, 30.0], "city": ["Rome", "Rome"]}))

    np.testing.assert_array_equal(missing, median)


def test_an_unknown_category_is_none_of_those_known_and_a_missing_one_is_its_own() -> None:
    prepare = preprocessor(SCHEMA).fit(ROWS)

    table = prepare.transform(pd.DataFrame({"age": [30.0] * 2, "city": pd.Series(["Atlantis", None], dtype=object)}))

    assert table[0, 1:].tolist() == [0, 0, 0]
    assert sorted(table[1, 1:].tolist()) == [0, 0, 1]


@pytest.mark.parametrize("gap", [None, np.nan])
def test_a_gap_in_a_category_is_the_same_whether_it_came_from_json_or_from_a_file(gap: object, tmp_path: Path) -> None:
    ROWS.to_parquet(tmp_path / "rows.parquet")
    prepare = preprocessor(SCHEMA).fit(pd.read_parquet(tmp_path / "rows.parquet"))

    mixed = pd.DataFrame({"age": [30.0, 30.0], "city": pd.Series([gap, "Rome"], dtype=object)})

    np.testing.assert_array_equal(prepare.transform(mixed), prepare.transform(ROWS.iloc[[2, 0]].assign(age=30.0)))


def test_a_column_without_any_value_is_no_reason_to_fail() -> None:
    empty = ROWS.assign(city=pd.Series([None] * 3, dtype=object))

    assert preprocessor(SCHEMA).fit_transform(empty).shape == (3, 2)


def test_only_scikit_learn_is_needed_to_load_it() -> None:
    parts = [
        preprocessor(SCHEMA),
        *(step for _, pipeline, _ in preprocessor(SCHEMA).transformers for _, step in pipeline.steps),
    ]

    assert {type(part).__module__.split(".")[0] for part in parts} == {"sklearn"}
