"""What a graph is fed: one array for all columns of numbers, one for all of texts, or the signature's tensor."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from numpy.typing import NDArray

from pipelines.errors import NoTwin
from pipelines.training.features import MISSING

Rows = pd.DataFrame | NDArray[Any]
FLOATS = {"double": "float64", "float": "float32"}
WHOLE = {"long": "int64", "integer": "int32", "boolean": "bool"}


@dataclass(frozen=True)
class Input:
    """One input of a graph: columns by name as [rows, columns], or the tensor of that name (None: the only one)."""

    name: str
    dtype: str
    columns: tuple[str, ...] | None = None
    tensor: str | None = None
    missing: str | None = None
    """What a gap among texts is called in the graph."""

    def json(self) -> dict[str, Any]:
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return given if self.columns is not None else {"tensor": None} | given


def types(signature: ModelSignature | None) -> dict[str, str] | None:
    """MLflow's type of every column, in order; None for a tensor. NoTwin for what ONNX Runtime is not fed with."""
    if signature is None or signature.inputs is None or not signature.inputs.inputs:
        raise NoTwin("the model has no signature")
    if signature.params is not None and signature.params.params:
        raise NoTwin("the model takes parameters beside its rows")
    if signature.inputs.is_tensor_spec():
        if len(signature.inputs.inputs) > 1:
            raise NoTwin("the signature has several tensors")
        return None
    names = [str(name) for name in signature.inputs.input_names()]
    found = {
        name: str(getattr(column.type, "name", column.type))
        for name, column in zip(names, signature.inputs, strict=True)
    }
    for column in signature.inputs:
        if found[str(column.name)] not in FLOATS | WHOLE | {"string": ""} or not column.required:
            raise NoTwin(f"column {column.name!r} is optional, or neither a number nor a text")
    return found


def inputs(signature: ModelSignature, numbers: str) -> tuple[Input, ...]:
    """Of a graph that computes with `numbers` (float64 or float32)."""
    found = types(signature)
    if found is None:
        return (Input("numbers", numbers, tensor=signature.inputs.inputs[0].name),)
    texts = tuple(name for name, kind in found.items() if kind == "string")
    others = tuple(name for name in found if name not in texts)
    parts = (Input("numbers", numbers, columns=others), Input("categories", "string", columns=texts, missing=MISSING))
    return tuple(part for part in parts if part.columns)


def feeds(wanted: Sequence[Input], rows: Rows) -> dict[str, NDArray[Any]]:
    """The arrays that ONNX Runtime takes."""
    return {each.name: _array(each, rows) for each in wanted}


def _array(wanted: Input, rows: Rows) -> NDArray[Any]:
    if wanted.columns is None:
        return np.asarray(rows).astype(wanted.dtype)
    table = pd.DataFrame(rows)[list(wanted.columns)]
    if wanted.dtype != "string":
        return table.to_numpy(wanted.dtype)
    return table.astype(object).where(table.notna(), wanted.missing).to_numpy(object)
