"""Versions made by hand that would leave a marker if anything that came with them were run."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skops.io._protocol import PROTOCOL

from tests.serving.twins import X_AND_SIZE, write_mlmodel


class Marks:
    """Unpickled, it leaves an empty file."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return open, (str(self._marker), "w")


def write(folder: Path, flavors: dict[str, Any]) -> Path:
    """An MLmodel of these flavours, with a signature."""
    folder.mkdir(parents=True, exist_ok=True)
    write_mlmodel(folder, X_AND_SIZE)
    about = json.loads((folder / "MLmodel").read_text())
    (folder / "MLmodel").write_text(json.dumps({**about, "flavors": flavors}))
    return folder


def sklearn(folder: Path, *, written: str | None = "skops", file: str = "model.skops", **changes: Any) -> Path:
    """As `mlflow.sklearn` describes one; its file is still to be written."""
    pyfunc = {"loader_module": "mlflow.sklearn", "model_path": file, "predict_fn": "predict", "env": {}, **changes}
    flavour = {"pickled_model": file, "sklearn_version": "1.9.1"}
    if written is not None:
        flavour["serialization_format"] = written
    return write(folder, {"python_function": pyfunc, "sklearn": flavour})


def call_in_skops(marker: Path) -> bytes:
    """A skops file whose object is a call of subprocess.call."""

    def text(value: str) -> dict[str, Any]:
        state = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "is_json": True}
        return {**state, "content": json.dumps(value)}

    def holder(kind: str, *of: dict[str, Any]) -> dict[str, Any]:
        return {"__class__": kind, "__module__": "builtins", "__loader__": f"{kind.title()}Node", "content": list(of)}

    command = holder("list", text("touch"), text(str(marker)))
    call = {"__class__": "call", "__module__": "subprocess", "__loader__": "ConstructorFromReduceNode"}
    return zipped({**call, "content": holder("tuple", command)})


def zipped(schema: Any) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("schema.json", json.dumps({**schema, "protocol": PROTOCOL, "_skops_version": "0"}))
    return held.getvalue()


# Versions that mark, by what they are


def pickled_sklearn(folder: Path, marker: Path, written: str | None = "cloudpickle") -> Path:
    sklearn(folder, written=written, file="model.pkl")
    (folder / "model.pkl").write_bytes(pickle.dumps(Marks(marker)))
    return folder


def pickle_called_nothing(folder: Path, marker: Path) -> Path:
    return pickled_sklearn(folder, marker, None)


def pickle_called_skops(folder: Path, marker: Path) -> Path:
    sklearn(folder)
    (folder / "model.skops").write_bytes(pickle.dumps(Marks(marker)))
    return folder


def skops_with_a_call(folder: Path, marker: Path) -> Path:
    """It asks for subprocess.call to be trusted."""
    sklearn(folder)
    about = json.loads((folder / "MLmodel").read_text())
    about["flavors"]["sklearn"]["skops_trusted_types"] = ["subprocess.call"]
    (folder / "MLmodel").write_text(json.dumps(about))
    (folder / "model.skops").write_bytes(call_in_skops(marker))
    return folder


def pickle_below_skops(folder: Path, marker: Path) -> Path:
    """The MLmodel beside the file says pickle; the version's own says skops."""
    sklearn(folder, data="below/model.skops")
    pickled_sklearn(folder / "below", marker)
    (folder / "below" / "model.pkl").rename(folder / "below" / "model.skops")
    (folder / "model.skops").write_bytes(b"")
    return folder


def python_model(folder: Path, marker: Path) -> Path:
    pyfunc = {
        "loader_module": "mlflow.pyfunc.model",
        "python_model": "python_model.pkl",
        "cloudpickle_version": "3.1.1",
    }
    write(folder, {"python_function": {**pyfunc, "env": {}}})
    (folder / "python_model.pkl").write_bytes(pickle.dumps(Marks(marker)))
    return folder


def python_model_beside_skops(folder: Path, marker: Path) -> Path:
    """It also describes a scikit-learn model that would be fine."""
    python_model(folder, marker)
    about = json.loads((folder / "MLmodel").read_text())
    about["flavors"] = {"sklearn": {"serialization_format": "skops", "pickled_model": "m.skops"}, **about["flavors"]}
    (folder / "MLmodel").write_text(json.dumps(about))
    return folder


def model_from_code(folder: Path, marker: Path) -> Path:
    pyfunc = {"loader_module": "mlflow.pyfunc.model", "model_code_path": "model.py", "env": {}}
    write(folder, {"python_function": pyfunc})
    (folder / "model.py").write_text(f"open({str(marker)!r}, 'w')\n")
    return folder


def loader_of_its_own(folder: Path, marker: Path) -> Path:
    write(folder, {"python_function": {"loader_module": "a_loader_of_its_own", "code": "code", "env": {}}})
    (folder / "code").mkdir()
    (folder / "code" / "a_loader_of_its_own.py").write_text(f"open({str(marker)!r}, 'w')\n")
    return folder


MARKING: dict[str, Callable[[Path, Path], Path]] = {
    "a pickled scikit-learn model": pickled_sklearn,
    "a pickle that is called nothing": pickle_called_nothing,
    "a pickle beside an MLmodel of its own": pickle_below_skops,
    "a PythonModel": python_model,
    "a PythonModel beside a scikit-learn model": python_model_beside_skops,
    "a model from code": model_from_code,
    "a loader of its own": loader_of_its_own,
    "a call in a skops file": skops_with_a_call,
}
"""Each leaves the marker where versions may bring code."""
