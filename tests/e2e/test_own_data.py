"""Bring your own data: a CSV goes through to a served model with only params.yaml changed."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from tests.e2e.conftest import Hosted
from tests.e2e.driver import Platform

pytestmark = pytest.mark.slow

ROWS = 240
PLANS = {"basic": 20.0, "family": 60.0, "premium": 140.0}
"""Text targets, and what their customers spend on average."""


def customers() -> pd.DataFrame:
    """Numbers, categories, missing values in both, a row id, and a text to predict that follows from the others."""
    rng = np.random.default_rng(7)
    plan = rng.choice(list(PLANS), ROWS)
    spend = np.array([PLANS[each] for each in plan]) + rng.normal(0, 8, ROWS)
    city = np.where(plan == "family", "Lyon", rng.choice(["Oslo", "Kyiv", "Lima"], ROWS)).astype(object)
    frame = pd.DataFrame(
        {
            "customer": [f"c-{number:04}" for number in range(ROWS)],
            "age": rng.integers(18, 90, ROWS),
            "monthly spend": spend.round(2),
            "city": city,
            "newsletter": rng.choice([True, False], ROWS),
            "plan": plan,
        }
    )
    frame.loc[rng.choice(ROWS, 15, replace=False), "monthly spend"] = np.nan
    frame.loc[rng.choice(ROWS, 15, replace=False), "city"] = None
    return frame


@pytest.fixture(scope="module")
def served(hosted: Hosted) -> Iterator[Platform]:
    """The customers' CSV has gone the whole way, by editing params.yaml alone."""
    with hosted("own-data") as platform:
        customers().to_csv(platform.workspace.folder / "data/source/customers.csv", index=False)
        platform.set(
            {
                "ingest.source": "data/source/customers.csv",
                "validate.target": "plan",
                "validate.drop": ["customer"],
                "validate.columns": {},
                "evaluate.floor": 0.7,
                "train.boosting": None,
            }
        )
        platform.train()
        platform.promote("best")
        platform.eventually_answers("1")
        yield platform


def a_row(**values: object) -> pd.DataFrame:
    row = {"age": 40.0, "monthly spend": 20.0, "city": "Oslo", "newsletter": 1.0, **values}
    return pd.DataFrame([row], dtype=object)


def test_only_params_yaml_was_changed(served: Platform) -> None:
    assert served.workspace.git("status", "--porcelain").splitlines() == ["M params.yaml", "?? dvc.lock"]


def test_text_labels_come_back(served: Platform) -> None:
    answer = served.predict(served.test_rows())

    right = [said == true for said, true in zip(answer.predictions, served.test_labels(), strict=True)]
    assert answer.version == "1"
    assert set(answer.predictions) <= set(PLANS)
    assert sum(right) / len(right) > 0.8


@pytest.mark.parametrize("plan", PLANS)
def test_a_clear_case_is_recognised(served: Platform, plan: str) -> None:
    city = "Lyon" if plan == "family" else "Oslo"

    assert served.predict(a_row(**{"monthly spend": PLANS[plan], "city": city})).predictions == [plan]


def test_a_missing_number_and_a_missing_category_are_answered(served: Platform) -> None:
    assert set(served.predict(a_row(**{"monthly spend": None})).predictions) <= set(PLANS)
    assert set(served.predict(a_row(city=None)).predictions) <= set(PLANS)


def test_a_category_never_seen_before_is_answered(served: Platform) -> None:
    assert served.predict(a_row(city="Atlantis")).predictions == ["basic"]


def test_a_column_that_was_dropped_may_be_sent_or_not(served: Platform) -> None:
    with_id = a_row().assign(customer="c-9999")

    assert served.predict(with_id) == served.predict(a_row())


def test_a_regression_needs_no_more(hosted: Hosted) -> None:
    frame = customers().drop(columns="plan").dropna(subset=["monthly spend"])
    with hosted("own-regression") as platform:
        frame.to_csv(platform.workspace.folder / "data/source/spend.csv", index=False)
        platform.set(
            {
                "ingest.source": "data/source/spend.csv",
                "validate.task": "regression",
                "validate.target": "monthly spend",
                "validate.drop": ["customer"],
                "validate.columns": {},
                "evaluate.metric": "mae",
                "evaluate.floor": 80,
                "train.boosting": None,
            }
        )
        platform.train()
        platform.promote("best")
        platform.eventually_answers("1")

        answers = platform.predict(platform.test_rows().assign(city=None)).predictions

    assert len(answers) == len(platform.test_rows())
    assert all(isinstance(answer, float) for answer in answers)
    assert platform.report("evaluate")["best"]["mae"] < 80
