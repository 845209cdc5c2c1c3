"""Every candidate on every kind of task: it learns, answers in the target's own labels, and survives skops."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io

from pipelines import data, tracking
from pipelines.data import About, Rows, Schema
from pipelines.scores import answers, scores
from pipelines.settings import Train, Validate
from pipelines.training import candidates
from pipelines.training.candidates import Job
from pipelines.validate import examine

SMALL = Train.model_validate(
    {
        "seed": 1,
        "validation_share": 0.2,
        "linear": {"C": 1.0},
        "forest": {"trees": 20},
        "boosting": {"iterations": 20, "learning_rate": 0.1},
        "network": {"hidden": [16], "learning_rate": 0.01, "batch_size": 32, "epochs": 30, "patience": 5},
    }
)
RANDOM = np.random.default_rng(0)


def people() -> pd.DataFrame:
    """Numbers, a truth value, categories with gaps and a text target that follows from them."""
    rows = 300
    age = RANDOM.integers(18, 80, rows).astype(float)
    city = RANDOM.choice(["Rome", "Oslo", "Lima"], rows).astype(object)
    buys = np.where((age > 45) | (city == "Oslo"), "yes, please", "no")
    age[::17], city[::13] = np.nan, None
    return pd.DataFrame({"age": age, "city": city, "member": RANDOM.random(rows) > 0.5, "target": buys})


def a_task(name: str) -> tuple[Schema, pd.DataFrame]:
    if name == "people":
        frame = people()
        about = About(source=name, rows=len(frame), columns=list(frame.columns))
    else:
        frame, about = data.read(f"sklearn:{name}")
    task = "regression" if name == "diabetes" else "classification"
    schema = examine(frame, about, Validate.model_validate({"task": task, "target": "target"}))
    return schema, data.typed(frame, schema)


@pytest.fixture(scope="module", params=["breast_cancer", "wine", "digits", "diabetes", "people"])
def job(request: pytest.FixtureRequest) -> Job:
    schema, frame = a_task(request.param)
    by_class = "target" if schema.classes else None
    parts = data.split(frame, share=0.25, seed=1, by_class=by_class)
    training, validation = (Rows.of(part, schema) for part in parts)
    return Job(schema, training, validation, 1, lambda _: None)


def better_than_guessing(schema: Schema, found: dict[str, float]) -> bool:
    return found["r2"] > 0.2 if schema.classes is None else found["accuracy"] > 0.75


@pytest.mark.parametrize("name", list(candidates.FIT))
def test_it_learns_answers_in_the_targets_labels_and_survives_skops(job: Job, name: str) -> None:
    fitted = candidates.fit(name, candidates.chosen(SMALL)[name], job)

    predicted, probabilities = answers(fitted.model, job.validation.features)
    assert better_than_guessing(job.schema, scores(job.schema, job.validation.target, predicted, probabilities))
    if job.schema.classes:
        assert set(predicted) <= set(job.schema.classes)
        assert list(fitted.model.classes_) == job.schema.classes
    again: Any = skops.io.loads(skops.io.dumps(fitted.model), trusted=tracking.trusted_types())
    np.testing.assert_array_equal(again.predict(job.validation.features), predicted)


def test_a_picture_is_learnt_with_convolutions() -> None:
    schema, frame = a_task("digits")
    rows = Rows.of(frame.head(300), schema)

    fitted = candidates.fit("network", candidates.chosen(SMALL)["network"], Job(schema, rows, rows, 1, lambda _: None))

    assert fitted.facts["architecture"] == "convolutional"


def test_a_candidate_that_is_not_named_is_not_trained() -> None:
    assert list(candidates.chosen(SMALL.model_copy(update={"network": None, "forest": None}))) == ["linear", "boosting"]
