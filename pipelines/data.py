"""Read a table, and the shape of what is in it. Knows no stage and no MLflow.

A `Schema` is what `validate` found out and everything after it relies on.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import fsspec
import numpy as np
import pandas as pd
from pydantic import BaseModel
from sklearn import datasets
from sklearn.model_selection import train_test_split

from pipelines.errors import BadData, BadSource
from pipelines.settings import Task

RAW = Path("data/raw/data.parquet")
ABOUT = Path("data/raw/about.json")
SCHEMA = Path("data/processed/schema.json")
VALIDATED = Path("data/processed/validate.json")
PREPARED = Path("data/processed/prepare.json")
"""What the two stages were told: values of a command line are nowhere else, and belong to what came of them."""
TRAIN = Path("data/processed/train.parquet")
TEST = Path("data/processed/test.parquet")

_ADDRESS = re.compile(r"""://([^/?#\s]*@)?(?P<place>[^?\s'"]*)(?P<query>\?[^\s'"]*)?""")
_BUILT_IN = {
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}


class About(BaseModel, frozen=True):
    """Where the raw table came from."""

    source: str
    rows: int
    columns: list[str]
    image_shape: tuple[int, int] | None = None
    """Height and width, where the columns are the pixels of a grey picture, row by row."""


class Column(BaseModel, frozen=True):
    name: str
    kind: Literal["number", "category"]


class Schema(BaseModel, frozen=True):
    """The columns a model sees, in order, and what it predicts."""

    task: Task
    target: str
    columns: list[Column]
    classes: list[str | int] | None = None
    """Sorted; None for regression."""
    image_shape: tuple[int, int] | None = None

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def of_kind(self, kind: Literal["number", "category"]) -> list[str]:
        return [column.name for column in self.columns if column.kind == kind]


@dataclass(frozen=True)
class Rows:
    """A table split into what a model sees and what it should say."""

    features: pd.DataFrame
    target: pd.Series

    @staticmethod
    def of(frame: pd.DataFrame, schema: Schema) -> "Rows":
        return Rows(frame[schema.names], frame[schema.target])


def read(source: str) -> tuple[pd.DataFrame, About]:
    """The table at `source`, as it is; BadSource says what stood in the way."""
    if source.startswith("sklearn:"):
        return _read_built_in(source)
    shown = without_secrets(source)
    try:
        frame = _read_file(source)
    except BadSource:
        raise
    except Exception as cause:
        raise BadSource(f"could not read {shown}: {type(cause).__name__}: {without_secrets(str(cause))}") from cause
    if doubled := sorted({str(name) for name in frame.columns[frame.columns.duplicated()]}):
        raise BadSource(f"{shown}: column {doubled[0]!r} is there twice")
    frame.columns = frame.columns.astype(str)
    return frame, About(source=shown, rows=len(frame), columns=list(frame.columns))


def without_secrets(text: str) -> str:
    """`text` with no user, password or query in any web address in it: a query may hold a key or a signature."""
    return _ADDRESS.sub(lambda found: f"://{found['place']}{'?…' if found['query'] else ''}", text)


def _read_built_in(source: str) -> tuple[pd.DataFrame, About]:
    name = source.removeprefix("sklearn:")
    if name not in _BUILT_IN:
        raise BadSource(f"{source}: scikit-learn ships {', '.join(_BUILT_IN)} here, not {name!r}")
    bunch = _BUILT_IN[name](as_frame=True)
    shape = (8, 8) if name == "digits" else None
    frame: pd.DataFrame = bunch.frame
    return frame, About(source=source, rows=len(frame), columns=list(frame.columns), image_shape=shape)


def _read_file(source: str) -> pd.DataFrame:
    path = urlsplit(source).path if "://" in source else source
    if "://" not in source and not Path(source).is_file():
        raise BadSource(
            f"there is no file {source} (ingest.source in params.yaml; see it there for what is understood)"
        )
    with fsspec.open(source, "rb", compression="infer") as file:
        if path.endswith((".csv", ".csv.gz")):
            return pd.read_csv(file, low_memory=False)  # types by column, not by chunk
        if path.endswith(".parquet"):
            return pd.read_parquet(file)
    raise BadSource(f"{without_secrets(source)}: neither .csv, .csv.gz nor .parquet")


def typed(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """`frame` with the schema's columns and target only: numbers as float64, categories as strings or missing."""
    features = {
        column.name: _as_number(frame[column.name]) if column.kind == "number" else as_text(frame[column.name])
        for column in schema.columns
    }
    return pd.DataFrame({**features, schema.target: _as_target(frame[schema.target], schema)})


def _as_number(values: pd.Series) -> pd.Series:
    return pd.to_numeric(values).astype(np.float64)


def as_text(values: pd.Series) -> pd.Series:
    """Strings, with None where a value is missing; 1.0 is '1', so that whole numbers read as they were written."""
    whole = pd.api.types.is_float_dtype(values) and bool((values.dropna() % 1 == 0).all())
    # int(), not a column of integers: a float may be larger than any of those can be.
    text = [None if pd.isna(value) else str(int(value) if whole else value) for value in values.astype(object)]
    return pd.Series(text, index=values.index, dtype=object)


def _as_target(values: pd.Series, schema: Schema) -> pd.Series:
    if schema.classes is None:
        return _as_number(values)
    return values.astype(np.int64) if isinstance(schema.classes[0], int) else as_text(values)


def split(frame: pd.DataFrame, *, share: float, seed: int, by_class: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables with new indices; `share` of the rows are in the second, every class of `by_class` in proportion."""
    try:
        first, second = train_test_split(
            frame, test_size=share, random_state=seed, stratify=None if by_class is None else frame[by_class]
        )
    except ValueError as cause:
        raise BadData(f"{len(frame)} rows cannot be split with a share of {share:g}: {cause}") from cause
    return first.reset_index(drop=True), second.reset_index(drop=True)


def write_json(path: Path, content: Any) -> None:
    """Readable, and the same bytes for the same content, so that DVC sees no change where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def load_schema(path: Path = SCHEMA) -> Schema:
    return Schema.model_validate_json(path.read_text())
