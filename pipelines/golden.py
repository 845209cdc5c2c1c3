"""Keep held-out rows with a version, and what its model said of them when it was made: golden.json among its files.

`register` writes it; the gate asks the version again before it is promoted. For a version that was not made here:
python -m pipelines.golden NAME VERSION [--rows FILE.parquet]   (without rows: the version's input example)
"""

import argparse
import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.pyfunc import PyFuncModel
from numpy.typing import NDArray

from pipelines import keys, manifest, tracking
from pipelines.data import write_json
from pipelines.errors import NoGolden, run
from pipelines.progress import say
from pipelines.registry import Registry
from pipelines.settings import load_settings

FILE = "golden.json"
TAG = "slipway.golden"
MOST_ROWS = 64
TEXT = "string"

Array = NDArray[Any]


@dataclass(frozen=True)
class Golden:
    """Rows, and the model's answers to them, in the same order.

    A missing number is NaN, a missing text None. `probabilities` is [rows, classes], None where the model has none.
    """

    features: pd.DataFrame
    predictions: Array
    probabilities: Array | None = None

    @property
    def answers(self) -> dict[str, Array]:
        """By method, as `parity.difference` compares them."""
        more = {} if self.probabilities is None else {"predict_proba": self.probabilities}
        return {"predict": self.predictions} | more


def main() -> None:
    words, settings = _words(), load_settings()
    key = keys.load(settings.signing_key)
    tracking.connect(settings)
    registry = Registry(MlflowClient(), words.name)
    version = registry.get(words.version)
    manifest.verify(version)
    said = publish(registry, version, _of_version(version, words.rows))
    say(f"golden: {words.name} version {version.version}: {said}")
    say(f"golden: {manifest.publish(registry, version, key)}")


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="registered name")
    parser.add_argument("version", help="a version's number")
    parser.add_argument("--rows", type=Path, help=f"a .parquet file; its first {MOST_ROWS} rows are taken")
    return parser.parse_args()


def _of_version(version: ModelVersion, path: Path | None) -> Golden:
    if path is not None and not path.is_file():
        raise NoGolden(f"there is no file {path}")
    with tempfile.TemporaryDirectory() as name:
        tracking.fetch(f"models:/{version.name}/{version.version}", Path(name))
        model = mlflow.pyfunc.load_model(name)
        rows: Any = model.input_example if path is None else pd.read_parquet(path)
        if not isinstance(rows, pd.DataFrame):
            raise NoGolden("the version has no table as its input example; give one with --rows")
        rows = rows.head(MOST_ROWS)
        said = asked(model, rows)
    return of(rows, said["predict"], said.get("predict_proba"))


def publish(registry: Registry, version: ModelVersion, golden: Golden) -> str:
    """Put it among the version's files, whose manifest has to be written (again) after that; how much it is."""
    said = f"{len(golden.features)} rows"
    with tempfile.TemporaryDirectory() as name:
        write(golden, Path(name))
        tracking.add_files(version, Path(name))
    registry.tag(version.version, {TAG: said})
    return said


def of(features: pd.DataFrame, predictions: Any, probabilities: Any | None = None) -> Golden:
    """The first of these rows, at most MOST_ROWS."""
    some = slice(MOST_ROWS)
    probable = None if probabilities is None else np.asarray(probabilities)[some]
    return Golden(features.head(MOST_ROWS), np.asarray(predictions)[some], probable)


def asked(model: PyFuncModel, rows: pd.DataFrame) -> dict[str, Array]:
    """What a loaded version says of `rows`, by method: as MLflow asks it, and its probabilities where it has them."""
    found = {"predict": np.asarray(model.predict(rows))}
    try:
        raw = model.get_raw_model()  # type: ignore[no-untyped-call]  # MLflow does not say
    except NotImplementedError:
        return found
    return found | ({"predict_proba": np.asarray(raw.predict_proba(rows))} if hasattr(raw, "predict_proba") else {})


def write(golden: Golden, folder: Path) -> None:
    """Strict JSON: null for what is missing, "inf" for a number without end. NoGolden for what JSON cannot hold."""
    columns = {str(name): _written(golden.features[name].to_numpy(), f"column {name!r}") for name in golden.features}
    rows = zip(*(each["values"] for each in columns.values()), strict=True)
    content = {
        "format": 1,
        "columns": {name: each["dtype"] for name, each in columns.items()},
        "features": [dict(zip(columns, row, strict=True)) for row in rows],
        **{name: _written(values, f"the answer {name}") for name, values in golden.answers.items()},
    }
    write_json(folder / FILE, content)


def read(folder: Path) -> Golden:
    """The sample in a version's folder. NoGolden where there is none, or what is there is none."""
    try:
        content = json.loads((folder / FILE).read_text())
        columns = {
            name: _array(dtype, [row[name] for row in content["features"]])
            for name, dtype in content["columns"].items()
        }
        answers = {
            name: _array(content[name]["dtype"], content[name]["values"]).reshape(content[name]["shape"])
            for name in ("predict", "predict_proba")
            if name in content
        }
        # Series of a stated dtype: pandas would make texts of its own of an array of objects, whose gaps are NaN.
        features = pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in columns.items()})
        return Golden(features, answers["predict"], answers.get("predict_proba"))
    except FileNotFoundError as missing:
        raise NoGolden(f"it has no {FILE}") from missing
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise NoGolden(f"its {FILE} is not one that Slipway wrote") from wrong


def _written(values: Array, what: str) -> dict[str, Any]:
    flat = [_plain(value) for value in values.ravel().tolist()]
    if values.dtype.kind in "fiub":
        return {"dtype": str(values.dtype), "shape": list(values.shape), "values": flat}
    if not all(value is None or isinstance(value, str) for value in flat):
        raise NoGolden(f"{what} has neither numbers nor texts ({values.dtype})")
    return {"dtype": TEXT, "shape": list(values.shape), "values": flat}


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _array(dtype: str, values: list[Any]) -> Array:
    if dtype == TEXT:
        return np.array(values, object)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return np.array([math.nan if value is None else float(value) for value in values], kind)
    return np.array(values, kind)


if __name__ == "__main__":
    run(main)
