"""Keeping a table as it is: what Parquet cannot hold is named."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines import data
from pipelines.errors import BadData
from pipelines.ingest import write


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([1, 2, "three", 4], "column 'age', row 3: 'three'"),
        (["one", "two", "three", 4], "column 'age', row 4: 4"),
        ([1, 2, 10**30, 4], f"column 'age', row 3: {10**30}"),
    ],
)
def test_a_value_unlike_those_above_it_is_named_with_file_column_and_row(
    tmp_path: Path, values: list[Any], says: str
) -> None:
    frame = pd.DataFrame({"city": ["Rome"] * 4, "age": pd.Series(values, dtype=object)})

    with pytest.raises(BadData) as refused:
        write(frame, tmp_path / "data.parquet", source="people.csv")

    assert says in str(refused.value)
    assert str(refused.value).startswith("people.csv: ")


def test_a_csv_with_numbers_of_thirty_digits_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "stars.csv").write_text(f"atoms\n{10**30}\n1\n")
    frame, about = data.read(str(tmp_path / "stars.csv"))

    with pytest.raises(BadData, match="column 'atoms', row 1") as refused:
        write(frame, tmp_path / "data.parquet", source=about.source)

    assert len(str(refused.value).splitlines()) == 1
