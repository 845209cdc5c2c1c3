"""The model that is copied, as MLflow has it: how it is asked, what rows it takes, and its way to a graph."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from numpy.typing import NDArray

from pipelines.errors import NoTwin
from pipelines.export import feeds
from pipelines.export.feeds import FLOATS, WHOLE, Rows
from pipelines.export.graphs import Exported, as_answered

Array = NDArray[Any]
METHODS = ("predict", "predict_proba")


@dataclass(frozen=True)
class Original:
    model: Any
    flavour: str
    signature: ModelSignature
    answers_with: str
    """The method that MLflow calls where a caller asks for nothing else."""

    def ask(self, rows: Rows) -> dict[str, Array]:
        """Everything that may be asked of it, by method."""
        if self.flavour == "pytorch":
            import torch

            with torch.no_grad():
                return {"predict": self.model(torch.from_numpy(np.ascontiguousarray(rows))).numpy()}
        found = {name: np.asarray(getattr(self.model, name)(rows)) for name in METHODS if hasattr(self.model, name)}
        return found | {"predict": found[self.answers_with]}

    def numbers(self, rows: Rows) -> dict[str, Array]:
        """Its probabilities, or what it predicts where it has none."""
        if self.flavour == "pytorch" or not hasattr(self.model, "predict_proba"):
            return self.ask(rows)
        return {"predict_proba": np.asarray(self.model.predict_proba(rows))}

    def precisions(self) -> list[str]:
        """Which floating-point types a graph may compute with, best first."""
        kinds = feeds.types(self.signature)
        if kinds is None:
            tensor = str(self.signature.inputs.inputs[0].type)
            return [tensor] if self.flavour == "pytorch" else _both(narrow=tensor == "float32")
        return _both(narrow=bool(kinds) and set(kinds.values()) == {"float"})


def _both(*, narrow: bool) -> list[str]:
    """float32 first only where that is what comes: else it is no quicker, and tiny probabilities are lost in it."""
    return ["float32", "float64"] if narrow else ["float64", "float32"]


def load(folder: Path) -> Original:
    """From a model's files; NoTwin for what is neither scikit-learn nor PyTorch."""
    about = Model.load(str(folder))
    feeds.types(about.signature)
    function = about.flavors.get("python_function", {}).get("predict_fn", "predict")
    if "sklearn" in about.flavors and function in METHODS:
        return Original(mlflow.sklearn.load_model(str(folder)), "sklearn", about.signature, function)
    if "pytorch" in about.flavors:
        if not about.signature.inputs.is_tensor_spec():
            raise NoTwin("the signature of a PyTorch model has columns, not a tensor")
        model = mlflow.pytorch.load_model(str(folder), map_location="cpu")
        return Original(_evaluating(model), "pytorch", about.signature, "predict")
    raise NoTwin("only scikit-learn and PyTorch models get one")


def _evaluating(module: Any) -> Any:
    try:
        return module.eval()
    except NotImplementedError:  # what torch.export has written is as it was exported
        return module


def example(folder: Path) -> Rows:
    """The rows that were logged with a model."""
    found = Model.load(str(folder)).load_input_example(str(folder))
    if found is None:
        raise NoTwin("the version has no input example; give rows to measure on")
    rows: Any = found  # MLflow types it too narrowly
    return rows if isinstance(rows, pd.DataFrame) else np.asarray(rows)


def typed(rows: Rows, signature: ModelSignature) -> Rows:
    """In the signature's own types, as MLflow hands them to the model; other columns are left out."""
    kinds = feeds.types(signature)
    if kinds is None:
        return np.asarray(rows).astype(signature.inputs.inputs[0].type)
    if isinstance(rows, np.ndarray):
        raise NoTwin("the signature has columns, so the rows must be a table (.parquet)")
    if lacking := [name for name in kinds if name not in rows]:
        raise NoTwin(f"the rows have no column {lacking[0]!r}")
    numpy_types = FLOATS | WHOLE | {"string": "object"}
    return rows[list(kinds)].astype({name: numpy_types[kind] for name, kind in kinds.items()})


def export(original: Original, rows: Rows, numbers: str) -> Exported:
    """A graph that computes with `numbers`; raises whatever the converter does."""
    if original.flavour == "pytorch":
        from pipelines.export import network

        wanted = feeds.inputs(original.signature, numbers)
        return Exported(network.convert(original.model, np.asarray(rows[:2])), wanted, {"predict": "answer"}, "torch")
    from pipelines.export import scikit

    graph, wanted = scikit.convert(original.model, original.signature, numbers)
    answers = dict(zip(METHODS, (output.name for output in graph.graph.output), strict=False))
    said = original.ask(rows[:5])
    outputs = {method: answers[method] for method in said} | {"predict": answers[original.answers_with]}
    return as_answered(Exported(graph, wanted, outputs, "skl2onnx"), said, rows[:5])
