"""What the peers are given: the model as a joblib file, and bare rows; and the labels that they have to answer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import mlflow
import pandas as pd

from tests.bench.models import ROWS, Made


@dataclass(frozen=True)
class Handed:
    """`labels`, `lists` and `tensors` by number of rows; the two last are the same rows, as bodies."""

    model: Path
    labels: dict[int, list[Any]]
    lists: dict[int, Path]
    """`{"rows": [[...], ...]}`: the least a server can be given to read."""
    tensors: dict[int, Path]
    """Of the Open Inference Protocol."""


def hand(made: Made, model: str, folder: Path) -> Handed:
    """Written below `folder`."""
    folder = folder / "peers" / model
    folder.mkdir(parents=True, exist_ok=True)
    trained = mlflow.sklearn.load_model(str(made.folder(model)))
    tables = {count: pd.DataFrame(**json.loads(made.bodies[count].read_text())["dataframe_split"]) for count in ROWS}
    labels = {count: trained.predict(table).tolist() for count, table in tables.items()}
    _choose_by_place(trained, tables[ROWS[0]].columns.tolist())
    joblib.dump(trained, folder / "model.joblib")  # what MLServer's scikit-learn runtime reads
    return Handed(
        folder / "model.joblib",
        labels,
        {count: _written(folder / f"list-{count}.json", _list(table)) for count, table in tables.items()},
        {count: _written(folder / f"tensor-{count}.json", _tensor(table)) for count, table in tables.items()},
    )


def _choose_by_place(pipeline: Any, names: list[str]) -> None:
    """As serving's native runtime does: a choice by name takes a pandas table, which a peer need not make."""
    chooser = pipeline[0]
    chooser.transformers_ = [
        (name, part, [names.index(each) for each in of]) for name, part, of in chooser.transformers_
    ]
    for step in (chooser, *(step for _, part, _ in chooser.transformers_ for step in part)):
        vars(step).pop("feature_names_in_", None)  # or every prediction would be a warning that there are none


def _list(table: pd.DataFrame) -> dict[str, Any]:
    return {"rows": table.to_numpy().tolist()}


def _tensor(table: pd.DataFrame) -> dict[str, Any]:
    data = table.to_numpy().ravel().tolist()
    return {"inputs": [{"name": "rows", "datatype": "FP64", "shape": list(table.shape), "data": data}]}


def _written(path: Path, body: dict[str, Any]) -> Path:
    path.write_text(json.dumps(body))
    return path
