"""Versions with an ONNX twin, made by hand: quick to make and to load, and no library behind them."""

import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serving.protocol import Column, Signature, Trial, Version
from serving.store import posted
from serving.store.posted import Candidate, Posting
from tests.fakes import a_version

MEASURED = {"rows": 100, "labels_equal": True, "largest_relative": 1e-7, "tolerance": 1e-5}
X_AND_SIZE = Signature((Column("x", "double"), Column("size", "double")), (Column("y", "double"),))


def a_twin(folder: Path, *, factor: float = 1) -> Path:
    """A version that answers factor * x; its other files would not load."""
    folder.mkdir(parents=True)
    write_mlmodel(folder, X_AND_SIZE)
    (folder / "serving_input_example.json").write_text(
        json.dumps({"dataframe_split": {"columns": ["x", "size"], "data": [[1.0, 0.5]]}})
    )
    weights = numpy_helper.from_array(np.array([[factor], [0.0]]), "weights")
    axes = numpy_helper.from_array(np.array([1]), "axes")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "weights"], ["y"]), helper.make_node("Squeeze", ["y", "axes"], ["label"])],
        "slope",
        [helper.make_tensor_value_info("rows", TensorProto.DOUBLE, [None, 2])],
        [helper.make_tensor_value_info("label", TensorProto.DOUBLE, [None])],
        [weights, axes],
    )
    write_twin(folder, graph, [{"name": "rows", "dtype": "float64", "columns": ["x", "size"]}])
    return folder


def write_mlmodel(folder: Path, signature: Signature) -> None:
    fields = {
        part: json.dumps([{"name": each.name, "type": each.type} for each in fields if isinstance(each, Column)])
        for part, fields in (("inputs", signature.inputs), ("outputs", signature.outputs))
    }
    (folder / "MLmodel").write_text(json.dumps({"flavors": {"sklearn": {}}, "signature": fields}))


def write_twin(
    folder: Path,
    graph: onnx.GraphProto | onnx.ModelProto,
    inputs: list[dict[str, Any]],
    outputs: dict[str, str] | None = None,
) -> None:
    """`model.onnx` and a card that says it was measured."""
    model = graph if isinstance(graph, onnx.ModelProto) else _model(graph)
    content = model.SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    card = {
        "format": 1,
        "inputs": inputs,
        "outputs": outputs or {"predict": "label"},
        "parity": MEASURED,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / "twin.json").write_text(json.dumps(card))


def change_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "twin.json").read_text())
    (folder / "twin.json").write_text(json.dumps({**card, **changes}))


def post(store: Path, number: int, *, factor: float = 1, **tags: str) -> Version:
    """Post a version of `iris` that answers factor * x, as the syncer would; there is no candidate any more."""
    version = replace(a_version(number), tags=tags)
    posted.Board(("iris",), store).put(Posting("iris", version, _made(store, number, factor)))
    return version


def post_candidate(store: Path, trial: Trial, *, factor: float = 1, **changes: str) -> None:
    """Beside the version that is posted; `changes` of what is posted about it."""
    candidate = Candidate(trial, _made(store, trial.version.number, factor))
    change = partial(replace, candidate=replace(candidate, **changes))  # type: ignore[arg-type]  # fields of Candidate
    posted.Board(("iris",), store).change("iris", change)


def _made(store: Path, number: int, factor: float) -> str:
    below = f"iris/{number}-{factor:g}"
    if not (store / below).is_dir():
        a_twin(store / below, factor=factor)
    return below


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)
