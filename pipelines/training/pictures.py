"""Figures of how a model predicts, for the MLflow UI. Pure: arrays in, a matplotlib figure out."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn import metrics
from sklearn.inspection import permutation_importance

from pipelines.data import Schema

mpl.use("Agg")  # no display where pipelines run

MOST_BARS = 20


def pictures(schema: Schema, actual: Any, predicted: Any, probabilities: Any | None) -> dict[str, Figure]:
    """File name -> figure, those that fit the task."""
    if schema.classes is None:
        return {"residuals.png": _residuals(actual, predicted)}
    figures = {"confusion_matrix.png": _confusion(actual, predicted, schema)}
    if probabilities is not None:
        figures["roc.png"] = _curves(actual, probabilities, schema, metrics.RocCurveDisplay, "ROC")
        figures["precision_recall.png"] = _curves(
            actual, probabilities, schema, metrics.PrecisionRecallDisplay, "Precision and recall"
        )
    return figures


def importance(model: Any, features: pd.DataFrame, target: Any, *, seed: int) -> Figure:
    """How much worse the model scores when a column is shuffled; the same measure for every candidate."""
    found = permutation_importance(model, features, target, n_repeats=3, random_state=seed)
    top = np.argsort(found.importances_mean)[-MOST_BARS:]
    figure = Figure(figsize=(7, 1 + 0.28 * len(top)), layout="tight")
    axes = figure.subplots()
    axes.barh(features.columns[top], found.importances_mean[top], xerr=found.importances_std[top])
    axes.set(title="Permutation importance", xlabel="loss of score when shuffled")
    return figure


def _confusion(actual: Any, predicted: Any, schema: Schema) -> Figure:
    figure, axes = _square()
    metrics.ConfusionMatrixDisplay.from_predictions(
        actual, predicted, labels=schema.classes, ax=axes, colorbar=False, xticks_rotation="vertical"
    )
    axes.set_title("Confusion matrix")
    return figure


def _curves(actual: Any, probabilities: Any, schema: Schema, display: Any, title: str) -> Figure:
    """One curve for two classes, else one a class against the rest."""
    figure, axes = _square()
    classes = list(enumerate(schema.classes or []))
    for index, label in classes[1:] if len(classes) == 2 else classes:
        display.from_predictions(np.asarray(actual) == label, probabilities[:, index], ax=axes, name=str(label))
    axes.set_title(title)
    axes.legend(fontsize="small")
    return figure


def _residuals(actual: Any, predicted: Any) -> Figure:
    figure, axes = _square()
    metrics.PredictionErrorDisplay.from_predictions(actual, predicted, kind="residual_vs_predicted", ax=axes)
    axes.set_title("Residuals")
    return figure


def _square() -> tuple[Figure, Any]:
    figure = Figure(figsize=(6, 6), layout="tight")
    return figure, figure.subplots()
