"""Converters that skl2onnx lacks, or has in float32 or with many nodes only. For float64.

A gap among texts is the text MISSING in the graph, for ONNX has no missing string.
"""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer
from skl2onnx.operator_converters.one_hot_encoder import convert_sklearn_one_hot_encoder
from skl2onnx.shape_calculators.one_hot_encoder import calculate_sklearn_one_hot_encoder_output_shapes
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pipelines.errors import NoTwin
from pipelines.export.estimator import Graph
from pipelines.training.features import MISSING

UNSEEN = "\0 a text that no training row had"


def fill_gaps(scope: Any, operator: Any, container: Any) -> None:
    imputer: SimpleImputer = operator.raw_operator
    text, gap = isinstance(operator.inputs[0].type, StringTensorType), imputer.missing_values
    is_gap = gap is None or (isinstance(gap, float) and np.isnan(gap))
    if text and not is_gap:
        convert_sklearn_imputer(scope, operator, container)
        return
    fill = imputer.statistics_ if text else np.asarray(imputer.statistics_, np.float64)
    if imputer.add_indicator or not is_gap or (not text and np.isnan(fill).any()):
        raise NoTwin("a SimpleImputer that adds or drops columns, or looks for a number")
    graph = Graph(scope, operator, container)
    if text and all(value == MISSING for value in fill):
        graph.gives(graph.rows)
        return
    if text:
        found = graph.add(
            "LabelEncoder", graph.rows, ml=True, keys_strings=[MISSING], values_int64s=[1], default_int64=0
        )
        missing = graph.cast(found, TensorProto.BOOL)
    else:
        missing = graph.add("IsNaN", graph.rows)
    graph.gives(graph.add("Where", missing, graph.constant(fill), graph.rows))


def scale(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, operator, container)
    scaler: StandardScaler = graph.model
    rows = graph.rows
    if scaler.with_mean:
        rows = graph.add("Sub", rows, graph.constant(scaler.mean_))
    if scaler.with_std:
        rows = graph.add("Div", rows, graph.constant(scaler.scale_))
    graph.gives(rows)


def one_hot(scope: Any, operator: Any, container: Any) -> None:
    """All columns at once: text to number, number to its place among the outputs, and a comparison with every place."""
    if not _is_ours(operator):
        convert_sklearn_one_hot_encoder(scope, operator, container)
        return
    graph = Graph(scope, operator, container)
    texts = sorted({_text(category) for categories in graph.model.categories_ for category in categories})
    places, column_of = _places(graph.model, texts)
    known = graph.add(
        "LabelEncoder",
        graph.rows,
        ml=True,
        keys_strings=texts,
        values_int64s=list(range(len(texts))),
        default_int64=len(texts),
    )
    at = graph.add("Add", known, graph.constant(np.arange(len(places)) * places.shape[1]))
    place = graph.add("Gather", graph.constant(places.ravel()), at)
    each = graph.add("Gather", place, graph.constant(column_of), axis=1)
    hot = graph.add("Equal", each, graph.constant(np.arange(len(column_of))))
    graph.gives(graph.cast(hot, TensorProto.DOUBLE))


def _is_ours(operator: Any) -> bool:
    encoder: OneHotEncoder = operator.raw_operator
    text = all(isinstance(each.type, StringTensorType) for each in operator.inputs)
    return text and encoder.drop is None and encoder.handle_unknown != "error"


def _text(category: Any) -> str:
    return MISSING if pd.isna(category) else str(category)


def _places(encoder: OneHotEncoder, texts: list[str]) -> tuple[Any, Any]:
    """Which output is 1 for a text in a column, -1 for none ([columns, texts + 1], unknown last); each output's column.

    The encoder is asked rather than taken apart: it also puts rare categories together.
    """
    named = copy.copy(encoder).set_params(feature_name_combiner=lambda column, _: column)
    names = list(getattr(encoder, "feature_names_in_", [f"x{at}" for at in range(encoder.n_features_in_)]))
    column_of = np.array([names.index(name) for name in named.get_feature_names_out()])
    places = np.full((len(names), len(texts) + 1), -1)
    for column, categories in enumerate(encoder.categories_):
        rows = np.array([[first[0] for first in encoder.categories_]] * (len(categories) + 1), dtype=object)
        rows[:, column] = [*categories, UNSEEN]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that an array has not, and of what is unknown on purpose
            table = encoder.transform(rows)
        own = (table if isinstance(table, np.ndarray) else table.toarray())[:, column_of == column]
        found = np.where(own.any(axis=1), np.flatnonzero(column_of == column)[own.argmax(axis=1)], -1)
        places[column, -1] = found[-1]
        for category, place in zip(categories, found[:-1], strict=True):
            places[column, texts.index(_text(category))] = place
        known = {_text(category) for category in categories}
        places[column, [at for at, text in enumerate(texts) if text not in known]] = found[-1]
    return places, column_of


def logistic(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, operator, container)
    model: LogisticRegression = graph.model
    weights, bias = np.asarray(model.coef_, np.float64), np.broadcast_to(model.intercept_, len(model.coef_))
    if len(weights) == 1:  # both classes at once: sigmoid(-d) is 1 - sigmoid(d)
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    raw = graph.add("Gemm", graph.rows, graph.constant(weights.T), graph.constant(bias.astype(np.float64)))
    kind = "Sigmoid" if len(model.classes_) == 2 else "Softmax"
    graph.classifies(graph.add(kind, raw))


def perceptron_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, operator, container)
    model: MLPClassifier = graph.model
    if (
        model.classes_.ndim != 1
        or model.n_outputs_ not in {1, len(model.classes_)}
        or model.out_activation_ == "identity"
    ):
        raise NoTwin("a perceptron with several labels a row")
    value = _layers(graph)
    graph.classifies(graph.two_classes(value) if model.n_outputs_ == 1 else value)


def perceptron_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, operator, container)
    graph.gives(_layers(graph))


def _layers(graph: Graph) -> str:
    model, value = graph.model, graph.rows
    kinds = [model.activation] * (model.n_layers_ - 2) + [model.out_activation_]
    for kind, matrix, bias in zip(kinds, model.coefs_, model.intercepts_, strict=True):
        numbers = (graph.constant(np.asarray(each, np.float64)) for each in (matrix, bias))
        value = graph.add("Gemm", value, *numbers)
        if kind != "identity":
            value = graph.add(_ACTIVATIONS[kind], value)
    return value


_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "softmax": "Softmax"}


def same_shape(operator: Any) -> None:
    first = operator.inputs[0].type
    width = sum(each.type.shape[1] for each in operator.inputs)
    operator.outputs[0].type = type(first)([first.shape[0], width])


def _hot_shape(operator: Any) -> None:
    if _is_ours(operator):
        width = len(operator.raw_operator.get_feature_names_out())
        operator.outputs[0].type = DoubleTensorType([operator.inputs[0].type.shape[0], width])
    else:
        calculate_sklearn_one_hot_encoder_output_shapes(operator)


Part = Callable[[Any, Any, Any], None]
CONVERTERS: dict[type, Part] = {
    SimpleImputer: fill_gaps,
    StandardScaler: scale,
    OneHotEncoder: one_hot,
    LogisticRegression: logistic,
    MLPClassifier: perceptron_classifier,
    MLPRegressor: perceptron_regressor,
}
SHAPES: dict[type, Callable[[Any], None]] = {OneHotEncoder: _hot_shape}
