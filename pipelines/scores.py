"""How good predictions are: every metric of a task, by its field's standard name. Pure.

Definitions are scikit-learn's (https://scikit-learn.org/stable/modules/model_evaluation.html).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics

from pipelines.data import Schema
from pipelines.errors import BadData

LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})


def scores(schema: Schema, actual: Any, predicted: Any, probabilities: Any | None) -> dict[str, float]:
    """All metrics of the schema's task; those that need `probabilities` ([rows, classes]) only when they are given."""
    if schema.classes is None:
        return {
            "r2": float(metrics.r2_score(actual, predicted)),
            "rmse": float(metrics.root_mean_squared_error(actual, predicted)),
            "mae": float(metrics.mean_absolute_error(actual, predicted)),
        }
    found = {
        "accuracy": float(metrics.accuracy_score(actual, predicted)),
        "f1_macro": float(metrics.f1_score(actual, predicted, average="macro")),
    }
    if probabilities is not None:
        found["roc_auc"] = _roc_auc(actual, probabilities, schema.classes)
        found["log_loss"] = float(metrics.log_loss(actual, probabilities, labels=schema.classes))
    return found


def answers(model: Any, features: pd.DataFrame) -> tuple[Any, Any | None]:
    """What `model` predicts, and its probabilities where it has them."""
    has_probabilities = hasattr(model, "predict_proba")
    return model.predict(features), model.predict_proba(features) if has_probabilities else None


def _roc_auc(actual: Any, probabilities: Any, classes: Sequence[str | int]) -> float:
    """Area under the ROC curve; several classes: the mean of one against the rest."""
    if len(classes) == 2:
        return float(metrics.roc_auc_score(np.asarray(actual) == classes[1], probabilities[:, 1]))
    return float(metrics.roc_auc_score(actual, probabilities, multi_class="ovr", labels=classes))


def best_first(metric: str, values: Mapping[str, float]) -> list[str]:
    """The names by their values, NaN last; BadData when all are NaN."""
    if all(math.isnan(value) for value in values.values()):
        raise BadData(f"{metric} is not a number for {', '.join(values)}; are there enough rows to measure it on?")
    ranks = {name: (math.isnan(value), -gain(metric, value, over=0)) for name, value in values.items()}
    return sorted(values, key=ranks.__getitem__)


def gain(metric: str, value: float, *, over: float) -> float:
    """By how much `value` is better than `over`; negative when it is worse."""
    return over - value if metric in LOWER_IS_BETTER else value - over
