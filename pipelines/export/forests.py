"""Converters of forests, single trees and boosted ones: every leaf, threshold and tie as in scikit-learn."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from pipelines.errors import NoTwin
from pipelines.export import trees
from pipelines.export.estimator import Graph
from pipelines.export.trees import Tree


def forest_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, operator, container)
    grown = _grown(graph.model)
    if grown[0].values.shape[1] == 2:  # the second class only: every tree then has one value, which is quickest
        seconds = [replace(tree, values=tree.values[:, 1:]) for tree in grown]
        total = _ensemble(graph, _as_float32(graph), trees.attributes(seconds, [0] * len(grown), count=1))
        graph.classifies(graph.two_classes(graph.add("Div", total, graph.constant(np.float64(len(grown))))))
    else:
        graph.classifies(_mean_of_leaves(graph, grown))


def _mean_of_leaves(graph: Graph, grown: list[Tree]) -> str:
    """[rows, classes]: each tree answers with the number of its leaf, and a table has the leaf's values."""
    leaves, numbered = 0, []
    for tree in grown:
        numbers = leaves + np.cumsum(tree.is_leaf) - 1
        numbered.append(replace(tree, values=numbers[:, None]))
        leaves += int(tree.is_leaf.sum())
    attributes = trees.attributes(numbered, range(len(grown)), count=len(grown))
    number = graph.cast(_ensemble(graph, _as_float32(graph), attributes), TensorProto.INT64)
    table = np.concatenate([tree.values[tree.is_leaf] for tree in grown])
    values = graph.add("Gather", graph.constant(table), number)
    return graph.add("ReduceMean", values, graph.constant([1]), keepdims=0)


def forest_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, operator, container)
    grown = _grown(graph.model)
    total = _ensemble(graph, _as_float32(graph), trees.attributes(grown, [0] * len(grown), count=1))
    graph.gives(graph.add("Div", total, graph.constant(np.float64(len(grown)))))


def gradient_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, operator, container)
    if graph.model.loss != "log_loss":
        raise NoTwin("gradient boosting with another loss")
    raw = _gradient(graph)
    if len(graph.model.classes_) == 2:
        graph.classifies(graph.two_classes(graph.add("Sigmoid", raw)))
    else:
        graph.classifies(graph.add("Softmax", raw))


def gradient_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, operator, container)
    graph.gives(_gradient(graph))


def _gradient(graph: Graph) -> str:
    """[rows, trees an iteration], before the loss makes them probabilities or values."""
    model = graph.model
    if model.init is not None:
        raise NoTwin("gradient boosting that starts from another model")
    grown = [trees.of_decision_tree(one.tree_) for one in model.estimators_.ravel()]
    grown = [replace(tree, values=model.learning_rate * tree.values) for tree in grown]
    rounds, width = model.estimators_.shape
    attributes = trees.attributes(grown, list(range(width)) * rounds, count=width)
    start = np.asarray(model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32)), np.float64)
    return graph.add("Add", _ensemble(graph, _as_float32(graph), attributes), graph.constant(start.reshape(1, width)))


def boosted_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, operator, container)
    raw = _boosted(graph)
    if len(graph.model.classes_) == 2:
        graph.classifies(graph.two_classes(graph.add("Sigmoid", raw)))
    else:
        graph.classifies(graph.add("Softmax", raw))


def boosted_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, operator, container)
    raw = _boosted(graph)
    # By the loss that was asked for: these are the ones whose trees add up to a logarithm.
    graph.gives(graph.add("Exp", raw) if graph.model.loss in {"poisson", "gamma"} else raw)


def _boosted(graph: Graph) -> str:
    """[rows, trees an iteration], before the loss makes them probabilities or values."""
    rounds = graph.model._predictors
    grown = [trees.of_histogram(predictor.nodes) for predictors in rounds for predictor in predictors]
    width = len(rounds[0])
    attributes = trees.attributes(grown, list(range(width)) * len(rounds), count=width)
    baseline = np.asarray(graph.model._baseline_prediction, np.float64).reshape(1, width)
    return graph.add("Add", _ensemble(graph, graph.rows, attributes), graph.constant(baseline))


def _grown(model: Any) -> list[Tree]:
    return [trees.of_decision_tree(one.tree_) for one in getattr(model, "estimators_", [model])]


def _as_float32(graph: Graph) -> str:
    """What scikit-learn's trees compare with their float64 thresholds."""
    return graph.cast(graph.cast(graph.rows, TensorProto.FLOAT), TensorProto.DOUBLE)


def _ensemble(graph: Graph, rows: str, attributes: dict[str, Any]) -> str:
    return graph.add("TreeEnsemble", rows, ml=True, **attributes)


CONVERTERS: dict[type, Callable[[Any, Any, Any], None]] = {
    DecisionTreeClassifier: forest_classifier,
    DecisionTreeRegressor: forest_regressor,
    ExtraTreesClassifier: forest_classifier,
    ExtraTreesRegressor: forest_regressor,
    GradientBoostingClassifier: gradient_classifier,
    GradientBoostingRegressor: gradient_regressor,
    HistGradientBoostingClassifier: boosted_classifier,
    HistGradientBoostingRegressor: boosted_regressor,
    RandomForestClassifier: forest_classifier,
    RandomForestRegressor: forest_regressor,
}
