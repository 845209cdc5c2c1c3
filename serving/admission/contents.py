"""Decide whether a version is data alone, from what MLflow would do with it.

Pure but for the listing of its folder. The list is of what is known to be data, checked against MLflow 3.17's loaders
(`_load_pyfunc` of each flavour); whatever is not on it brings code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import VersionRefused

SHOWN = 60
"""Characters of what an MLmodel says in a message; the advice behind it must not be cut off."""

AS_SKOPS = "log it with serialization_format='skops'"
AS_TWIN = "give it an ONNX twin (python -m pipelines.twin)"

_PREDICTS = frozenset({"predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba", "score"})
_XGBOOST = frozenset(
    {
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBModel",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
        "xgboost.sklearn.XGBRanker",
        "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
    }
)
_CATBOOST = frozenset({"cbm", "json"})
_ARRAYS = frozenset({"numpy", "scipy", "pandas"})
_LIBRARY = {"sklearn": "scikit-learn", "onnx": "onnxruntime"}
"""Where it is not called as the flavour is."""


@dataclass(frozen=True)
class Data:
    """Nothing that comes with it is run.

    `needs`: the packages that read it and predict with it. `skops`: the file whose types are still to be looked at.
    """

    needs: frozenset[str]
    skops: Path | None = None


@dataclass(frozen=True)
class Code:
    """Loading it runs what comes with it. `what` it is; `instead`: how to do without, where that is known."""

    what: str
    instead: str = ""


@dataclass(frozen=True)
class _Described:
    """What an MLmodel says of the flavour that pyfunc would load."""

    folder: Path
    name: str
    pyfunc: Mapping[str, Any]
    flavour: Mapping[str, Any]

    @property
    def needs(self) -> frozenset[str]:
        return _ARRAYS | {_LIBRARY.get(self.name, self.name)}

    def file(self, name: object) -> Path | None:
        """A file beside the MLmodel. Elsewhere MLflow would believe the MLmodel that it finds there."""
        if not isinstance(name, str) or name != Path(name).name:
            return None
        found = self.folder / name
        return found if found.is_file() else None


def of(folder: Path, flavors: Mapping[str, Any]) -> Data | Code:
    """VersionRefused for a version that MLflow could not load whatever is allowed."""
    pyfunc = flavors.get("python_function")
    if not isinstance(pyfunc, Mapping):
        raise VersionRefused("its MLmodel has no flavour python_function, and serving predicts with nothing else")
    loader = pyfunc.get("loader_module")
    look = _KNOWN.get(loader) if isinstance(loader, str) else None
    if look is None:
        return _unknown(loader, pyfunc)
    if pyfunc.get("code"):
        return Code(f"it brings modules of its own ({shown(pyfunc['code'])})", "log it without code_paths")
    name = str(loader).removeprefix("mlflow.")
    flavour = flavors.get(name)
    described = _Described(folder, name, pyfunc, flavour if isinstance(flavour, Mapping) else {})
    if "data" in pyfunc and described.file(pyfunc["data"]) is None:
        return Code(f"its model is not a file beside its MLmodel ({shown(pyfunc['data'])})")
    if not _one_of(pyfunc.get("predict_fn", "predict"), _PREDICTS):
        return Code(f"it predicts with {shown(pyfunc['predict_fn'])}")
    return look(described)


def _unknown(loader: object, pyfunc: Mapping[str, Any]) -> Code:
    if loader == "mlflow.pytorch":
        return Code("PyTorch's formats hold pickles (pt2 too)", AS_TWIN)
    name = loader if isinstance(loader, str) else ""
    if name == "mlflow.pyfunc.model" or name.startswith("mlflow.pyfunc.loaders."):
        file = pyfunc.get("model_code_path") or pyfunc.get("python_model")
        return Code(f"it is a PythonModel ({shown(file)})")
    return Code(f"its loader {shown(loader)} is none of those that read data alone")


def _sklearn(it: _Described) -> Data | Code:
    named = it.pyfunc["data"] if "data" in it.pyfunc else it.pyfunc.get("model_path")
    written = it.flavour.get("serialization_format", "pickle")
    if written != "skops":
        return Code(f"its scikit-learn model {shown(named)} is written as {shown(written)}", f"{AS_SKOPS}, {AS_TWIN}")
    return _skops(it, named)


def _skops(it: _Described, named: object) -> Data | Code:
    file = it.file(named)
    if file is None:
        return Code(f"its skops model is not a file beside its MLmodel ({shown(named)})")
    return Data(it.needs | {"scikit-learn", "skops"}, file)


def _xgboost(it: _Described) -> Data | Code:
    of_class = it.flavour.get("model_class", "xgboost.core.Booster")  # MLflow calls it, whatever it is
    if not _one_of(of_class, _XGBOOST):
        return Code(f"its class {shown(of_class)} is none of XGBoost's models")
    return _plain(it)


def _lightgbm(it: _Described) -> Data | Code:
    if it.flavour.get("model_class", "lightgbm.basic.Booster") == "lightgbm.basic.Booster":
        return _plain(it)
    written = it.flavour.get("serialization_format", "cloudpickle")
    if written == "skops":
        return _skops(it, it.flavour.get("data"))
    return Code(f"its LightGBM model {shown(it.flavour.get('data'))} is written as {shown(written)}", AS_SKOPS)


def _plain(it: _Described) -> Data | Code:
    """A file that the flavour's own library parses, in C++."""
    named = it.flavour.get("data")
    if it.file(named) is None:
        return Code(f"its model is not a file beside its MLmodel ({shown(named)})")
    return Data(it.needs)


def _catboost(it: _Described) -> Data | Code:
    written = it.flavour.get("save_format")
    if not _one_of(written, _CATBOOST) or "data" not in it.pyfunc:
        return Code(f"its CatBoost model is written as {shown(written)}", "save it as cbm or json")
    return Data(it.needs)


def _onnx(it: _Described) -> Data | Code:
    # Options of a provider, and entries of a session's configuration, can name libraries to load and folders to read.
    providers = it.flavour.get("providers") or []
    names = [providers] if isinstance(providers, str) else providers
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        return Code("its ONNX flavour has options for execution providers", "log it with their names alone")
    options = it.flavour.get("onnx_session_options") or {}
    if not isinstance(options, Mapping) or options.get("extra_session_config"):
        return Code("its ONNX flavour has an extra_session_config", "log it without")
    return Data(it.needs) if "data" in it.pyfunc else Code("its ONNX flavour names no file")


_KNOWN: dict[str, Callable[[_Described], Data | Code]] = {
    "mlflow.catboost": _catboost,
    "mlflow.lightgbm": _lightgbm,
    "mlflow.onnx": _onnx,
    "mlflow.sklearn": _sklearn,
    "mlflow.xgboost": _xgboost,
}
"""By what MLflow imports and calls; the names of flavours are only names."""


def _one_of(said: object, known: frozenset[str]) -> bool:
    return isinstance(said, str) and said in known


def shown(said: object) -> str:
    """What an MLmodel says is whatever somebody wrote: on one line, and not too long."""
    if said is not None and not isinstance(said, str | int | float):
        return f"a {type(said).__name__}"
    text = ascii(said)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
