"""What the loaders of each flavour would open, and whether that is data."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from mlflow.models import Model, infer_signature
from onnx import TensorProto, helper

from serving.admission import contents
from serving.admission.contents import Code, Data
from serving.errors import VersionRefused
from tests.serving.conftest import TABLE, quiet, slope

FILES = ("model.skops", "model.ubj", "model.lgb", "model.cb", "model.onnx", "model.pkl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With one file of each kind."""
    for name in (*FILES, "below/model.skops"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def described(name: str, flavour: Any, **pyfunc: Any) -> dict[str, Any]:
    return {"python_function": {"loader_module": f"mlflow.{name}", "env": {}, **pyfunc}, name: flavour}


SKOPS = {"serialization_format": "skops", "skops_trusted_types": ["posix.system"]}
LGBM = {"model_class": "lightgbm.sklearn.LGBMClassifier", "data": "model.pkl"}
DATA: dict[str, tuple[dict[str, Any], str | None]] = {
    "scikit-learn, skops": (described("sklearn", SKOPS, model_path="model.skops"), "model.skops"),
    "scikit-learn, skops, of an older MLflow": (described("sklearn", SKOPS, data="model.skops"), "model.skops"),
    "another method": (
        described("sklearn", SKOPS, model_path="model.skops", predict_fn="predict_proba"),
        "model.skops",
    ),
    "xgboost": (described("xgboost", {"data": "model.ubj", "model_class": "xgboost.sklearn.XGBClassifier"}), None),
    "xgboost, a booster": (described("xgboost", {"data": "model.ubj"}), None),
    "lightgbm": (described("lightgbm", {"data": "model.lgb", "model_class": "lightgbm.basic.Booster"}), None),
    "lightgbm, skops": (
        described("lightgbm", {**LGBM, "data": "model.skops", "serialization_format": "skops"}),
        "model.skops",
    ),
    "catboost": (described("catboost", {"model_type": "CatBoost", "save_format": "cbm"}, data="model.cb"), None),
    "onnx": (described("onnx", {"data": "model.onnx", "providers": ["CPUExecutionProvider"]}, data="model.onnx"), None),
}


@pytest.mark.parametrize(("flavors", "skops"), DATA.values(), ids=DATA)
def test_data_is_data(folder: Path, flavors: dict[str, Any], skops: str | None) -> None:
    found = contents.of(folder, flavors)

    assert isinstance(found, Data)
    assert found.skops == (folder / skops if skops else None)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("scikit-learn, skops", "scikit-learn"),
        ("xgboost", "xgboost"),
        ("lightgbm", "lightgbm"),
        ("onnx", "onnxruntime"),
    ],
)
def test_it_needs_its_library_and_arrays(folder: Path, name: str, package: str) -> None:
    found = contents.of(folder, DATA[name][0])

    assert isinstance(found, Data)
    assert {package, "numpy"} <= found.needs
    assert not found.needs & {"pytest", "torch", "sklearn", "onnx"}


CODE: dict[str, tuple[dict[str, Any], str]] = {
    "scikit-learn, pickle": (
        described("sklearn", {"serialization_format": "pickle"}, model_path="model.pkl"),
        "its scikit-learn model 'model.pkl' is written as 'pickle'",
    ),
    "scikit-learn, nothing said": (described("sklearn", {}, model_path="model.skops"), "is written as 'pickle'"),
    "scikit-learn, no flavour": (described("xgboost", {}, loader_module="mlflow.sklearn"), "is written as 'pickle'"),
    "scikit-learn, below": (described("sklearn", SKOPS, data="below/model.skops"), "not a file beside its MLmodel"),
    "scikit-learn, outside": (described("sklearn", SKOPS, model_path="../model.skops"), "not a file beside"),
    "scikit-learn, absolute": (described("sklearn", SKOPS, model_path="/etc/passwd"), "not a file beside"),
    "scikit-learn, a folder": (described("sklearn", SKOPS, data="below"), "not a file beside its MLmodel"),
    "scikit-learn, nowhere": (described("sklearn", SKOPS, model_path="no.skops"), "not a file beside its MLmodel"),
    "an odd method": (
        described("sklearn", SKOPS, model_path="model.skops", predict_fn="__reduce__"),
        "it predicts with '__reduce__'",
    ),
    "modules": (
        described("sklearn", SKOPS, model_path="model.skops", code="code"),
        "it brings modules of its own ('code')",
    ),
    "modules, oddly": (described("sklearn", SKOPS, model_path="model.skops", code=["code"]), "modules of its own"),
    "xgboost, another class": (
        described("xgboost", {"data": "model.ubj", "model_class": "os.getcwd"}),
        "its class 'os.getcwd' is none of XGBoost's",
    ),
    "xgboost, no class": (described("xgboost", {"data": "model.ubj", "model_class": ["a"]}), "its class a list"),
    "xgboost, elsewhere": (described("xgboost", {"data": "../model.ubj"}), "not a file beside its MLmodel"),
    "lightgbm, pickled": (described("lightgbm", LGBM), "LightGBM model 'model.pkl' is written as 'cloudpickle'"),
    "catboost, python": (described("catboost", {"save_format": "python"}, data="model.cb"), "is written as 'python'"),
    "onnx, a plugin": (
        described("onnx", {"providers": [["TensorrtExecutionProvider", {"x": "y.so"}]]}, data="model.onnx"),
        "options for execution providers",
    ),
    "onnx, a session": (
        described("onnx", {"onnx_session_options": {"extra_session_config": {"a": "b"}}}, data="model.onnx"),
        "an extra_session_config",
    ),
    "PythonModel": (
        {"python_function": {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}},
        r"it is a PythonModel ('python_model.pkl')",
    ),
    "PythonModel beside another": (
        {**described("sklearn", SKOPS, loader_module="mlflow.pyfunc.model", model_path="model.skops")},
        "it is a PythonModel",
    ),
    "from code": (
        {"python_function": {"loader_module": "mlflow.pyfunc.model", "model_code_path": "chain.py"}},
        "it is a PythonModel ('chain.py')",
    ),
    "pytorch, pickle": (described("pytorch", {"model_data": "data"}, data="data"), "PyTorch's formats hold pickles"),
    "any other": (described("statsmodels", {"data": "model.pkl"}, data="model.pkl"), "its loader 'mlflow.statsmodels'"),
    "os": ({"python_function": {"loader_module": "os"}}, "its loader 'os' is none of those that read data alone"),
    "a submodule": (
        {"python_function": {"loader_module": "mlflow.sklearn.utils"}},
        "its loader 'mlflow.sklearn.utils'",
    ),
    "no loader": ({"python_function": {}}, "its loader None"),
    "an odd loader": ({"python_function": {"loader_module": ["mlflow.sklearn"]}}, "its loader a list"),
}


