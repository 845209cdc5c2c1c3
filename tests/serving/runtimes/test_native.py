from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
import xgboost
from mlflow.models import infer_signature
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from serving.admission.rules import Rules
from serving.errors import RowsRefused, VersionRefused
from serving.protocol import PREDICT, PREDICT_PROBA, Answer, Rows
from serving.runtimes import choice, mlmodel, native, pyfunc
from tests.serving.conftest import quiet

NUMBERS = pd.DataFrame(np.random.default_rng(1).normal(size=(40, 3)), columns=["a", "b", "c"])
KINDS = (NUMBERS["a"] > 0).to_numpy().astype(int)
NAMES = np.where(KINDS, "yes", "no")
MIXED = NUMBERS.assign(rooms=np.arange(40) % 4, new=KINDS.astype(bool))
TEXTS = pd.DataFrame({"kind": ["a", "b", "c", "a"] * 10, "size": np.arange(40.0)})

WITH_CODE = Rules(code=True)
Made = Callable[..., pyfunc.PyfuncModel]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A version of `fitted`, saved by MLflow and loaded as pyfunc."""

    def save(fitted: Any, example: Any, flavour: str = "sklearn") -> pyfunc.PyfuncModel:
        options = {
            "sklearn": {"serialization_format": "pickle"},
            "xgboost": {"model_format": "json"},
            "pytorch": {"serialization_format": "pickle"},
        }[flavour]
        with quiet():
            answers = (
                fitted(torch.from_numpy(example)).detach().numpy() if flavour == "pytorch" else fitted.predict(example)
            )
            getattr(mlflow, flavour).save_model(
                fitted,
                str(tmp_path / "model"),
                signature=infer_signature(example, answers),
                input_example=example[:3],
                pip_requirements=[],
                **options,
            )
            return pyfunc.load(mlmodel.read(tmp_path / "model"))

    return save


def rows(plain: pyfunc.PyfuncModel, example: Any, method: str = PREDICT) -> Rows:
    """The example as the plan has it."""
    assert plain.plan is not None
    if isinstance(example, np.ndarray):
        return Rows((example,), len(example), method)
    blocks = [example[list(each.names)].to_numpy(each.dtype) for each in plain.plan.blocks]
    return Rows(tuple(blocks), len(example), method)


def assert_same(one: Answer, other: Answer) -> None:
    assert one.names == other.names
    for mine, theirs in zip(one.outputs, other.outputs, strict=True):
        assert mine.shape == theirs.shape
        if mine.dtype.kind == "f":
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)
        else:
            assert mine.tolist() == theirs.tolist()


MODELS: dict[str, tuple[Callable[[], Any], Any, str]] = {
    "classifier of columns": (lambda: LogisticRegression().fit(NUMBERS, KINDS), NUMBERS, "sklearn"),
    "classifier of texts": (lambda: RandomForestClassifier(5).fit(NUMBERS, NAMES), NUMBERS, "sklearn"),
    "regression of columns": (lambda: LinearRegression().fit(NUMBERS, KINDS), NUMBERS, "sklearn"),
    "two targets": (lambda: LinearRegression().fit(NUMBERS, NUMBERS[["a", "b"]]), NUMBERS, "sklearn"),
    "tensor": (lambda: LogisticRegression().fit(NUMBERS.to_numpy(), KINDS), NUMBERS.to_numpy(), "sklearn"),
    "columns of several types": (
        lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(MIXED, KINDS),
        MIXED,
        "sklearn",
    ),
    "columns chosen by name": (
        lambda: make_pipeline(
            make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough"), LinearRegression()
        ).fit(TEXTS[["kind", "size"]], TEXTS["size"]),
        TEXTS[["size", "kind"]],
        "sklearn",
    ),
    "xgboost classifier": (lambda: xgboost.XGBClassifier(n_estimators=4).fit(NUMBERS, KINDS), NUMBERS, "xgboost"),
    "xgboost regressor": (
        lambda: xgboost.XGBRegressor(n_estimators=4).fit(NUMBERS.to_numpy(), KINDS),
        NUMBERS.to_numpy(),
        "xgboost",
    ),
    "torch": (
        lambda: torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout()),
        NUMBERS.to_numpy("float32"),
        "pytorch",
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", MODELS)
def test_it_answers_as_pyfunc_does(made: Made, name: str) -> None:
    fit, example, flavour = MODELS[name]
    plain = made(fit(), example, flavour)

    quick = native.of(plain)

    assert quick is not None
    assert (quick.runtime, quick.platform, quick.signature) == ("native", f"mlflow_{flavour}", plain.signature)
    assert quick.probabilities == ("classifier" in name or name in {"tensor", "columns of several types"})
    for method in (PREDICT, PREDICT_PROBA) if quick.probabilities else (PREDICT,):
        asked = rows(plain, example, method)
        assert_same(quick.predict(asked), plain.predict(asked))


class ByName(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """Answers tables only."""

    def fit(self, rows: Any, _targets: Any = None) -> "ByName":
        self.fitted_ = True
        return self

    def predict(self, rows: Any) -> Any:
        return rows["size"].to_numpy()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_model_that_needs_names_of_columns_stays_with_pyfunc(made: Made, tmp_path: Path) -> None:
    assert native.of(made(ByName().fit(TEXTS), TEXTS)) is None

    with quiet():
        assert choice.load(tmp_path / "model", rules=WITH_CODE).runtime == "pyfunc"
        with pytest.raises(VersionRefused, match="does not answer arrays as pyfunc does"):
            choice.load(tmp_path / "model", "native", WITH_CODE)


class Vain(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """Answers a table otherwise than an array."""

    def fit(self, rows: Any, _targets: Any = None) -> "Vain":
        self.fitted_ = True
        return self

    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), 1.0 if isinstance(rows, pd.DataFrame) else 2.0)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_model_that_answers_arrays_otherwise_stays_with_pyfunc(made: Made) -> None:
    assert native.of(made(Vain().fit(NUMBERS), NUMBERS)) is None


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_without_an_example_nothing_is_known_and_pyfunc_answers(made: Made, tmp_path: Path) -> None:
    made(LogisticRegression().fit(NUMBERS, KINDS), NUMBERS)
    (tmp_path / "model" / "serving_input_example.json").unlink()
    with quiet():
        assert native.of(pyfunc.load(mlmodel.read(tmp_path / "model"))) is None


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_rows_that_the_model_refuses_are_the_callers_with_a_hint(made: Made) -> None:
    quick = native.of(made(LogisticRegression().fit(NUMBERS, KINDS), NUMBERS))
    assert quick is not None

    with pytest.raises(RowsRefused, match=r"\(ValueError\); row 2, column 'c': expected a number, got null"):
        quick.predict(Rows((np.array([[1.0, 2.0, 3.0], [1.0, 2.0, np.nan]]),), 2))
