"""The models that are measured: three candidates as `python -m pipelines` trains them, each with its ONNX twin."""

import json
from dataclasses import dataclass
from pathlib import Path

import mlflow
import msgspec
import pandas as pd

from pipelines.records import RUNS, Runs
from serving.protocol import Version
from serving.store.posted import FILE, Posting
from tests import servers, workspace

MODELS = {"linear": "logistic regression", "forest": "forest of 100 trees", "network": "PyTorch MLP"}
ROWS = (1, 64)


@dataclass(frozen=True)
class Made:
    """`store` is what serving reads, `bodies` has a JSON file for each number of rows."""

    store: Path
    bodies: dict[int, Path]

    def folder(self, model: str) -> Path:
        return self.store / model / "1"


def made_in(folder: Path) -> Made:
    """What `make` left there, made now if it is not there."""
    bodies = {count: folder / f"rows-{count}.json" for count in ROWS}
    return Made(folder / "store", bodies) if all(body.exists() for body in bodies.values()) else make(folder)


def make(folder: Path) -> Made:
    """Train, register and twin them on a stack of their own, which is stopped again."""
    with servers.stack(_new(folder / "stack")) as stack:
        made = workspace.make(folder / "work", stack.env, model="bench", params={"train.boosting": None})
        made.run("pipelines")
        mlflow.set_tracking_uri(stack.tracking_uri)
        trained = Runs.model_validate_json((made.folder / RUNS).read_text()).candidates
        for each in trained:
            mlflow.register_model(each.model_uri, each.name)
            made.run("pipelines.twin", each.name, "1", "--rows", "data/processed/test.parquet")
            mlflow.artifacts.download_artifacts(each.model_uri, dst_path=str(_new(folder / "store" / each.name / "1")))
    postings = [Posting(model, Version(model, 1, 0, "bench"), f"{model}/1") for model in MODELS]
    (folder / "store" / FILE).write_bytes(msgspec.json.encode(postings))
    table = pd.read_parquet(made.folder / "data/processed/train.parquet").drop(columns="target")
    return Made(folder / "store", {count: _body(folder, table.head(count)) for count in ROWS})


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _body(folder: Path, rows: pd.DataFrame) -> Path:
    path = folder / f"rows-{len(rows)}.json"
    path.write_text(json.dumps({"dataframe_split": rows.to_dict(orient="split", index=False)}))
    return path