@pytest.mark.parametrize(("flavors", "what"), CODE.values(), ids=CODE)
def test_what_is_not_known_to_be_data_brings_code(folder: Path, flavors: dict[str, Any], what: str) -> None:
    found = contents.of(folder, flavors)

    assert isinstance(found, Code)
    assert what in found.what


@pytest.mark.parametrize("flavors", [{}, {"sklearn": SKOPS}, {"python_function": None}, {"python_function": "sklearn"}])
def test_without_a_pyfunc_flavour_there_is_nothing_to_serve(folder: Path, flavors: dict[str, Any]) -> None:
    with pytest.raises(VersionRefused, match="no flavour python_function"):
        contents.of(folder, flavors)


def saved_onnx(folder: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    mlflow.onnx.save_model(model, str(folder), pip_requirements=["onnx"])


def saved_xgboost(folder: Path) -> None:
    fitted = xgboost.XGBRegressor(n_estimators=2).fit(TABLE, [1, 2, 3])
    mlflow.xgboost.save_model(fitted, str(folder), pip_requirements=["xgboost"])


def saved_booster(folder: Path) -> None:
    fitted = xgboost.train({}, xgboost.DMatrix(TABLE, [1, 2, 3]), 2)
    mlflow.xgboost.save_model(fitted, str(folder), model_format="json", pip_requirements=["xgboost"])


def saved_sklearn(folder: Path) -> None:
    mlflow.sklearn.save_model(
        slope(3),
        str(folder),
        serialization_format="skops",
        signature=infer_signature(TABLE),
        pip_requirements=["mlflow"],
    )


@pytest.mark.parametrize("save", [saved_onnx, saved_xgboost, saved_booster, saved_sklearn])
def test_what_mlflow_saves_as_data_is_data(tmp_path: Path, save: Any) -> None:
    """And what is admitted is what MLflow's own loader reads."""
    with quiet():
        save(tmp_path / "model")
        found = contents.of(tmp_path / "model", Model.load(str(tmp_path / "model")).flavors)

    assert isinstance(found, Data)
    assert found.skops == (tmp_path / "model" / "model.skops" if save is saved_sklearn else None)


def test_what_an_mlmodel_says_is_on_one_line_and_leaves_room_for_the_advice(folder: Path) -> None:
    found = contents.of(folder, {"python_function": {"loader_module": "\n\x1b[2J" + 1000 * "é"}})

    assert isinstance(found, Code)
    assert found.what.isprintable()
    assert len(found.what) < 200


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([*FILES, ".", ".."]),
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=10), of, max_size=3),
    max_leaves=5,
)
KEYS = ["data", "model_path", "code", "predict_fn", "serialization_format", "model_class", "save_format", "providers"]
confs = st.dictionaries(st.sampled_from([*KEYS, "loader_module", "onnx_session_options"]), anything) | anything
loaders = st.sampled_from(
    ["mlflow.sklearn", "mlflow.xgboost", "mlflow.lightgbm", "mlflow.catboost", "mlflow.onnx", "os"]
)


@given(pyfunc=confs, loader=loaders | anything, flavour=confs)
def test_whatever_an_mlmodel_says_there_is_an_answer(pyfunc: Any, loader: Any, flavour: Any) -> None:
    if isinstance(pyfunc, dict):
        pyfunc = {**pyfunc, "loader_module": loader}
    flavors = {"python_function": pyfunc, str(loader).removeprefix("mlflow."): flavour}
    with TemporaryDirectory() as name:
        for file in FILES:
            (Path(name) / file).touch()
        try:
            found = contents.of(Path(name), flavors)
        except VersionRefused:
            return

    if isinstance(found, Code):
        assert found.what.isprintable()
    else:
        assert loader in json.dumps(list(contents._KNOWN))
        assert not pyfunc.get("code")
