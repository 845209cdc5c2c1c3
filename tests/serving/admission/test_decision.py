"""What is admitted by which rules, and what the refusal says to do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

from serving.admission import decision
from serving.admission.rules import STRICT, Rules
from serving.errors import VersionRefused
from tests.serving.admission.versions import MARKING, pickled_sklearn, python_model, sklearn, skops_with_a_call
from tests.serving.conftest import TABLE, slope


def check(folder: Path, rules: Rules = STRICT) -> str:
    """Why it is refused; nothing when it is not."""
    try:
        decision.check(folder, json.loads((folder / "MLmodel").read_text())["flavors"], rules)
    except VersionRefused as refused:
        return str(refused)
    return ""


@pytest.fixture
def of_data(tmp_path: Path) -> Path:
    skops.io.dump(slope(3), sklearn(tmp_path) / "model.skops")
    return tmp_path


def test_data_is_admitted_by_every_rule(of_data: Path) -> None:
    assert check(of_data) == check(of_data, Rules(code=True)) == ""


@pytest.mark.parametrize("make", MARKING.values(), ids=MARKING)
def test_what_brings_code_is_admitted_by_the_setting_alone(tmp_path: Path, make: Callable[[Path, Path], Path]) -> None:
    folder = make(tmp_path / "version", tmp_path / "marker")

    assert "SERVING_ALLOW_CODE=true" in check(folder, Rules(types=("numpy.mean",), packages="off"))
    assert check(folder, Rules(code=True)) == ""
    assert not (tmp_path / "marker").exists()


def test_a_refusal_names_the_file_what_to_do_instead_and_the_setting(tmp_path: Path) -> None:
    assert check(pickled_sklearn(tmp_path / "pickle", tmp_path / "marker")) == (
        "its scikit-learn model 'model.pkl' is written as 'cloudpickle', and to load that is to run code that comes "
        "with the version; log it with serialization_format='skops', give it an ONNX twin (python -m pipelines.twin), "
        "or set SERVING_ALLOW_CODE=true to serve what brings code"
    )
    assert check(python_model(tmp_path / "python", tmp_path / "marker")) == (
        "it is a PythonModel ('python_model.pkl'), and to load that is to run code that comes with the version; set "
        "SERVING_ALLOW_CODE=true to serve what brings code"
    )


def test_what_a_version_asks_to_be_trusted_does_not_count(tmp_path: Path) -> None:
    folder = skops_with_a_call(tmp_path / "version", tmp_path / "marker")

    assert "'model.skops' holds types that serving does not read: subprocess.call" in check(folder)


def test_the_library_of_a_type_in_a_skops_file_counts(tmp_path: Path) -> None:
    fitted = make_pipeline(StandardScaler(), XGBRegressor(n_estimators=2)).fit(TABLE, TABLE["x"])
    skops.io.dump(fitted, sklearn(tmp_path) / "model.skops")
    (tmp_path / "requirements.txt").write_text("scikit-learn\nxgboost==0.90\nlightgbm==0.1\n")

    assert "installed here: xgboost==0.90 (" in check(tmp_path)
    assert "lightgbm" not in check(tmp_path)


def test_a_version_that_fits_its_packages_but_not_its_types_is_refused_for_these(of_data: Path) -> None:
    """And the other way round: a newer scikit-learn is the better reason for a type of another name."""
    (of_data / "requirements.txt").write_text("scikit-learn==0.24.2\n")
    (of_data / "model.skops").write_bytes(b"")

    assert "scikit-learn==0.24.2 (" in check(of_data)
    assert "is called a skops file and is none" in check(of_data, Rules(packages="off"))
