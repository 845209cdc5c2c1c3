"""Which skops files are read: by the types in them, whatever they ask for."""

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, VotingClassifier
from sklearn.feature_selection import (
    SelectKBest,
    chi2,
    f_classif,
    f_regression,
    mutual_info_classif,
    mutual_info_regression,
)
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, TweedieRegressor
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV
from sklearn.multiclass import OutputCodeClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

from serving.admission import skops_types
from serving.errors import VersionRefused
from tests.serving.admission.versions import call_in_skops
from tests.serving.conftest import quiet, slope


def check(file: Path, *extra: str) -> str:
    """Why it is refused; nothing when it is not."""
    try:
        skops_types.check(file, extra)
    except VersionRefused as refused:
        return str(refused)
    return ""


def test_types_that_skops_trusts_by_itself_are_read(tmp_path: Path) -> None:
    skops.io.dump(slope(3), tmp_path / "model.skops")

    assert check(tmp_path / "model.skops") == ""


class Own(LinearRegression):  # type: ignore[misc]  # scikit-learn has no annotations
    """Of a library that serving knows nothing of."""


def test_another_type_is_named_with_the_setting_and_with_it_read(tmp_path: Path) -> None:
    skops.io.dump(FunctionTransformer(Own), tmp_path / "model.skops")
    name = f"{Own.__module__}.Own"

    assert check(tmp_path / "model.skops") == (
        f"'model.skops' holds types that serving does not read: {name}; if making such objects from a file can run "
        "nothing, name them in SERVING_SKOPS_TYPES, or set SERVING_ALLOW_CODE=true"
    )
    assert check(tmp_path / "model.skops", name) == ""


def test_a_call_is_a_type_that_is_refused_and_looking_does_not_make_it(tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(call_in_skops(tmp_path / "marker"))

    assert "subprocess.call" in check(tmp_path / "model.skops")
    assert not (tmp_path / "marker").exists()


def test_many_types_leave_room_for_the_advice(tmp_path: Path) -> None:
    def made(name: str) -> dict[str, Any]:
        return {"__class__": name, "__module__": "m", "__loader__": "ObjectNode"}

    kind = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode"}
    schema = {**kind, "content": [made(f"\n{number}{100 * 'x'}") for number in range(100)], "protocol": 0}
    with zipfile.ZipFile(tmp_path / "model.skops", "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))

    said = check(tmp_path / "model.skops")

    assert "and 95 more; if making such objects" in said
    assert said.isprintable()


@pytest.mark.parametrize(
    "kind", ["a pickle", "nothing", "another zip", "no schema", "deep", "an array that is a pickle"]
)
def test_what_is_no_skops_file_is_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "model.skops"
    schemas: dict[str, object] = {"no schema": [], "deep": None}
    if kind == "a pickle":
        file.write_bytes(pickle.dumps(slope(3)))
    elif kind == "nothing":
        file.touch()
    elif kind == "another zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("other", "")
    elif kind in schemas:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("schema.json", json.dumps(schemas[kind]) if kind == "no schema" else 100_000 * "[")
    else:
        array = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "type": "pickle"}
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("schema.json", json.dumps({**array, "file": "a.npy", "protocol": 0}))
            np.save(tmp_path / "a.npy", np.array([slope(3)], object), allow_pickle=True)
            archive.write(tmp_path / "a.npy", "a.npy")

    assert check(file).startswith("'model.skops' is called a skops file and is none (")


ROWS = np.random.default_rng(1).normal(size=(60, 4))
KINDS = (ROWS[:, 0] > 0).astype(int)
ESTIMATORS = [
    RandomForestClassifier(n_estimators=2),
    HistGradientBoostingRegressor(max_iter=2),
    KNeighborsClassifier(algorithm="kd_tree"),
    KNeighborsRegressor(algorithm="ball_tree", p=1),
    MLPClassifier(max_iter=2),
    MLPRegressor(max_iter=2, solver="sgd"),
    GaussianProcessClassifier(),
    GaussianProcessRegressor(Matern() + WhiteKernel() * ConstantKernel()),
    GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2),
    RandomizedSearchCV(Ridge(), {"alpha": [1.0]}, cv=KFold(2), n_iter=1),
    VotingClassifier([("one", LogisticRegression())]),
    CalibratedClassifierCV(LogisticRegression(), cv=2),
    OutputCodeClassifier(LogisticRegression(), random_state=0),  # the code of others needs no constant
    TweedieRegressor(power=0),
    make_pipeline(SimpleImputer(), SelectKBest(f_classif, k=2), LogisticRegression()),
    make_pipeline(SelectKBest(f_regression, k=2), Ridge()),
    make_pipeline(SelectKBest(mutual_info_classif, k=2), LogisticRegression()),
    make_pipeline(SelectKBest(mutual_info_regression, k=2), Ridge()),
    make_pipeline(MinMaxScaler(), SelectKBest(chi2, k=2), LogisticRegression()),
    make_pipeline(StandardScaler(), XGBClassifier(n_estimators=2)),
    make_pipeline(StandardScaler(), XGBRegressor(n_estimators=2)),
    XGBRFClassifier(n_estimators=2),
    XGBRFRegressor(n_estimators=2),
]


@pytest.fixture(scope="module")
def dumped() -> list[bytes]:
    """Each estimator, fitted."""
    with quiet():
        return [skops.io.dumps(each.fit(ROWS, KINDS)) for each in ESTIMATORS]


def test_what_people_use_of_scikit_learn_and_xgboost_is_read(dumped: list[bytes], tmp_path: Path) -> None:
    for number, content in enumerate(dumped):
        (tmp_path / "model.skops").write_bytes(content)

        assert check(tmp_path / "model.skops") == "", ESTIMATORS[number]


def test_the_list_that_comes_with_serving_holds_nothing_that_no_estimator_needs(dumped: list[bytes]) -> None:
    """A name that no library has any more would be a hole that nobody sees."""
    assert {each for content in dumped for each in skops.io.get_untrusted_types(data=content)} == skops_types.allowed()


def test_what_is_read_predicts_as_it_did(dumped: list[bytes]) -> None:
    for estimator, content in zip(ESTIMATORS, dumped, strict=True):
        with quiet():
            read = skops.io.loads(content, trusted=[*skops_types.allowed()])

            assert (read.predict(ROWS) == estimator.predict(ROWS)).all(), estimator
