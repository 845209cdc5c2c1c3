"""A scikit-learn model as a graph: skl2onnx, with converters of our own where its are rounded or slow.

The columns arrive side by side, not one input each: a hundred inputs cost a request more than the model itself.
"""

import copy
from typing import Any

import numpy as np
import skl2onnx
from mlflow.models import ModelSignature
from onnx import ModelProto
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import get_shape_calculator
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from pipelines.export import forests, parts
from pipelines.export.estimator import OPSETS
from pipelines.export.feeds import Input, inputs

OURS = parts.CONVERTERS | forests.CONVERTERS
KINDS = {"float64": DoubleTensorType, "float32": FloatTensorType, "string": StringTensorType}


def convert(model: Any, signature: ModelSignature, numbers: str) -> tuple[ModelProto, tuple[Input, ...]]:
    """Whatever skl2onnx raises for a model it does not know. Outputs: the answer, and a classifier's probabilities."""
    wanted = inputs(signature, numbers)
    placed = _by_position(model, [name for each in wanted for name in each.columns or ()])
    ours = OURS if numbers == "float64" else {}
    graph = skl2onnx.convert_sklearn(
        placed,
        initial_types=[(each.name, KINDS[each.dtype]([None, _width(each, signature)])) for each in wanted],
        options={id(placed): {"zipmap": False}} if hasattr(placed, "predict_proba") else None,
        target_opset=OPSETS,
        custom_conversion_functions=ours,
        custom_shape_calculators={kind: _shapes(kind) for kind in ours},
    )
    for output in graph.graph.output:  # skl2onnx declares float32 for what is none
        output.ClearField("type")
    if any(node.op_type == "TreeEnsemble" for node in graph.graph.node):
        next(each for each in graph.opset_import if each.domain == "ai.onnx.ml").version = 5
    return graph, wanted


def _width(wanted: Input, signature: ModelSignature) -> int:
    return len(wanted.columns) if wanted.columns is not None else int(signature.inputs.inputs[0].shape[-1])


def _shapes(kind: type) -> Any:
    return parts.SHAPES.get(kind) or get_shape_calculator(sklearn_operator_name_map[kind])


def _by_position(model: Any, columns: list[str]) -> Any:
    """A copy whose first step chooses columns by their position among `columns`, as skl2onnx wants it."""
    model = copy.deepcopy(model)
    first = model.steps[0][1] if isinstance(model, Pipeline) else model
    if isinstance(first, ColumnTransformer) and columns:
        names = [str(name) for name in getattr(first, "feature_names_in_", columns)]
        places = np.array([columns.index(name) for name in names])
        first.transformers_ = [
            (name, step, _chosen(chosen, names, places)) for name, step, chosen in first.transformers_
        ]
        vars(first).pop("feature_names_in_", None)
    return model


def _chosen(chosen: Any, names: list[str], places: Any) -> list[int]:
    """Columns by name, number, slice or truth value, as positions."""
    if isinstance(chosen, str):
        chosen = [chosen]
    if not isinstance(chosen, slice) and len(chosen) > 0 and isinstance(chosen[0], str):
        chosen = [names.index(name) for name in chosen]
    return [int(place) for place in places[np.asarray(chosen, int) if chosen == [] else chosen]]
