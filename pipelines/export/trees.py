"""Forests and boosted trees as ONNX, exact in float64: scikit-learn's own splits, leaf values and order of comparison.

skl2onnx rounds both to float32, so a row near a split may fall on the other side of it. Operator TreeEnsemble
(ai.onnx.ml 5, https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html) takes doubles, and ONNX Runtime has it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import NoTwin

Array = NDArray[Any]
LESS_OR_EQUAL = 0
SUM = 1


@dataclass(frozen=True)
class Tree:
    """Node 0 is the root; `values` [nodes, outputs] count at leaves only."""

    feature: Array
    threshold: Array
    left: Array
    right: Array
    is_leaf: Array
    gap_goes_left: Array
    values: Array


def of_decision_tree(tree: Any) -> Tree:
    """From `estimator.tree_`, whose one output has a value for every class."""
    if tree.n_outputs != 1:
        raise NoTwin("trees with several outputs")
    leaf = tree.children_left == -1
    gaps = np.asarray(tree.missing_go_to_left, bool)
    return Tree(tree.feature, tree.threshold, tree.children_left, tree.children_right, leaf, gaps, tree.value[:, 0, :])


def of_histogram(nodes: Array) -> Tree:
    """From the nodes of a predictor of HistGradientBoosting."""
    if nodes["is_categorical"].any():
        raise NoTwin("histogram boosting with columns of categories")
    return Tree(
        nodes["feature_idx"],
        nodes["num_threshold"],
        nodes["left"],
        nodes["right"],
        nodes["is_leaf"].astype(bool),
        nodes["missing_go_to_left"].astype(bool),
        nodes["value"][:, None],
    )


def attributes(trees: Iterable[Tree], targets: Iterable[int], *, count: int) -> dict[str, Any]:
    """Of a TreeEnsemble that adds the first value of each tree's leaf to the output that `targets` has for the tree."""
    roots: list[int] = []
    parts: dict[str, list[Array]] = {name: [] for name in (*_NODE, *_LEAF)}
    nodes = leaves = 0
    for tree, target in zip(trees, targets, strict=True):
        roots.append(nodes)
        own = _split_up(tree, nodes, leaves) | {"leaf_targetids": np.full(tree.is_leaf.sum(), target)}
        for name, values in own.items():
            parts[name].append(values)
        nodes += len(own["nodes_featureids"])
        leaves += len(own["leaf_weights"])
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    return {"n_targets": count, "aggregate_function": SUM, "post_transform": 0, "tree_roots": roots} | {
        name: _tensor(name, values) if name in _TENSORS else values.tolist() for name, values in joined.items()
    }


_NODE = (
    "nodes_featureids",
    "nodes_splits",
    "nodes_modes",
    "nodes_truenodeids",
    "nodes_trueleafs",
    "nodes_falsenodeids",
    "nodes_falseleafs",
    "nodes_missing_value_tracks_true",
)
_LEAF = ("leaf_targetids", "leaf_weights")
_TENSORS = {"nodes_splits": np.float64, "nodes_modes": np.uint8, "leaf_weights": np.float64}


def _split_up(tree: Tree, nodes: int, leaves: int) -> dict[str, Array]:
    """Inner nodes and leaves, which ONNX counts apart; `nodes` and `leaves` are there already."""
    inner = np.flatnonzero(~tree.is_leaf)
    number = np.where(tree.is_leaf, leaves + np.cumsum(tree.is_leaf), nodes + np.cumsum(~tree.is_leaf)) - 1
    if not len(inner):  # ONNX has no tree without a split: one that leads to the only leaf either way
        inner = np.zeros(1, int)
        tree = replace(tree, feature=inner, threshold=inner, left=inner, right=inner, gap_goes_left=inner)
    yes, no = tree.left[inner].astype(int), tree.right[inner].astype(int)
    return {
        "nodes_featureids": tree.feature[inner],
        "nodes_splits": tree.threshold[inner],
        "nodes_modes": np.full(len(inner), LESS_OR_EQUAL),
        "nodes_truenodeids": number[yes],
        "nodes_trueleafs": tree.is_leaf[yes].astype(int),
        "nodes_falsenodeids": number[no],
        "nodes_falseleafs": tree.is_leaf[no].astype(int),
        "nodes_missing_value_tracks_true": tree.gap_goes_left[inner].astype(int),
        "leaf_weights": tree.values[tree.is_leaf, 0],
    }


def _tensor(name: str, values: Array) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(values.astype(_TENSORS[name]), name)
