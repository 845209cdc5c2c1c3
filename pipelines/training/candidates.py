"""What is tried: each candidate fits a whole model, from the schema's columns to labels or values. Knows no MLflow.

A candidate is named in params.yaml's `train` section; one that is not named there is not trained.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from pipelines.data import Rows, Schema
from pipelines.settings import Boosting, Forest, Linear, Network, Section, Train
from pipelines.training import network
from pipelines.training.carrier import carry
from pipelines.training.features import preprocessor


@dataclass(frozen=True)
class Job:
    """What every candidate is given."""

    schema: Schema
    training: Rows
    validation: Rows
    seed: int
    on_epoch: network.OnEpoch


@dataclass(frozen=True)
class Fitted:
    """`model` predicts from a DataFrame of the schema's columns."""

    model: Pipeline
    facts: dict[str, float | str]
    """Worth logging beside the parameters."""
    network: Any | None = None
    """The PyTorch module, where one was trained; it takes pre-processed rows."""


def chosen(params: Train) -> dict[str, Section]:
    """The candidates that params.yaml names, with their parameters."""
    named = {name: getattr(params, name) for name in FIT}
    return {name: section for name, section in named.items() if section is not None}


def fit(name: str, section: Section, job: Job) -> Fitted:
    return FIT[name](section, job)


def _linear(params: Linear, job: Job) -> Fitted:
    return _sklearn(
        Ridge(alpha=1 / params.C) if job.schema.classes is None else LogisticRegression(C=params.C, max_iter=2000), job
    )


def _forest(params: Forest, job: Job) -> Fitted:
    kind = RandomForestRegressor if job.schema.classes is None else RandomForestClassifier
    # One thread in the published model: serving runs many requests at once and joblib costs more than it saves there.
    return _sklearn(kind(n_estimators=params.trees, max_depth=params.max_depth, random_state=job.seed, n_jobs=1), job)


def _boosting(params: Boosting, job: Job) -> Fitted:
    kind = HistGradientBoostingRegressor if job.schema.classes is None else HistGradientBoostingClassifier
    # It holds a tenth of the rows back to know when to stop, which a small table with many classes cannot spare.
    stops = job.schema.classes is None or job.training.target.value_counts().min() >= 10
    model = kind(
        max_iter=params.iterations,
        learning_rate=params.learning_rate,
        early_stopping=bool(stops),
        random_state=job.seed,
    )
    fitted = _sklearn(model, job)
    return Fitted(fitted.model, {"iterations_run": float(model.n_iter_)})


def _sklearn(estimator: Any, job: Job) -> Fitted:
    model = Pipeline([("prepare", preprocessor(job.schema)), ("predict", estimator)])
    return Fitted(model.fit(job.training.features, job.training.target), {})


def _network(params: Network, job: Job) -> Fitted:
    prepare = preprocessor(job.schema).fit(job.training.features)
    training, validation = (
        network.Split(prepare.transform(rows.features), _wanted(rows.target, job.schema))
        for rows in (job.training, job.validation)
    )
    classes = job.schema.classes
    shape = network.Shape(None if classes is None else len(classes), job.schema.image_shape)
    trained = network.train((training, validation), params, shape, seed=job.seed, on_epoch=job.on_epoch)
    facts: dict[str, float | str] = {
        "architecture": "convolutional" if job.schema.image_shape else "dense",
        "best_epoch": float(trained.best_epoch),
        "torch_parameters": float(sum(weights.numel() for weights in trained.network.parameters())),
    }
    model = Pipeline([("prepare", prepare), ("predict", carry(trained, training, classes=classes))])
    return Fitted(model, facts, trained.network)


def _wanted(target: pd.Series, schema: Schema) -> Any:
    """Class indices in the schema's order, or the values themselves."""
    if schema.classes is None:
        return target.to_numpy(np.float64)
    return pd.Index(schema.classes).get_indexer(pd.Index(target))


FIT: dict[str, Callable[[Any, Job], Fitted]] = {
    "linear": _linear,
    "forest": _forest,
    "boosting": _boosting,
    "network": _network,
}
